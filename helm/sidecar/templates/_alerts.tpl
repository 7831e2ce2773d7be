{{/*
The groups of files/alerts.yaml, without the alerts that are left out, each with its runbook's address. As YAML. Never
through `tpl`: what an alert says is Prometheus' template, in the same braces.
*/}}
{{- define "gateway.alerts" -}}
{{- $values := .Values.monitoring.prometheusRule -}}
{{- $file := .Files.Get "files/alerts.yaml" | fromYaml -}}
{{- $names := list -}}
{{- $groups := list -}}
{{- range $group := required "files/alerts.yaml: it holds no groups" $file.groups -}}
{{- $rules := list -}}
{{- range $rule := $group.rules -}}
{{- $names = append $names $rule.alert -}}
{{- if not (has $rule.alert $values.leaveOut) -}}
{{- $runbook := printf "%s#%s" $values.runbookUrl (lower $rule.alert) -}}
{{- $annotations := set (omit $rule.annotations "runbook") "runbook_url" $runbook -}}
{{- $rules = append $rules (set $rule "annotations" $annotations) -}}
{{- end -}}
{{- end -}}
{{- if $rules -}}
{{- $groups = append $groups (set $group "rules" $rules) -}}
{{- end -}}
{{- end -}}
{{- range $name := $values.leaveOut -}}
{{- if not (has $name $names) -}}
{{- fail (printf "monitoring.prometheusRule.leaveOut: there is no alert %s: expected some of %s" $name (join ", " $names)) -}}
{{- end -}}
{{- end -}}
{{- toYaml $groups -}}
{{- end -}}
