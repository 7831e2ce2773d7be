{{/*
A JSON Patch, as CEL: the sidecar before all other init containers, so that they may use it too, and its volumes. A list
that is not there is made first, empty: a list of objects as one value is more than the API server converts.
*/}}
{{- define "gateway.injection.patch" -}}
{{- $context := include "gateway.injected" . | fromYaml -}}
{{- $containers := include "sidecar.container" $context | fromYamlArray -}}
{{- $volumes := include "sidecar.volumes" $context | fromYamlArray -}}
(has(object.spec.initContainers) ? [] : [JSONPatch{op: "add", path: "/spec/initContainers", value: []}])
{{- if $volumes }}
+ (has(object.spec.volumes) ? [] : [JSONPatch{op: "add", path: "/spec/volumes", value: []}])
{{- end }}
+ [
  JSONPatch{
    op: "add",
    path: "/spec/initContainers/0",
    value: {{ include "gateway.cel" (dict "value" (first $containers) "type" "Object.spec.initContainers") | indent 4 | trim }}
  }
  {{- range $volume := $volumes }},
  JSONPatch{
    op: "add",
    path: "/spec/volumes/-",
    value: {{ include "gateway.cel" (dict "value" $volume "type" "Object.spec.volumes") | indent 4 | trim }}
  }
  {{- end }}
]
{{- end -}}

{{/* What is merged into the pod, as CEL: the app's variables in every container, but for those that it has already. */}}
{{- define "gateway.injection.merged" -}}
{{- $variables := include "sidecar.appEnv" (include "gateway.injected" . | fromYaml) | fromYamlArray -}}
Object{
  spec: Object.spec{
    containers: object.spec.containers.map(c, Object.spec.containers{
      name: c.name,
      env:
      {{- range $index, $variable := $variables }}
        {{ if $index }}+ {{ end }}(has(c.env) && c.env.exists(e, e.name == {{ quote $variable.name }}) ? [] : [
          {{ include "gateway.cel" (dict "value" $variable "type" "Object.spec.containers.env") | indent 10 | trim }}
        ])
      {{- end }}
    })
  }
}
{{- end -}}
