{{/* What both PodMonitors say. Probes and Prometheus ask the same port. */}}
{{- define "gateway.podMonitor.endpoints" -}}
podMetricsEndpoints:
  - port: sidecar-admin
    path: /metrics
    interval: {{ .Values.monitoring.podMonitor.interval }}
{{- end -}}

{{- define "gateway.podMonitor.labels" -}}
{{- include "gateway.labels" . }}
{{- with .Values.monitoring.podMonitor.labels }}
{{ toYaml . }}
{{- end }}
{{- end -}}
