package speaker

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/starling-lb/starling/arpd"
	"github.com/starling-lb/starling/health"
	"github.com/starling-lb/starling/lease"
	"github.com/starling-lb/starling/mesh"
	"github.com/starling-lb/starling/owner"
	"github.com/starling-lb/starling/report"
)

// TestGauges: what is wrong can be alerted on.
func TestGauges(t *testing.T) {
	t.Parallel()
	wrong := []health.Condition{
		health.New(health.PoolFull, health.Pool("lan"), ""), health.New(health.ConfigDiffers, health.Cluster(), ""), health.New(health.NodeCordoned, health.Node("n2"), ""),
	}
	w := &report.World{
		Members: []mesh.Member{{Name: "n1", State: mesh.Alive}, {Name: "n2", State: mesh.OnWire}},
		VIPs:    make([]lease.VIP, 3),
		Election: func(i int) report.Election {
			return report.Election{Result: owner.Result{Owner: []string{"n1", "", ""}[i]}}
		},
		Usage:     []lease.Usage{{Pool: "lan", Size: 4, Used: 3, Free: 1, Waiting: 1, Families: []lease.FamilyUsage{{Family: "IPv4", Size: 4, Used: 3, Free: 1}}}},
		Wire:      arpd.State{Conflicts: []arpd.Conflict{{IP: netip.MustParseAddr("198.18.64.1"), Kind: "stranger"}}},
		Lacks:     []health.Condition{health.New(health.Starting, health.Node("n1"), "")},
		ProxyLost: true,
		Without:   report.Speakerless{Unselected: []string{"n8", "n9"}},
		Overlap:   report.Overlap{Counts: map[string]int{"lan": 6}},
	}
	for i := range 5 {
		w.Members = append(w.Members, mesh.Member{Name: fmt.Sprint("n", i+3), State: mesh.Alive, Meta: mesh.Meta{Config: 1}})
	}
	reg := prometheus.NewRegistry()
	newMetrics(reg, newGauges(func() *report.World { return w }, func() []health.Condition { return wrong }, func() []lease.Lack {
		return []lease.Lack{{Code: health.RequestMalformed, Services: 2}}
	}))
	want := map[string]float64{
		"starling_addresses":                           3,
		"starling_addresses_without_owner":             2,
		"starling_allocator_addresses_in_use_total":    3, // of lan, as all below
		"starling_allocator_addresses_of_nodes":        6,
		"starling_allocator_addresses_total":           4,
		"starling_allocator_services_waiting":          1,
		"starling_conditions config-differs":           1,
		"starling_conditions node-cordoned":            1,
		"starling_conditions pool-full":                1,
		"starling_conflicts member":                    0,
		"starling_conflicts stranger":                  1,
		"starling_deputised_addresses":                 0,
		"starling_kube_proxy_missing":                  1,
		"starling_members_on_wire":                     1,
		"starling_members_with_other_config":           5,
		"starling_nodes_not_selected":                  2,
		"starling_owned_addresses":                     0,
		"starling_ownership_changes_total eligible":    0,
		"starling_ownership_changes_total member-lost": 0,
		"starling_ownership_changes_total moved":       0,
		"starling_ownership_changes_total new":         0,
		"starling_pool_addresses IPv4":                 4,
		"starling_pool_addresses_free IPv4":            1,
		"starling_pool_addresses_in_use IPv4":          3,
		"starling_problems":                            2,
		"starling_ready":                               0,
		"starling_routed_addresses":                    0,
		"starling_router_sessions_missing":             0,
		"starling_router_sessions_wanted":              0,
		"starling_services_waiting no-pool":            0,
		"starling_services_waiting pool-full":          0,
		"starling_services_waiting request-malformed":  2,
	}
	got := values(t, reg)
	for _, r := range health.Rules() { // those that there are none of are counted, too
		name := "starling_conditions " + string(r.Code)
		if n, counted := got[name]; !counted {
			t.Errorf("no series %s", name)
		} else if n == 0 {
			delete(got, name)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("values (-want +got):\n%s", diff)
	}
}

// values are those of all counters and gauges, by name and, but for the pool, label.
func values(t testing.TB, reg *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]float64{}
	for _, f := range families {
		for _, m := range f.Metric {
			name := f.GetName()
			if len(m.Label) > 0 && m.Label[0].GetName() != "pool" {
				name += " " + m.Label[0].GetValue()
			}
			if m.Histogram == nil {
				out[name] = m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return out
}

// TestCardinality: Services, addresses and nodes make no series; only pools do.
func TestCardinality(t *testing.T) {
	lab(t, func(m *model) {
		count := func() int {
			n, err := testutil.GatherAndCount(m.speakers["n1"].registry)
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		m.create("first", nil, "n1", "n2", "n3")
		m.bound("first")
		before := count()
		for i := range 50 {
			m.create(fmt.Sprintf("web-%d", i), nil, "n1", "n2", "n3")
		}
		m.until("all have an address", 20*time.Second, func() bool { return m.ip("web-49") != "" })
		m.start("n4")
		m.pass(10 * time.Second)
		if after := count(); after != before {
			t.Errorf("%d series with 51 Services and 4 nodes, %d with one and 3", after, before)
		}
	}, "default=198.18.64.0/24")
}
