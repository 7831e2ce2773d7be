{{/* What Pod Security's level "restricted" asks for, and a root file system that cannot be written. Called with the library's values. */}}
{{- define "sidecar.securityContext" -}}
allowPrivilegeEscalation: false
capabilities:
  drop: [ALL]
privileged: false
readOnlyRootFilesystem: true
runAsNonRoot: true
runAsUser: {{ int64 .runAsUser }}
runAsGroup: {{ int64 .runAsGroup }}
seccompProfile:
  type: RuntimeDefault
{{- end -}}
