{{/*
The sidecar's own variables: the whole configuration, where it is one upstream. The API key is not among them, only
where its file is. Called with the library's values.
*/}}
{{- define "sidecar.env" -}}
{{- if .config.configMap -}}
- name: SIDECAR_CONFIG
  value: {{ printf "/etc/sidecar/%s" .config.key | quote }}
{{- else -}}
- name: SIDECAR_PRESET
  value: {{ .preset | quote }}
{{- with .upstream }}
- name: SIDECAR_UPSTREAM
  value: {{ . | quote }}
{{- end }}
- name: SIDECAR_API_KEY_FILE
  value: {{ .apiKeyFile | default (printf "/run/secrets/sidecar/%s" .apiKeySecret.key) | quote }}
- name: SIDECAR_LISTEN
  value: {{ printf "127.0.0.1:%d" (int .ports.proxy) | quote }}
{{- end }}
# Probes and Prometheus dial the pod's address. Beyond loopback it serves health and metrics alone.
- name: SIDECAR_ADMIN_LISTEN
  value: {{ printf "%s:%d" .adminAddress (int .ports.admin) | quote }}
{{- if .failFast }}
- name: SIDECAR_FAIL_FAST
  value: "true"
{{- end }}
{{- with .logLevel }}
- name: SIDECAR_LOG_LEVEL
  value: {{ . | quote }}
{{- end }}
{{- with .extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}
