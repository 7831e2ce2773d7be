{{/*
The pod's volumes for the sidecar, as items of a list. Folders, never `subPath`, which is not updated when the Secret
changes.
*/}}
{{- define "sidecar.volumes" -}}
{{- include "sidecar.volumeList" (include "sidecar.values" . | fromYaml) | trim -}}
{{- end -}}

{{/* The same. Called with the library's values. */}}
{{- define "sidecar.volumeList" -}}
{{- if .apiKeySecret.name }}
- name: sidecar-api-key
  secret:
    secretName: {{ .apiKeySecret.name | quote }}
    # The sidecar alone mounts it, and reads it as one of everybody: fsGroup would be a setting of the whole pod.
    defaultMode: 0444
    optional: false
    {{- if not .config.configMap }}
    # No other key of the Secret gets into the pod.
    items:
      - key: {{ .apiKeySecret.key | quote }}
        path: {{ .apiKeySecret.key | quote }}
    {{- end }}
{{- end }}
{{- if .config.configMap }}
- name: sidecar-config
  configMap:
    name: {{ .config.configMap | quote }}
    optional: false
{{- end }}
{{- with .extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Where the sidecar finds them. Called with the library's values. */}}
{{- define "sidecar.volumeMounts" -}}
{{- if .apiKeySecret.name }}
- name: sidecar-api-key
  mountPath: /run/secrets/sidecar
  readOnly: true
{{- end }}
{{- if .config.configMap }}
- name: sidecar-config
  mountPath: /etc/sidecar
  readOnly: true
{{- end }}
{{- with .extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}
