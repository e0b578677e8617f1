package speaker

import (
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/starling-lb/starling/arpd"
	"github.com/starling-lb/starling/lease"
	"github.com/starling-lb/starling/report"
)

// addressView is a view of a cluster with some addresses, from 198.18.64.1 on, each with that many
// Services.
func addressView(own []netip.Addr, sharers ...int) *report.World {
	v := &report.World{Own: own}
	ip := netip.MustParseAddr("198.18.64.1")
	for _, n := range sharers {
		vip := lease.VIP{IP: ip, Pool: "lan"}
		for i := range n {
			vip.Services = append(vip.Services, lease.Key{Namespace: "d", Name: "s" + strconv.Itoa(len(v.VIPs)) + "-" + strconv.Itoa(i)})
		}
		v.VIPs, ip = append(v.VIPs, vip), ip.Next()
	}
	return v
}

// TestAddresses: the series of the addresses that this node announces, and none of others.
func TestAddresses(t *testing.T) {
	t.Parallel()
	one, two, three := netip.MustParseAddr("198.18.64.1"), netip.MustParseAddr("198.18.64.2"), netip.MustParseAddr("198.18.64.3")
	for _, tt := range []struct {
		name string
		view func() *report.World
		want []string
	}{
		{"before the first turn", func() *report.World { return &report.World{} }, []string{"addresses_without_series 0"}},
		{"none of three", func() *report.World { return addressView(nil, 1, 1, 1) }, []string{"addresses_without_series 0"}},
		{"two of three", func() *report.World { return addressView([]netip.Addr{one, three}, 1, 1, 1) }, []string{
			`address_announced{address="198.18.64.1",pool="lan",service_name="s0-0",service_namespace="d"} 1`,
			`address_announced{address="198.18.64.3",pool="lan",service_name="s2-0",service_namespace="d"} 1`,
			"addresses_without_series 0",
		}},
		{"a shared one", func() *report.World { return addressView([]netip.Addr{one}, 2) }, []string{
			`address_announced{address="198.18.64.1",pool="lan",service_name="s0-0",service_namespace="d"} 1`,
			`address_announced{address="198.18.64.1",pool="lan",service_name="s0-1",service_namespace="d"} 1`,
			"addresses_without_series 0",
		}},
		{"one that is left to another node", func() *report.World {
			v := addressView([]netip.Addr{one, two}, 1, 1)
			v.Wire.Yields = map[netip.Addr]string{one: "n2"}
			return v
		}, []string{
			`address_announced{address="198.18.64.2",pool="lan",service_name="s1-0",service_namespace="d"} 1`,
			"addresses_without_series 0",
		}},
		{"one that nobody has any more", func() *report.World { return addressView([]netip.Addr{one, two}, 1) }, []string{
			`address_announced{address="198.18.64.1",pool="lan",service_name="s0-0",service_namespace="d"} 1`,
			"addresses_without_series 1",
		}},
		{"conflicts", func() *report.World {
			v := addressView([]netip.Addr{one}, 1, 1)
			v.Wire.Conflicts = []arpd.Conflict{{IP: one, Kind: "stranger"}, {IP: one, Kind: "member"}, {IP: two, Kind: "member"}}
			return v
		}, []string{
			`address_announced{address="198.18.64.1",pool="lan",service_name="s0-0",service_namespace="d"} 1`,
			`address_conflicts{address="198.18.64.1",kind="member"} 1`, `address_conflicts{address="198.18.64.1",kind="stranger"} 1`,
			"addresses_without_series 0",
		}},
		{"more sharers than are named", func() *report.World { return addressView([]netip.Addr{one, two, three}, 1, arpd.MaxTallied, 1) }, []string{
			`address_announced{address="198.18.64.1",pool="lan",service_name="s0-0",service_namespace="d"} 1`,
			"addresses_without_series 2",
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			reg := prometheus.NewPedanticRegistry()
			reg.MustRegister(newAddresses(tt.view))
			want, seen := "", map[string]bool{}
			for _, line := range tt.want {
				name := "starling_" + line[:strings.IndexAny(line, "{ ")]
				if !seen[name] {
					want += help(t, name)
				}
				want, seen[name] = want+"starling_"+line+"\n", true
			}
			if err := testutil.GatherAndCompare(reg, strings.NewReader(want)); err != nil {
				t.Error(err)
			}
		})
	}
}

func help(t *testing.T, name string) string {
	t.Helper()
	text, known := map[string]string{
		"starling_address_announced":        "1 for each address that this node announces, and each Service that has it.",
		"starling_address_conflicts":        "1 for each address of this node that another station answers for, by kind: stranger, member.",
		"starling_addresses_without_series": "Addresses that this node announces beyond those that have a series.",
	}[name]
	if !known {
		t.Fatalf("unknown metric %s", name)
	}
	return "# HELP " + name + " " + text + " Only with --metrics-per-address.\n# TYPE " + name + " gauge\n"
}

// TestAddressesFollowTheOwner: whoever announces an address has the series, and nobody once its
// Service is gone.
func TestAddressesFollowTheOwner(t *testing.T) {
	lab(t, func(m *model) {
		announced := func() (by []string) {
			for _, name := range []string{"n1", "n2", "n3"} {
				if n := testutil.CollectAndCount(newAddresses(m.speakers[name].speaker.view.Load), "starling_address_announced"); n > 0 {
					by = append(by, name)
				}
			}
			return by
		}
		m.create("web", nil, "n1", "n2", "n3")
		owner := m.one(m.bound("web"))
		if diff := cmp.Diff([]string{owner}, announced()); diff != "" {
			t.Errorf("series (-want +got):\n%s", diff)
		}
		m.set(owner, func(b *node) { b.settled = false })
		m.until("another one announces", 5*time.Second, func() bool {
			by := announced()
			return len(by) == 1 && by[0] != owner
		})
		m.remove("web")
		m.until("nobody announces", 5*time.Second, func() bool { return len(announced()) == 0 })
	}, tenAddresses)
}

// TestAddressesAreBounded: the series of very many addresses are those of the first ones.
func TestAddressesAreBounded(t *testing.T) {
	t.Parallel()
	sharers := make([]int, 3*arpd.MaxTallied)
	for i := range sharers {
		sharers[i] = 1
	}
	v := addressView(nil, sharers...)
	for _, vip := range v.VIPs {
		v.Own = append(v.Own, vip.IP)
	}
	a := newAddresses(func() *report.World { return v })
	if n := testutil.CollectAndCount(a); n != arpd.MaxTallied+1 {
		t.Errorf("%d series", n)
	}
	want := help(t, "starling_addresses_without_series") + "starling_addresses_without_series " + strconv.Itoa(2*arpd.MaxTallied) + "\n"
	if err := testutil.CollectAndCompare(a, strings.NewReader(want), "starling_addresses_without_series"); err != nil {
		t.Error(err)
	}
}
