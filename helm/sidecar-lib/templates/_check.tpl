{{/*
What the schema cannot say in words: values that are needed, that exclude each other, or that this cluster cannot run.
Called with `values` and `kube`, the cluster's version. Prints nothing.
*/}}
{{- define "sidecar.check" -}}
{{- include "sidecar.check.image" .values -}}
{{- if .values.config.configMap -}}
{{- include "sidecar.check.longForm" .values -}}
{{- else -}}
{{- include "sidecar.check.shortForm" .values -}}
{{- end -}}
{{- if eq (int .values.ports.proxy) (int .values.ports.admin) -}}
{{- fail "sidecar-lib.ports: proxy and admin are the same port: give each its own" -}}
{{- end -}}
{{- if and .values.native (semverCompare "<1.29.0-0" .kube) -}}
{{- fail (printf "sidecar-lib.native: native sidecars need Kubernetes 1.29, and this cluster is %s: set sidecar-lib.native: false, or upgrade it" .kube) -}}
{{- end -}}
{{- end -}}

{{- define "sidecar.check.image" -}}
{{- if not .image.repository -}}
{{- fail "sidecar-lib.image.repository: missing: no image is published; build the Dockerfile, push it to a registry of yours, and name it here" -}}
{{- end -}}
{{- if not (or .image.tag .image.digest) -}}
{{- fail "sidecar-lib.image.tag: missing: give a tag, or a digest" -}}
{{- end -}}
{{- end -}}

{{- define "sidecar.check.longForm" -}}
{{- range $key := list "preset" "upstream" "apiKeyFile" -}}
{{- if index $ $key -}}
{{- fail (printf "sidecar-lib.%s: it stands beside config.configMap, which says that itself: remove one of them" $key) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "sidecar.check.shortForm" -}}
{{- if not .preset -}}
{{- fail "sidecar-lib.preset: missing: giantcontext, or static; for any other vendor write a configuration into a ConfigMap and name it at sidecar-lib.config.configMap" -}}
{{- end -}}
{{- if not (has .preset (list "giantcontext" "static")) -}}
{{- fail (printf "sidecar-lib.preset: %s needs more than a key (exchange.url, for one): write a configuration into a ConfigMap and name it at sidecar-lib.config.configMap" .preset) -}}
{{- end -}}
{{- if and (eq .preset "static") (not .upstream) -}}
{{- fail "sidecar-lib.upstream: missing: preset static has none of its own; give the API's origin, such as https://api.example.com" -}}
{{- end -}}
{{- if and .apiKeySecret.name .apiKeyFile -}}
{{- fail "sidecar-lib.apiKeyFile: it stands beside apiKeySecret.name: give one of them" -}}
{{- end -}}
{{- if not (or .apiKeySecret.name .apiKeyFile) -}}
{{- fail "sidecar-lib.apiKeySecret.name: missing: the Secret that holds the API key (kubectl create secret generic NAME --from-file=api-key=FILE), or give apiKeyFile" -}}
{{- end -}}
{{- end -}}
