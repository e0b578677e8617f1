package manifests

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"
)

// The rights are exactly these: a new one has to be argued for here and in rbac.yaml.
func TestRights(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		rules []rbacv1.PolicyRule
		want  []string
	}{
		{"cluster", find[*rbacv1.ClusterRole](t).Rules, []string{
			"create /events",
			"get /namespaces kube-system",
			"list /namespaces",
			"list /nodes",
			"list /services",
			"list discovery.k8s.io/endpointslices",
			"patch /events",
			"patch /services/status",
			"watch /namespaces",
			"watch /nodes",
			"watch /services",
			"watch discovery.k8s.io/endpointslices",
		}},
		{"namespace", find[*rbacv1.Role](t).Rules, []string{
			"create /secrets",
			"get /configmaps starling",
			"get /secrets starling-gossip",
			"get apps/daemonsets starling",
			"list /configmaps starling",
			"list /secrets starling-gossip",
			"watch /configmaps starling",
			"watch /secrets starling-gossip",
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, rights(tt.rules)); diff != "" {
				t.Errorf("rights (-want +got):\n%s", diff)
			}
		})
	}
}

// rights are the rules as sorted "verb group/resource names".
func rights(rules []rbacv1.PolicyRule) []string {
	var out []string
	for _, r := range rules {
		for _, g := range r.APIGroups {
			for _, res := range r.Resources {
				for _, v := range r.Verbs {
					out = append(out, strings.TrimSpace(v+" "+g+"/"+res+" "+strings.Join(r.ResourceNames, ",")))
				}
			}
		}
		for _, u := range r.NonResourceURLs {
			out = append(out, "url "+u)
		}
	}
	slices.Sort(out)
	return out
}

// Each rule in the file has its reason above it.
func TestEveryRuleHasAReason(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile("base/rbac.yaml")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(b), "\n")
	rules := 0
	for i, line := range lines {
		if !strings.HasPrefix(line, "  - apiGroups:") {
			continue
		}
		rules++
		if !strings.HasPrefix(lines[i-1], "  # ") {
			t.Errorf("rbac.yaml:%d: no reason above this rule", i+1)
		}
	}
	if want := len(find[*rbacv1.ClusterRole](t).Rules) + len(find[*rbacv1.Role](t).Rules); rules != want {
		t.Errorf("found %d rules in the text, want %d", rules, want)
	}
}

func TestBindings(t *testing.T) {
	t.Parallel()
	subjects := []rbacv1.Subject{{Kind: "ServiceAccount", Name: "starling", Namespace: "starling-system"}}
	cluster, local := find[*rbacv1.ClusterRoleBinding](t), find[*rbacv1.RoleBinding](t)
	if diff := cmp.Diff(subjects, cluster.Subjects); diff != "" {
		t.Errorf("cluster subjects (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(subjects, local.Subjects); diff != "" {
		t.Errorf("namespace subjects (-want +got):\n%s", diff)
	}
	const group = "rbac.authorization.k8s.io"
	if want := (rbacv1.RoleRef{APIGroup: group, Kind: "ClusterRole", Name: "starling"}); cluster.RoleRef != want {
		t.Errorf("cluster role %v, want %v", cluster.RoleRef, want)
	}
	if want := (rbacv1.RoleRef{APIGroup: group, Kind: "Role", Name: "starling"}); local.RoleRef != want {
		t.Errorf("role %v, want %v", local.RoleRef, want)
	}
}

// TestRightsAreExplained: the table of docs/security.md has the same rights as the manifest, each
// with its reason.
func TestRightsAreExplained(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(page), "## Rights in Kubernetes")
	section, _, _ = strings.Cut(section, "\n## ")
	var got []string
	for line := range strings.Lines(section) {
		cells := strings.Split(line, " | ")
		if len(cells) != 3 || strings.HasPrefix(line, "| verbs") {
			continue
		}
		if reason := strings.Trim(cells[2], " |\n"); len(reason) < 10 {
			t.Errorf("%q has no reason", line)
		}
		what, _, _ := strings.Cut(strings.ReplaceAll(cells[1], "`", ""), ",")
		resource, name, _ := strings.Cut(what, " ")
		resource, group, _ := strings.Cut(resource, ".")
		for verb := range strings.SplitSeq(strings.TrimPrefix(cells[0], "| "), ", ") {
			got = append(got, strings.TrimSpace(verb+" "+group+"/"+resource+" "+name))
		}
	}
	slices.Sort(got)
	want := append(rights(find[*rbacv1.ClusterRole](t).Rules), rights(find[*rbacv1.Role](t).Rules)...)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rights (-manifest +docs/security.md):\n%s", diff)
	}
}
