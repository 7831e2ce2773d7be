{{/* Variables that tell the app where the sidecar is, as items of a list: for its container's `env`. */}}
{{- define "sidecar.appEnv" -}}
{{- $values := include "sidecar.values" . | fromYaml -}}
{{- $url := printf "http://127.0.0.1:%d" (int $values.ports.proxy) -}}
- name: SIDECAR_URL
  value: {{ $url | quote }}
{{- range $name, $template := $values.appEnv }}
- name: {{ $name | quote }}
  value: {{ $template | replace "{url}" $url | quote }}
{{- end }}
{{- end -}}
