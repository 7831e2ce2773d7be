{{/*
A value as CEL. Called with `value` and `type`, the path of its place such as Object.spec.volumes.

A mapping becomes an object, and never a map: CEL as Kubernetes reads it has no maps of mixed kinds, and an object's type
has to be its path. Only where a name cannot be a field's (nvidia.com/gpu, or a word of CEL) is it a map, of strings.
*/}}
{{- define "gateway.cel" -}}
{{- if kindIs "map" .value -}}
{{- $keys := without (keys .value | sortAlpha) -}}
{{- $names := true -}}
{{- range $key := $keys -}}
{{- if or (not (regexMatch "^[A-Za-z_][A-Za-z0-9_]*$" $key)) (has $key (include "gateway.cel.words" $ | splitList " ")) -}}
{{- $names = false -}}
{{- end -}}
{{- end -}}
{{- if $names -}}{{ .type }}{{- end -}}
{{- $items := list -}}
{{- range $key := $keys -}}
{{- $value := index $.value $key -}}
{{- if $names -}}
{{- $items = append $items (printf "%s: %s" $key (include "gateway.cel" (dict "value" $value "type" (printf "%s.%s" $.type $key)))) -}}
{{- else if or (kindIs "map" $value) (kindIs "slice" $value) -}}
{{- fail (printf "sidecar-lib: the key %s at %s cannot be put into a policy: use the library chart in the app's own chart" $key $.type) -}}
{{- else -}}
{{- $items = append $items (printf "%q: %q" $key (toString $value)) -}}
{{- end -}}
{{- end -}}
{{ "{" }}{{ include "gateway.cel.lines" $items }}{{ "}" }}
{{- else if kindIs "slice" .value -}}
{{- $items := list -}}
{{- range $value := .value -}}
{{- $items = append $items (include "gateway.cel" (dict "value" $value "type" $.type)) -}}
{{- end -}}
[{{ include "gateway.cel.lines" $items }}]
{{- else if kindIs "string" .value -}}
{{ .value | quote }}
{{- else if kindIs "bool" .value -}}
{{ .value }}
{{- else if ne (float64 .value) (floor .value) -}}
{{- /* A fraction is a quantity (cpu: 0.5), which may be text as well. */ -}}
{{ toString .value | quote }}
{{- else -}}
{{ int64 .value }}
{{- end -}}
{{- end -}}

{{/* The items of a list or an object: one alone stays on its line. */}}
{{- define "gateway.cel.lines" -}}
{{- $text := join ", " . -}}
{{- if or (contains "\n" $text) (gt (len $text) 90) -}}
{{- printf "\n%s\n" (join ",\n" . | indent 2) -}}
{{- else -}}
{{- $text -}}
{{- end -}}
{{- end -}}

{{/* CEL's own words, which no field can be called by. Source: CEL's language definition, "Syntax". */}}
{{- define "gateway.cel.words" -}}
as break const continue else false for function if import in let loop namespace null package return true var void while
{{- end -}}
