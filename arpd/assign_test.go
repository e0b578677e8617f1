package arpd

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// Set changes the addresses that are answered and leaves those that are watched.
func (r *Responder) Set(vips []netip.Addr) {
	_, watched := r.lists()
	r.Assign(vips, watched)
}

// Watch changes the addresses that are watched and leaves those that are answered.
func (r *Responder) Watch(vips []netip.Addr) {
	own, _ := r.lists()
	r.Assign(own, vips)
}

func (r *Responder) lists() (own, watched []netip.Addr) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.own, r.watched
}

// TestAssignFollows gives sets at random, one after the other, and checks what they
// leave behind against a responder that was given the last ones alone.
func TestAssignFollows(t *testing.T) {
	ips := slices.Concat(manyIPv4(12), many(12), []netip.Addr{netip.MustParseAddr("203.0.113.1")})
	rapid.Check(t, func(rt *rapid.T) {
		some := func(name string) []netip.Addr {
			list := rapid.SliceOfN(rapid.SampledFrom(ips), 0, 15).Draw(rt, name)
			if rapid.Bool().Draw(rt, name+" sorted") { // as the speaker gives them: such a list is kept, not copied
				slices.SortFunc(list, netip.Addr.Compare)
				list = slices.Compact(list)
			}
			return list
		}
		r, last := quiet(t), quiet(t)
		var limits []Limit
		var owned, watched, tested []netip.Addr
		for range rapid.IntRange(1, 8).Draw(rt, "steps") {
			switch rapid.IntRange(0, 4).Draw(rt, "step") {
			case 0:
				limits = nil
				for _, name := range []string{"eth0", "eth1"} {
					limits = append(limits, Limit{Interfaces: []string{name}, VIPs: normalise(some(name), nil)})
				}
				r.Confine(limits)
			case 1:
				tested = some("tested")
				r.Probe(tested)
			case 2:
				r.resume(mutedAfter, epoch)
				r.Assign(owned, watched)
			default:
				owned, watched = some("owned"), some("watched")
				r.Assign(owned, watched)
			}
		}
		last.Confine(limits)
		last.Probe(tested)
		last.Assign(owned, watched)
		if diff := cmp.Diff(last.told(ips), r.told(ips)); diff != "" {
			rt.Errorf("what is left (-want +got):\n%s", diff)
		}
	})
}

// told is what a responder makes of some addresses: its own role, whether it announces and tries them out,
// and the roles at its ports.
func (r *Responder) told(ips []netip.Addr) map[string][]any {
	out := make(map[string][]any)
	for _, ip := range ips {
		out[ip.String()] = []any{r.roles[ip], r.schedule.entries[ip] != nil, r.probes.trials[ip] != nil}
		for index := range r.ports {
			out[fmt.Sprintf("%s at %d", ip, index)] = []any{r.ports[index].view.Load().table.role(ip)}
		}
	}
	return out
}

func TestDiffering(t *testing.T) {
	a := func(hosts ...byte) (out []netip.Addr) {
		for _, h := range hosts {
			out = append(out, netip.AddrFrom4([4]byte{198, 18, 0, h}))
		}
		return out
	}
	for name, tc := range map[string]struct{ was, is, want []netip.Addr }{
		"nothing":             {nil, nil, nil},
		"the same":            {a(1, 2), a(1, 2), nil},
		"all new":             {nil, a(1, 2), a(1, 2)},
		"all gone":            {a(1, 2), nil, a(1, 2)},
		"one more":            {a(1, 3), a(1, 2, 3), a(2)},
		"one less":            {a(1, 2, 3), a(1, 3), a(2)},
		"one for another":     {a(1, 2, 4), a(1, 3, 4), a(2, 3)},
		"the same in between": {a(1, 2, 3, 4), a(2, 3, 5), a(1, 4, 5)},
		"the end is the head": {a(1), a(1, 1), a(1)},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, differing(tc.was, tc.is), compare); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestNormalise(t *testing.T) {
	for name, tc := range map[string]struct {
		ips  []netip.Addr
		want []netip.Addr
		same bool // the list itself
	}{
		"nothing":        {nil, nil, true},
		"as it is":       {[]netip.Addr{vip4, other4, vip6}, []netip.Addr{vip4, other4, vip6}, true},
		"not sorted":     {[]netip.Addr{other4, vip4}, []netip.Addr{vip4, other4}, false},
		"twice":          {[]netip.Addr{vip4, vip4}, []netip.Addr{vip4}, false},
		"mapped":         {addrs("::ffff:198.18.0.100"), []netip.Addr{vip4}, false},
		"with a zone":    {[]netip.Addr{vip6.WithZone("eth0")}, []netip.Addr{vip6}, false},
		"not unicast":    {addrs("0.0.0.0", "127.0.0.1", "198.18.0.100", "224.0.0.1", "::", "ff02::1"), []netip.Addr{vip4}, false},
		"not an address": {[]netip.Addr{{}, vip4}, []netip.Addr{vip4}, false},
	} {
		t.Run(name, func(t *testing.T) {
			for _, known := range [][]netip.Addr{nil, {vip4}, {vip4, vip6}, {vip6}} {
				got := normalise(tc.ips, known)
				if diff := cmp.Diff(tc.want, got, compare); diff != "" || sameList(got, tc.ips) != tc.same {
					t.Errorf("after %v: the list itself: %v (-want +got):\n%s", known, sameList(got, tc.ips), diff)
				}
			}
		})
	}
}
