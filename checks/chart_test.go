package checks

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/starling-lb/starling/checks/chart"
)

const (
	chartFolder = "../charts/starling"
	namespace   = "starling-system"
	daemonSet   = "DaemonSet starling-system/starling"
	container   = "spec.template.spec.containers.0"
)

func render(t *testing.T, values string) map[string]map[string]any {
	t.Helper()
	text, _, err := chart.Render(chartFolder, namespace, parse[map[string]any](t, "values", values))
	if err != nil {
		t.Fatal(err)
	}
	return objects(t, text)
}

// TestChartIsTheManifest: without values the chart installs what the manifest does. The namespace
// is Helm's, unless asked for.
func TestChartIsTheManifest(t *testing.T) {
	want := objects(t, read(t, "../manifests/starling.yaml"))
	if diff := cmp.Diff(want, withoutPools(t, render(t, "namespace: {create: true}"))); diff != "" {
		t.Errorf("with a namespace (-manifest +chart):\n%s", diff)
	}
	delete(want, "Namespace /starling-system")
	if diff := cmp.Diff(want, withoutPools(t, render(t, "{}"))); diff != "" {
		t.Errorf("without values (-manifest +chart):\n%s", diff)
	}
	if diff := cmp.Diff(want, render(t, "poolsConfigMap: starling")); diff != "" {
		t.Errorf("with a ConfigMap of the user's own (-manifest +chart):\n%s", diff)
	}
}

const poolsMap = "ConfigMap starling-system/starling"

// withoutPools takes the ConfigMap of the pools away, which with the manifest is the user's own.
func withoutPools(t *testing.T, all map[string]map[string]any) map[string]map[string]any {
	t.Helper()
	pools := at(configured(t, all)[poolsMap], "data").(map[string]any)["starling.yaml"]
	if diff := cmp.Diff(map[string]any{"pools": []any{}}, pools); diff != "" {
		t.Errorf("pools (-want +got):\n%s", diff)
	}
	delete(all, poolsMap)
	return all
}

func TestChartValues(t *testing.T) {
	for _, tt := range []struct {
		name, values string
		object, path string
		want         any
	}{
		{"image", "image: {repository: registry.example/s, tag: v9, pullPolicy: Never}", daemonSet, container + ".image", "registry.example/s:v9"},
		{"pull policy", "image: {pullPolicy: Never}", daemonSet, container + ".imagePullPolicy", "Never"},
		{"pull secrets", "imagePullSecrets: [{name: s}]", daemonSet, "spec.template.spec.imagePullSecrets.0.name", "s"},
		{
			"arguments",
			"{loadBalancerClass: l2, loadBalancerClasses: ['', example.com/l3], interfaces: [eth*, '!eth9'], failureDetection: fast, restartGrace: 90s, holdDown: never, forwardingTest: false, keepConnections: true, ignoreExcludeLabel: true, metricsPerAddress: true, log: {level: debug, format: console}, extraArgs: ['--join=n9']}",
			daemonSet, container + ".args",
			[]any{
				"run", "--config-map=starling", "--state-dir=/var/lib/starling", "--lb-class=l2", "--lb-class=", "--lb-class=example.com/l3", "--interface=eth*", "--interface=!eth9",
				"--failure-detection=fast", "--restart-grace=90s", "--hold-down=never", "--forwarding-test=false", "--keep-connections", "--ignore-exclude-label", "--metrics-per-address", "--log-level=debug", "--log-format=console", "--join=n9",
			},
		},
		{"capabilities", "{}", daemonSet, container + ".securityContext.capabilities.add", []any{"NET_RAW"}},
		{"state", "stateDir: /data", daemonSet, "spec.template.spec.volumes.0.hostPath.path", "/data"},
		{"pools elsewhere", "poolsConfigMap: mine", daemonSet, container + ".args.1", "--config-map=mine"},
		{"rights to pools elsewhere", "poolsConfigMap: mine", "Role starling-system/starling", "rules.1.resourceNames.0", "mine"},
		{"no pools of ours beside them", "poolsConfigMap: mine", poolsMap, "data", ""},
		{"resources", "resources: {limits: {memory: 1Gi}}", daemonSet, container + ".resources.limits.memory", "1Gi"},
		{"priority", "priorityClassName: high", daemonSet, "spec.template.spec.priorityClassName", "high"},
		{"no priority", "priorityClassName: ''", daemonSet, "spec.template.spec.priorityClassName", ""},
		{"nodes", "nodeSelector: {edge: 'yes'}", daemonSet, "spec.template.spec.nodeSelector.edge", "yes"},
		{"tolerations", "tolerations: [{key: a}]", daemonSet, "spec.template.spec.tolerations.0.key", "a"},
		{"update", "maxUnavailable: 20%", daemonSet, "spec.updateStrategy.rollingUpdate.maxUnavailable", "20%"},
		{"annotations", "podAnnotations: {a: b}", daemonSet, "spec.template.metadata.annotations.a", "b"},
		{"gossip", "networkPolicy: {enabled: true, gossipFrom: [10.0.0.0/8]}", "NetworkPolicy starling-system/starling", "spec.ingress.0.from.0.ipBlock.cidr", "10.0.0.0/8"},
		{"status", "networkPolicy: {enabled: true, statusFrom: ['fd00::/8']}", "NetworkPolicy starling-system/starling", "spec.ingress.1.from.0.ipBlock.cidr", "fd00::/8"},
		{"BFD", "networkPolicy: {enabled: true, bfdFrom: [192.0.2.1/32]}", policy, "spec.ingress.2.from.0.ipBlock.cidr", "192.0.2.1/32"},
		{"BFD of a router beside the nodes", "networkPolicy: {enabled: true}", policy, "spec.ingress.2.ports.0.port", 3784.0},
		{"BFD of a distant router", "networkPolicy: {enabled: true}", policy, "spec.ingress.2.ports.1.port", 4784.0},
		{"addresses", "admission: {ranges: [192.168.1.240/28, 'fd00::/112']}", "ValidatingAdmissionPolicy /starling-services", "spec.validations.6.message", "a speaker writes only addresses of 192.168.1.240/28, fd00::/112 (admission.ranges)"},
		{"any addresses", "{}", "ValidatingAdmissionPolicy /starling-services", "spec.validations.6", ""},
		{"token", "status: {auth: true}", daemonSet, container + ".args.3", "--status-auth"},
		{"rights to ask about tokens", "status: {auth: true}", "ClusterRoleBinding /starling-auth-delegator", "roleRef.name", "system:auth-delegator"},
		{"probes by TLS", "status: {auth: true}", daemonSet, container + ".readinessProbe.httpGet.scheme", "HTTPS"},
		{"certificate", "status: {tlsSecret: s}", daemonSet, container + ".args.3", "--status-tls-cert-file=/etc/starling-tls/tls.crt"},
		{"certificate's place", "status: {tlsSecret: s}", daemonSet, container + ".volumeMounts.1.mountPath", "/etc/starling-tls"},
		{"certificate's Secret", "status: {tlsSecret: s}", daemonSet, "spec.template.spec.volumes.1.secret.secretName", "s"},
		{"scraping by TLS", "{status: {auth: true}, monitoring: {podMonitor: {enabled: true}}}", "PodMonitor starling-system/starling", "spec.podMetricsEndpoints.0.scheme", "https"},
		{"scraping with a token", "monitoring: {podMonitor: {enabled: true, endpoint: {authorization: {credentials: {name: s}}}}}", "PodMonitor starling-system/starling", "spec.podMetricsEndpoints.0.authorization.credentials.name", "s"},
		{"scraping otherwise", "monitoring: {podMonitor: {enabled: true, endpoint: {interval: 30s}}}", "PodMonitor starling-system/starling", "spec.podMetricsEndpoints.0.interval", "30s"},
		{"scraping", "monitoring: {podMonitor: {enabled: true, labels: {release: p}}}", "PodMonitor starling-system/starling", "metadata.labels.release", "p"},
		{"alerts", "monitoring: {prometheusRule: {enabled: true}}", "PrometheusRule starling-system/starling", "spec.groups.0.rules.0.alert", "StarlingNoOwner"},
		{"dashboard", "monitoring: {dashboard: {enabled: true}}", "ConfigMap starling-system/starling-dashboard", "metadata.labels.grafana_dashboard", "1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := render(t, tt.values)[tt.object]
			if diff := cmp.Diff(tt.want, at(o, tt.path)); diff != "" {
				t.Errorf("%s of %s (-want +got):\n%s", tt.path, tt.object, diff)
			}
		})
	}
}

// TestChartAdmission: the chart limits what speakers write where the cluster can, in the namespace
// of the release.
func TestChartAdmission(t *testing.T) {
	const kind, api = "ValidatingAdmissionPolicy", "admissionregistration.k8s.io/v1/ValidatingAdmissionPolicy"
	for _, tt := range []struct {
		name, values string
		cluster      chart.Cluster
		want         int
	}{
		{"a cluster that has the API", "{}", chart.Cluster{Version: "v1.30.0", Kinds: []string{"v1/Service", api}}, 3},
		{"switched off", "admission: {enabled: false}", chart.Cluster{Version: "v1.30.0", Kinds: []string{"v1/Service", api}}, 0},
		{"a cluster without the API", "{}", chart.Cluster{Version: "v1.30.0", Kinds: []string{"v1/Service"}}, 0},
		{"helm template", "{}", chart.Cluster{Version: "v1.30.0+k3s1"}, 3},
		{"helm template for an old cluster", "{}", chart.Cluster{Version: "v1.29.9"}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			text, _, err := chart.RenderFor(tt.cluster, chartFolder, "lb", parse[map[string]any](t, "values", tt.values))
			if err != nil {
				t.Fatal(err)
			}
			policies, bindings := 0, 0
			for id, o := range objects(t, text) {
				switch {
				case strings.HasPrefix(id, kind+" "):
					policies++
					want := `request.userInfo.username == "system:serviceaccount:lb:starling"`
					if got := at(o, "spec.matchConditions.0.expression"); got != want {
						t.Errorf("%s is for %s, want %s", id, got, want)
					}
				case strings.HasPrefix(id, kind+"Binding "):
					bindings++
				}
			}
			if policies != tt.want || bindings != tt.want {
				t.Errorf("%d policies and %d bindings, want %d of each", policies, bindings, tt.want)
			}
		})
	}
}

// TestChartMonitoring: what the chart installs for Prometheus is what manifests/monitoring has, in
// the namespace of the release.
func TestChartMonitoring(t *testing.T) {
	text, _, err := chart.Render(chartFolder, "lb", parse[map[string]any](t, "values", `
monitoring: {podMonitor: {enabled: true}, prometheusRule: {enabled: true}, dashboard: {enabled: true}}`))
	if err != nil {
		t.Fatal(err)
	}
	got := objects(t, text)
	for id, o := range got {
		if at(o, "metadata.namespace") != "lb" && !strings.HasPrefix(id, "ClusterRole") && !strings.HasPrefix(id, "ValidatingAdmission") {
			t.Errorf("%s is not in the namespace of the release", id)
		}
	}
	for kind, file := range map[string]string{"PodMonitor": "podmonitor.yaml", "PrometheusRule": "prometheusrule.yaml"} {
		want := parse[map[string]any](t, file, read(t, "../manifests/monitoring/"+file))
		if diff := cmp.Diff(want["spec"], at(got[kind+" lb/starling"], "spec")); diff != "" {
			t.Errorf("%s (-file +chart):\n%s", kind, diff)
		}
	}
	var shipped, rendered any
	err = json.Unmarshal([]byte(read(t, "../manifests/monitoring/dashboard.json")), &shipped)
	if err == nil {
		data := at(got["ConfigMap lb/starling-dashboard"], "data").(map[string]any)
		err = json.Unmarshal([]byte(data["starling.json"].(string)), &rendered)
	}
	if diff := cmp.Diff(shipped, rendered); err != nil || diff != "" {
		t.Errorf("dashboard %v (-file +chart):\n%s", err, diff)
	}
}

// TestChartPools: all that a pool may say goes through the schema, unchanged, into the
// configuration.
func TestChartPools(t *testing.T) {
	example := read(t, "../manifests/config.yaml")
	got := configured(t, render(t, example))["ConfigMap starling-system/starling"]
	want := parse[map[string]any](t, "config.yaml", example)
	if diff := cmp.Diff(want, at(got, "data").(map[string]any)["starling.yaml"]); diff != "" {
		t.Errorf("configuration (-config.yaml +chart):\n%s", diff)
	}
	known := at(parse[map[string]any](t, "schema", read(t, chartFolder+"/values.schema.json")), "properties.pools.items.properties").(map[string]any)
	used := map[string]bool{}
	for _, pool := range want["pools"].([]any) {
		for key := range pool.(map[string]any) {
			used[key] = true
		}
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(used)), slices.Sorted(maps.Keys(known))); diff != "" {
		t.Errorf("keys of a pool (-config.yaml +schema):\n%s", diff)
	}
}

// TestChartRefuses: mistakes are told before anything is installed.
func TestChartRefuses(t *testing.T) {
	for name, tt := range map[string]struct{ values, want string }{
		"unknown value":     {"pool: []", "pool"},
		"unknown pool key":  {"pools: [{name: a, ranges: [192.0.2.0/24], prio: 1}]", "prio"},
		"pool without name": {"pools: [{ranges: [192.0.2.0/24]}]", "name"},
		"wrong type":        {"pools: {name: a}", "array"},
		"wrong word":        {"failureDetection: slow", "fast"},
		"no flag":           {"extraArgs: [debug]", "pattern"},
		"pools twice":       {"{pools: [{name: a, ranges: [192.0.2.0/24]}], poolsConfigMap: mine}", "either pools or poolsConfigMap"},
		"no CIDR":           {"networkPolicy: {gossipFrom: [n1]}", "pattern"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := chart.Render(chartFolder, namespace, parse[map[string]any](t, "values", tt.values))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}

// TestChartValuesAreDocumented: the values are those of the schema, and each has a comment in the
// file.
func TestChartValuesAreDocumented(t *testing.T) {
	text := read(t, chartFolder+"/values.yaml")
	schema := parse[map[string]any](t, "schema", read(t, chartFolder+"/values.schema.json"))
	compare(t, "values", parse[map[string]any](t, "values.yaml", text), schema)
	lines := strings.Split(text, "\n")
	documented := 0
	for i, line := range lines {
		// A key with a value; one that only holds others is explained by them.
		if !regexp.MustCompile(`^ *[a-zA-Z]+: \S`).MatchString(line) && !regexp.MustCompile(`^(resources|nodeSelector|tolerations|pools):`).MatchString(line) {
			continue
		}
		documented++
		if above := strings.TrimSpace(lines[i-1]); !strings.HasPrefix(above, "# ") && !underResources(lines[:i]) {
			t.Errorf("values.yaml:%d: no comment above %q", i+1, line)
		}
	}
	if documented < 25 {
		t.Errorf("only %d values found", documented)
	}
}

// underResources reports whether the line after these is inside of a value that Kubernetes defines.
func underResources(lines []string) bool {
	for _, line := range slices.Backward(lines) {
		if line != "" && !strings.HasPrefix(line, " ") && !strings.HasPrefix(line, "#") {
			return regexp.MustCompile(`^(resources|nodeSelector|tolerations):`).MatchString(line) || strings.HasPrefix(line, "  ")
		}
	}
	return false
}

// compare goes down where the schema knows the keys, and wants each key on both sides and
// described.
func compare(t *testing.T, where string, values, schema map[string]any) {
	t.Helper()
	properties, closed := schema["properties"].(map[string]any)
	if !closed {
		return
	}
	want := slices.DeleteFunc(slices.Sorted(maps.Keys(properties)), func(s string) bool { return s == "global" })
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(values))); diff != "" {
		t.Errorf("%s (-schema +values.yaml):\n%s", where, diff)
	}
	for key, v := range properties {
		p := v.(map[string]any)
		if d := fmt.Sprint(p["description"]); len(d) < 5 {
			t.Errorf("%s.%s has no description", where, key)
		}
		if below, ok := values[key].(map[string]any); ok {
			compare(t, where+"."+key, below, p)
		}
	}
}

func TestChartNotes(t *testing.T) {
	for values, want := range map[string]string{
		"{}": "There is no pool yet", "poolsConfigMap: mine": "in your ConfigMap starling-system/mine", "pools: [{name: a, ranges: [192.0.2.0/24]}, {name: b, ranges: [192.0.3.0/24]}]": "from the pools: a, b.",
	} {
		_, notes, err := chart.Render(chartFolder, namespace, parse[map[string]any](t, "values", values))
		if err != nil || !strings.Contains(notes, want) {
			t.Errorf("notes %q, %v, want %q", notes, err, want)
		}
	}
}

// TestChartLint: Helm itself finds nothing to warn of, neither at defaults nor with all that is
// optional.
func TestChartLint(t *testing.T) {
	for _, values := range []string{
		"{}",
		read(t, "../manifests/config.yaml"),
		"{namespace: {create: true}, status: {auth: true, tlsSecret: s}, networkPolicy: {enabled: true}, monitoring: {podMonitor: {enabled: true}, prometheusRule: {enabled: true}, dashboard: {enabled: true}}}",
	} {
		file := filepath.Join(t.TempDir(), "values.yaml")
		if err := os.WriteFile(file, []byte(values), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.CommandContext(t.Context(), "go", "tool", "helm", "lint", "--strict", "--values", file, chartFolder).CombinedOutput()
		if err != nil || !strings.Contains(string(out), "0 chart(s) failed") {
			t.Errorf("helm lint: %v with %.60s\n%s", err, values, out)
		}
	}
}
