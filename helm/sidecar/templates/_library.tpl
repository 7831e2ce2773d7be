{{/* The gateway's values as the library's templates want them: the long form, by the chart's own ConfigMap. As YAML. */}}
{{- define "gateway.library" -}}
{{- $values := pick .Values "image" "apiKeySecret" "ports" "startup" "resources" "runAsUser" "runAsGroup" "extraEnv" -}}
{{- $_ := set $values "config" (dict "configMap" (include "gateway.name" .) "key" "config.yaml") -}}
{{- $_ := set $values "adminAddress" .Values.listenAddress -}}
{{- $_ := set $values "extraVolumes" .Values.extraVolumes -}}
{{- $_ := set $values "extraVolumeMounts" .Values.extraVolumeMounts -}}
{{- with .Values.gate.requireToken.secretName -}}
{{- $volume := dict "name" "sidecar-gate" "secret" (dict "secretName" . "defaultMode" 0444 "optional" false) -}}
{{- $mount := dict "name" "sidecar-gate" "mountPath" "/run/secrets/sidecar-gate" "readOnly" true -}}
{{- $_ := set $values "extraVolumes" (prepend $values.extraVolumes $volume) -}}
{{- $_ := set $values "extraVolumeMounts" (prepend $values.extraVolumeMounts $mount) -}}
{{- end -}}
{{- toYaml $values -}}
{{- end -}}

{{/* A context for the library's templates, in which injected sidecars have the gateway's image where they have none. As YAML. */}}
{{- define "gateway.injected" -}}
{{- $values := deepCopy (index .Values "sidecar-lib") -}}
{{- if not $values.image.repository -}}
{{- $_ := set $values "image" (omit .Values.image "pullSecrets") -}}
{{- end -}}
{{- dict "Values" (dict "sidecar-lib" $values) "Capabilities" (dict "KubeVersion" (dict "Version" .Capabilities.KubeVersion.Version)) | toYaml -}}
{{- end -}}
