{{/*
Probes, asked at the pod's address. There is no readiness probe: a pod that serves others is not taken out of service
because its token cannot be renewed. Called with the library's values.
*/}}
{{- define "sidecar.probes" -}}
startupProbe:
  httpGet:
    path: {{ ternary "/startupz" "/livez" .startup.waitForToken }}
    port: sidecar-admin
  periodSeconds: 1
  failureThreshold: {{ int .startup.timeoutSeconds }}
livenessProbe:
  httpGet:
    path: /livez
    port: sidecar-admin
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 3
{{- end -}}
