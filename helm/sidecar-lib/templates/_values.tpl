{{/*
The library's values: its defaults with what stands under `sidecar-lib` in the chart that uses it, checked.
Called with that chart's context; gives YAML, for `fromYaml`.

Inside a named template `.Chart` is the chart that uses it: nothing here may take a name or a version from there.
*/}}
{{- define "sidecar.values" -}}
{{- $values := index .Values "sidecar-lib" -}}
{{- if not $values -}}
{{- fail "sidecar-lib: its values are missing: list it under dependencies in Chart.yaml, without an alias, and run helm dependency update" -}}
{{- end -}}
{{- include "sidecar.check" (dict "values" $values "kube" .Capabilities.KubeVersion.Version) -}}
{{- toYaml $values -}}
{{- end -}}
