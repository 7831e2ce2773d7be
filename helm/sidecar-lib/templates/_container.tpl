{{/*
The sidecar's container, as the one item of a list: for `initContainers`, before all others, so that they may use it
too; with `native: false` for `containers`.
*/}}
{{- define "sidecar.container" -}}
{{- $values := include "sidecar.values" . | fromYaml -}}
- name: sidecar
  image: {{ include "sidecar.image" $values | quote }}
  imagePullPolicy: {{ $values.image.pullPolicy }}
  {{- if $values.native }}
  restartPolicy: Always
  {{- end }}
  env:
    {{- include "sidecar.env" $values | nindent 4 }}
  ports:
    - name: sidecar-admin
      containerPort: {{ int $values.ports.admin }}
      protocol: TCP
  {{- include "sidecar.probes" $values | nindent 2 }}
  {{- /* An older API server drops a hook that it does not know, and then refuses the pod for an empty preStop. */}}
  {{- if and (not $values.native) $values.preStopSleepSeconds (semverCompare ">=1.30.0-0" .Capabilities.KubeVersion.Version) }}
  lifecycle:
    # The app gets its SIGTERM at the same moment, and may need the API while it stops.
    preStop:
      sleep:
        seconds: {{ int $values.preStopSleepSeconds }}
  {{- end }}
  terminationMessagePolicy: FallbackToLogsOnError
  resources:
    {{- toYaml $values.resources | nindent 4 }}
  securityContext:
    {{- include "sidecar.securityContext" $values | nindent 4 }}
  {{- with include "sidecar.volumeMounts" $values | trim }}
  volumeMounts:
    {{- . | nindent 4 }}
  {{- end }}
{{- end -}}
