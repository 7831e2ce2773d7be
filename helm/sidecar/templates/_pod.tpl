{{/* The gateway's pod. */}}
{{- define "gateway.pod" -}}
{{- $library := include "gateway.library" . | fromYaml -}}
automountServiceAccountToken: false
serviceAccountName: {{ include "gateway.serviceAccountName" . }}
enableServiceLinks: false
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  runAsNonRoot: true
  seccompProfile:
    type: RuntimeDefault
# Both times of the drain, and a little for the process to end.
terminationGracePeriodSeconds: {{ add (int .Values.drain.lameDuckSeconds) (int .Values.drain.mostSeconds) 5 }}
containers:
  {{- include "gateway.container" (dict "root" . "library" $library) | nindent 2 }}
volumes:
  {{- include "sidecar.volumeList" $library | trim | nindent 2 }}
topologySpreadConstraints:
  {{- range $key := list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
  - maxSkew: 1
    topologyKey: {{ $key }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "gateway.selector" $ | nindent 8 }}
    # Each rollout is spread anew, whatever pods of the last one are still there.
    matchLabelKeys: [pod-template-hash]
  {{- end }}
{{- range $key := list "nodeSelector" "affinity" "tolerations" }}
{{- with index $.Values $key }}
{{ $key }}:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end -}}

{{/* Its one container, put together from the library's parts. Called with `root` and `library`. */}}
{{- define "gateway.container" -}}
- name: sidecar
  image: {{ include "sidecar.image" .library | quote }}
  imagePullPolicy: {{ .library.image.pullPolicy }}
  env:
    {{- include "sidecar.env" .library | nindent 4 }}
  ports:
    - name: proxy
      containerPort: {{ int .library.ports.proxy }}
      protocol: TCP
    - name: sidecar-admin
      containerPort: {{ int .library.ports.admin }}
      protocol: TCP
  {{- include "sidecar.probes" .library | nindent 2 }}
  # Unlike beside an app, a pod without a token is of no use, and another one may have one.
  readinessProbe:
    httpGet:
      path: {{ .root.Values.readiness.path }}
      port: sidecar-admin
    periodSeconds: 5
    timeoutSeconds: 3
    failureThreshold: 2
  terminationMessagePolicy: FallbackToLogsOnError
  resources:
    {{- toYaml .library.resources | nindent 4 }}
  securityContext:
    {{- include "sidecar.securityContext" .library | nindent 4 }}
  volumeMounts:
    {{- include "sidecar.volumeMounts" .library | trim | nindent 4 }}
{{- end -}}
