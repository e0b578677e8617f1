package lease

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRules(t *testing.T) {
	with := func(key, value string) Selector { return Selector{MatchLabels: Labels{key: value}} }
	for _, tt := range []struct {
		name string
		pool Pool
		want []string
	}{
		{"none", Pool{}, nil},
		{"addresses", Pool{Exclude: []string{"192.0.2.1", "192.0.2.4/31"}, AvoidBuggyIPs: true, Keep: KeepAlways}, []string{"without 192.0.2.1 192.0.2.4/31", "without .0 and .255", "kept when the ranges shrink"}},
		{"what becomes of addresses", Pool{Keep: KeepNever, RevokeAfter: "5m"}, []string{"forbidden addresses taken back after 5m"}},
		{"choice", Pool{AutoAssign: new(false), Priority: new(0)}, []string{"only if asked for", "priority 0"}},
		{"namespaces by name", Pool{Namespaces: []string{"a", "b"}}, []string{"for namespaces a or b"}},
		{"namespaces by name and label", Pool{Namespaces: []string{"a"}, NamespaceSelectors: []Selector{with("c", "d"), {}}}, []string{"for namespaces a or those with c=d or those with any labels"}},
		{"Services", Pool{ServiceSelectors: []Selector{with("c", "d"), with("e", "f")}}, []string{"for Services with c=d or e=f"}},
		{"where", Pool{NodeSelectors: []Selector{with("c", "d"), {}}, Interfaces: []string{"eth*", "!eth0"}}, []string{"by nodes with c=d or any labels", "on interfaces eth* !eth0"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.pool.Name, tt.pool.Ranges = "p", []string{"192.0.2.0/28"}
			if diff := cmp.Diff(tt.want, mustPools(t, tt.pool).List()[0].Rules()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
