{{/*
What the schema cannot say in words: values that are needed, that exclude each other, or that this cluster cannot run.
All mistakes at once. Called with `values` and `kube`, the cluster's version; prints nothing.
*/}}
{{- define "sidecar.check" -}}
{{- $mistakes := regexReplaceAll "\\n\\s*" (include "sidecar.mistakes" . | trim) "\nsidecar-lib." -}}
{{- if $mistakes -}}
{{- fail (printf "\nsidecar-lib.%s" $mistakes) -}}
{{- end -}}
{{- end -}}

{{/* One line for each mistake: the key, what is wrong or expected, and what to do. */}}
{{- define "sidecar.mistakes" -}}
{{- include "sidecar.mistakes.image" .values }}
{{- if .values.config.configMap }}
{{- include "sidecar.mistakes.longForm" .values }}
{{- else }}
{{- include "sidecar.mistakes.shortForm" .values }}
{{- include "sidecar.mistakes.apiKey" .values }}
{{- end }}
{{- include "sidecar.mistakes.variables" .values }}
{{- if eq (int .values.ports.proxy) (int .values.ports.admin) }}
ports: proxy and admin are the same port: give each its own
{{- end }}
{{- if and .values.native (semverCompare "<1.29.0-0" .kube) }}
native: native sidecars need Kubernetes 1.29, and this cluster has {{ .kube }}: upgrade it, or set native: false and move the include from initContainers to containers
{{- end }}
{{- end -}}

{{- define "sidecar.mistakes.image" -}}
{{- if not .image.repository }}
image.repository: missing: no image is published; build the Dockerfile, push it to a registry of yours, and name it here
{{- end }}
{{- if not (or .image.tag .image.digest) }}
image.tag: missing: give a tag, or a digest
{{- end }}
{{- if and .image.digest (not (regexMatch "^sha256:[0-9a-f]{64}$" .image.digest)) }}
image.digest: expected sha256: and 64 hexadecimal digits, not {{ .image.digest | quote }}
{{- end }}
{{- end -}}

{{- define "sidecar.mistakes.longForm" -}}
{{- range $key := list "preset" "upstream" "apiKeyFile" }}
{{- if index $ $key }}
{{ $key }}: config.configMap is given too, and its configuration says this: remove one of them
{{- end }}
{{- end }}
{{- end -}}

{{- define "sidecar.mistakes.shortForm" -}}
{{- $file := "write a configuration into a ConfigMap and name that at config.configMap" }}
{{- if not .preset }}
preset: missing: giantcontext, or static; for another vendor {{ $file }}
{{- else if not (has .preset (list "giantcontext" "static")) }}
preset: {{ .preset }} needs more than a key, its exchange.url for one: {{ $file }}
{{- end }}
{{- if and (eq .preset "static") (not .upstream) }}
upstream: missing: preset static has none of its own; give the API's origin, such as https://api.example.com
{{- end }}
{{- if and .upstream (not (regexMatch "^(https://|http://(127\\.0\\.0\\.1|localhost|\\[::1\\])([:/]|$))" .upstream)) }}
upstream: expected an origin such as https://api.example.com (http is for the pod's own loopback), not {{ .upstream | quote }}
{{- end }}
{{- end -}}

{{- define "sidecar.mistakes.apiKey" -}}
{{- if and .apiKeySecret.name .apiKeyFile }}
apiKeyFile: apiKeySecret.name is given too: remove one of them
{{- else if not (or .apiKeySecret.name .apiKeyFile) }}
apiKeySecret.name: missing: the Secret that holds the API key (kubectl create secret generic NAME --from-file=api-key=FILE); or give apiKeyFile
{{- end }}
{{- if and .apiKeyFile (not (hasPrefix "/" .apiKeyFile)) }}
apiKeyFile: expected a path that starts with /, not {{ .apiKeyFile | quote }}
{{- end }}
{{- end -}}

{{- define "sidecar.mistakes.variables" -}}
{{- range $variable := .extraEnv }}
{{- if eq (toString $variable.name) "SIDECAR_API_KEY" }}
extraEnv: SIDECAR_API_KEY would put the key into the environment, where it cannot change: give apiKeySecret or apiKeyFile
{{- else if has $variable.name (list "SIDECAR_PRESET" "SIDECAR_UPSTREAM" "SIDECAR_API_KEY_FILE" "SIDECAR_LISTEN" "SIDECAR_ADMIN_LISTEN" "SIDECAR_CONFIG" "SIDECAR_FAIL_FAST" "SIDECAR_LOG_LEVEL") }}
extraEnv: {{ $variable.name }} is set by other values of this chart: use those
{{- end }}
{{- end }}
{{- range $name, $_ := .appEnv }}
{{- if eq $name "SIDECAR_URL" }}
appEnv: SIDECAR_URL is always there: remove it
{{- else if not (regexMatch "^[A-Za-z_][A-Za-z0-9_]*$" $name) }}
appEnv: {{ $name | quote }} is no name of a variable
{{- end }}
{{- end }}
{{- end -}}
