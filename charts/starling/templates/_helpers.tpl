{{/* Names are fixed: there is one installation in a cluster, and the speakers look for the Secret by its name. */}}
{{- define "starling.labels" -}}
app.kubernetes.io/name: starling
{{- end }}

{{- define "starling.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{/* The ConfigMap of the pools: the one made of them, or the user's own. */}}
{{- define "starling.poolsConfigMap" -}}
{{- if and .Values.poolsConfigMap .Values.pools }}
{{- fail "give either pools or poolsConfigMap: the pools are written here, or they are in a ConfigMap of your own" }}
{{- end }}
{{- if and .Values.poolsConfigMap .Values.bgp }}
{{- fail "give either bgp or poolsConfigMap: the routers are written here, or they are in a ConfigMap of your own" }}
{{- end }}
{{- .Values.poolsConfigMap | default "starling" }}
{{- end }}

{{/* Arguments of "starling run"; what is as by default is left out. */}}
{{- define "starling.args" -}}
- run
- --config-map={{ include "starling.poolsConfigMap" . }}
- --state-dir=/var/lib/starling
{{- with .Values.loadBalancerClass }}
- {{ printf "--lb-class=%s" . | quote }}
{{- end }}
{{- range .Values.loadBalancerClasses }}
- {{ printf "--lb-class=%s" . | quote }}
{{- end }}
{{- range .Values.interfaces }}
- {{ printf "--interface=%s" . | quote }}
{{- end }}
{{- if ne .Values.failureDetection "default" }}
- --failure-detection={{ .Values.failureDetection }}
{{- end }}
{{- if ne .Values.restartGrace "1m" }}
- --restart-grace={{ .Values.restartGrace }}
{{- end }}
{{- if ne .Values.holdDown "3s" }}
- --hold-down={{ .Values.holdDown }}
{{- end }}
{{- if not .Values.forwardingTest }}
- --forwarding-test=false
{{- end }}
{{- if .Values.keepConnections }}
- --keep-connections
{{- end }}
{{- if .Values.ignoreExcludeLabel }}
- --ignore-exclude-label
{{- end }}
{{- if .Values.metricsPerAddress }}
- --metrics-per-address
{{- end }}
{{- if ne .Values.log.level "info" }}
- --log-level={{ .Values.log.level }}
{{- end }}
{{- if ne .Values.log.format "json" }}
- --log-format={{ .Values.log.format }}
{{- end }}
{{- if .Values.status.auth }}
- --status-auth
{{- end }}
{{- if .Values.status.tlsSecret }}
- --status-tls-cert-file=/etc/starling-tls/tls.crt
- --status-tls-key-file=/etc/starling-tls/tls.key
{{- end }}
{{- range .Values.extraArgs }}
- {{ . | quote }}
{{- end }}
{{- end }}

{{/* Whether the cluster has ValidatingAdmissionPolicies. "helm template" does not know the kinds of one, only a version. */}}
{{- define "starling.admission" -}}
{{- $has := .Capabilities.APIVersions.Has "admissionregistration.k8s.io/v1/ValidatingAdmissionPolicy" }}
{{- if not (.Capabilities.APIVersions.Has "v1/Service") }}
{{- $has = semverCompare ">=1.30-0" .Capabilities.KubeVersion.Version }}
{{- end }}
{{- if and .Values.admission.enabled $has }}yes{{ end }}
{{- end }}
