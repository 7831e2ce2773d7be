{{/*
The sidecar's configuration: what the user wrote under `config`, with preset, upstream and the Secret's file where it is
the short form, and what the chart alone knows. As YAML.
*/}}
{{- define "gateway.config" -}}
{{- $config := deepCopy .Values.config -}}
{{- if not (or $config.routes $config.credentials) -}}
{{- $credential := $config.credential | default dict -}}
{{- with .Values.preset -}}
{{- $_ := set $credential "preset" . -}}
{{- end -}}
{{- if not $credential.api_key -}}
{{- $_ := set $credential "api_key" (dict "file" (printf "/run/secrets/sidecar/%s" .Values.apiKeySecret.key)) -}}
{{- end -}}
{{- $_ := set $config "credential" $credential -}}
{{- with .Values.upstream -}}
{{- $_ := set $config "upstream" . -}}
{{- end -}}
{{- end -}}
{{- $gate := $config.gate | default dict -}}
{{- $_ := set $gate "expose" true -}}
{{- $_ := set $gate "hosts" (concat (include "gateway.hosts" . | fromJsonArray) ($gate.hosts | default list) | uniq) -}}
{{- if .Values.gate.requireToken.secretName -}}
{{- $_ := set $gate "require_token" (dict "file" (printf "/run/secrets/sidecar-gate/%s" .Values.gate.requireToken.key)) -}}
{{- end -}}
{{- $_ := set $config "gate" $gate -}}
{{- $_ := set $config "listen" (printf "%s:%d" .Values.listenAddress (int .Values.ports.proxy)) -}}
{{- $_ := set $config "admin" (dict "listen" (printf "%s:%d" .Values.listenAddress (int .Values.ports.admin))) -}}
{{- $drain := dict "lame_duck" (printf "%ds" (int .Values.drain.lameDuckSeconds)) "most" (printf "%ds" (int .Values.drain.mostSeconds)) -}}
{{- $_ := set $config "drain" $drain -}}
{{- toYaml $config -}}
{{- end -}}
