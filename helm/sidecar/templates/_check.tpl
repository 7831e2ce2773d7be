{{/*
What the schema cannot say in words: values that are needed, that exclude each other, or that this cluster cannot have.
All mistakes at once; prints nothing. deployment.yaml begins with it, also where there is no gateway, and so does the
policy, which the library would refuse first.
*/}}
{{- define "gateway.check" -}}
{{- $mistakes := "" -}}
{{- if .Values.enabled -}}
{{- $mistakes = include "gateway.mistakes" . -}}
{{- end -}}
{{- if .Values.injection.enabled -}}
{{- $mistakes = printf "%s\n%s" $mistakes (include "gateway.mistakes.injection" .) -}}
{{- end -}}
{{- if not (or .Values.enabled .Values.injection.enabled) -}}
{{- $mistakes = "enabled: neither the gateway nor injection.enabled is on: there is nothing to install" -}}
{{- end -}}
{{- with $mistakes | trim -}}
{{- fail (printf "\n%s" (regexReplaceAll "\\n\\s*" . "\n")) -}}
{{- end -}}
{{- end -}}

{{/* One line for each mistake: the key, what is wrong or expected, and what to do. */}}
{{- define "gateway.mistakes" -}}
{{- include "sidecar.mistakes.image" .Values }}
{{- include "sidecar.mistakes.variables" (dict "extraEnv" .Values.extraEnv "appEnv" dict) }}
{{- include "gateway.mistakes.owned" . }}
{{- if or .Values.config.routes .Values.config.credentials }}
{{- include "gateway.mistakes.longForm" . }}
{{- else }}
{{- include "gateway.mistakes.shortForm" . }}
{{- end }}
{{- if and .Values.gate.requireToken.secretName (dig "gate" "require_token" "" .Values.config) }}
gate.requireToken.secretName: config.gate.require_token is given too: remove one of them
{{- end }}
{{- if eq (int .Values.ports.proxy) (int .Values.ports.admin) }}
ports: proxy and admin are the same port: give each its own
{{- end }}
{{- if and .Values.autoscaling.enabled (gt (int .Values.autoscaling.minReplicas) (int .Values.autoscaling.maxReplicas)) }}
autoscaling.minReplicas: {{ .Values.autoscaling.minReplicas }} is more than maxReplicas, {{ .Values.autoscaling.maxReplicas }}
{{- end }}
{{- end -}}

{{/* What the chart sets itself, since Service, probes, policy and grace period follow from it. */}}
{{- define "gateway.mistakes.owned" -}}
{{- range $key, $instead := dict "listen" "ports.proxy and listenAddress" "admin" "ports.admin and listenAddress" "drain" "drain.lameDuckSeconds and drain.mostSeconds" }}
{{- if hasKey $.Values.config $key }}
config.{{ $key }}: the chart sets it: use {{ $instead }}
{{- end }}
{{- end }}
{{- if hasKey (.Values.config.gate | default dict) "expose" }}
config.gate.expose: the chart sets it, since a gateway listens beyond loopback: remove it
{{- end }}
{{- end -}}

{{- define "gateway.mistakes.longForm" -}}
{{- range $key := list "preset" "upstream" }}
{{- if index $.Values $key }}
{{ $key }}: config has routes or credentials, which say this themselves: remove it
{{- end }}
{{- end }}
{{- end -}}

{{- define "gateway.mistakes.shortForm" -}}
{{- $credential := .Values.config.credential | default dict -}}
{{- range $key, $written := dict "preset" $credential.preset "upstream" .Values.config.upstream }}
{{- if and $written (index $.Values $key) }}
{{ $key }}: config has it too: remove one of them
{{- end }}
{{- end }}
{{- $preset := .Values.preset | default $credential.preset }}
{{- if not (or $preset $credential.exchange) }}
preset: missing: giantcontext, or static; or write under config what your vendor asks for (config.credential.exchange, or config.routes and config.credentials)
{{- else if and (ne (toString $preset) "giantcontext") (not (or .Values.upstream .Values.config.upstream)) }}
upstream: missing: the origin of the API, such as https://api.example.com
{{- end }}
{{- if and (has $preset (list "oauth2" "token-exchange" "jwt-bearer" "github-app")) (not ($credential.exchange | default dict).url) }}
config.credential.exchange.url: missing: preset {{ $preset }} asks for the token endpoint's URL, and often for more: see config.example.yaml
{{- end }}
{{- if and .Values.apiKeySecret.name $credential.api_key }}
apiKeySecret.name: config.credential.api_key is given too: remove one of them
{{- else if not (or .Values.apiKeySecret.name $credential.api_key) }}
apiKeySecret.name: missing: the Secret that holds the API key (kubectl create secret generic NAME --from-file=api-key=FILE)
{{- end }}
{{- if and .Values.upstream (not (hasPrefix "https://" .Values.upstream)) }}
upstream: expected an origin such as https://api.example.com, not {{ .Values.upstream | quote }}; for plain http write config.upstream with insecure: true
{{- end }}
{{- end -}}

{{- define "gateway.mistakes.injection" -}}
{{- if not (.Capabilities.APIVersions.Has "admissionregistration.k8s.io/v1/MutatingAdmissionPolicy") }}
injection.enabled: this cluster, {{ .Capabilities.KubeVersion.Version }}, has no MutatingAdmissionPolicy of admissionregistration.k8s.io/v1, which came with Kubernetes 1.36: upgrade it, or use the library chart sidecar-lib in the apps' own charts (with `helm template`: --api-versions admissionregistration.k8s.io/v1/MutatingAdmissionPolicy)
{{- end }}
{{- if not (index .Values "sidecar-lib").native }}
sidecar-lib.native: injected sidecars are native ones: remove it
{{- end }}
{{- $context := include "gateway.injected" . | fromYaml -}}
{{- with include "sidecar.mistakes" (dict "values" (index $context.Values "sidecar-lib") "kube" .Capabilities.KubeVersion.Version) | trim }}
{{ printf "sidecar-lib.%s" (regexReplaceAll "\\n\\s*" . "\nsidecar-lib.") }}
{{- end }}
{{- end -}}
