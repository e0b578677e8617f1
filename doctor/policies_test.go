package doctor

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPolicies(t *testing.T) {
	t.Parallel()
	const here, other = "system:serviceaccount:mine:starling", "system:serviceaccount:starling-system:starling"
	todo := "write that user name into their `matchConditions`; docs/install.md has the lines for a kustomization with a namespace of its own"
	for _, tt := range []struct {
		name     string
		list     []Policy
		speakers []string
		want     []Check
	}{
		{"they apply", []Policy{{"a", []string{here}}, {"b", []string{here, other}}}, []string{here, here}, []Check{{"policies", OK, "2 admission policies limit what speakers may write", "", ""}}},
		{"another namespace", []Policy{{"a", []string{other}}, {"b", []string{other}}}, []string{here, here}, []Check{{"policies", Warn, "admission policies do not apply to the speakers, whose user is " + here + ": a, b", todo, ""}}},
		{"one of two", []Policy{{"a", []string{here}}, {"b", nil}}, []string{here}, []Check{{"policies", Warn, "admission policies do not apply to the speakers, whose user is " + here + ": b", todo, ""}}},
		{"none", nil, []string{here}, []Check{{"policies", Info, "no admission policy limits what speakers may write", "apply the manifest as a whole, or set the chart's `admission.enabled`; see docs/security.md", ""}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, Policies(tt.list, tt.speakers)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
