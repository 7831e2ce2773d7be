{{/* The name of everything that the chart makes, and of the host that apps ask. */}}
{{- define "gateway.name" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- $name := .Values.nameOverride | default .Chart.Name -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* What the gateway's pods are found by; it cannot change while the Deployment lives. */}}
{{- define "gateway.selector" -}}
app.kubernetes.io/name: {{ .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: gateway
{{- end -}}

{{/* Labels of everything that the chart makes. */}}
{{- define "gateway.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/name: {{ .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{/* What a resource of the gateway starts with. */}}
{{- define "gateway.metadata" -}}
name: {{ include "gateway.name" . }}
namespace: {{ .Release.Namespace }}
labels:
  {{- include "gateway.labels" . | nindent 2 }}
{{- end -}}

{{- define "gateway.serviceAccountName" -}}
{{- .Values.serviceAccount.name | default (ternary (include "gateway.name" .) "default" .Values.serviceAccount.create) -}}
{{- end -}}

{{/* Host names that apps may ask, as JSON; with the Service's port, where it is neither http's nor the listener's. */}}
{{- define "gateway.hosts" -}}
{{- $name := include "gateway.name" . -}}
{{- $namespace := .Release.Namespace -}}
{{- $service := printf "%s.%s.svc" $name $namespace -}}
{{- $names := list $name (printf "%s.%s" $name $namespace) $service (printf "%s.%s" $service .Values.gate.clusterDomain) -}}
{{- $names = concat $names .Values.gate.hosts -}}
{{- $port := int .Values.service.port -}}
{{- if not (has $port (list 80 (int .Values.ports.proxy))) -}}
{{- range $each := $names -}}
{{- if not (regexMatch ":[0-9]+$" $each) -}}
{{- $names = append $names (printf "%s:%d" $each $port) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $names | toJson -}}
{{- end -}}

{{/* Where apps reach it. */}}
{{- define "gateway.url" -}}
{{- $port := int .Values.service.port -}}
http://{{ include "gateway.name" . }}.{{ .Release.Namespace }}{{ if ne $port 80 }}:{{ $port }}{{ end }}
{{- end -}}
