package arpd

import (
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/starling-lb/starling/arpd/netif"
	"github.com/starling-lb/starling/claims"
)

// Set changes the addresses that are answered and leaves those that are watched.
func (r *Responder) Set(vips []netip.Addr) {
	_, watched := r.lists()
	r.give(vips, watched)
}

// Watch changes the addresses that are watched and leaves those that are answered.
func (r *Responder) Watch(vips []netip.Addr) {
	own, _ := r.lists()
	r.give(own, vips)
}

// given are the lists that give was called with last.
var given sync.Map // of *Responder to [2][]netip.Addr

func (r *Responder) lists() (own, watched []netip.Addr) {
	last, _ := given.Load(r)
	lists, _ := last.([2][]netip.Addr)
	return lists[0], lists[1]
}

// give assigns addresses, of which those in both lists are handed over to the peer.
func (r *Responder) give(own, watched []netip.Addr) []netip.Addr {
	given.Store(r, [2][]netip.Addr{own, watched})
	heirs := map[netip.Addr]string{}
	own = slices.DeleteFunc(slices.Clone(own), func(ip netip.Addr) bool {
		if slices.Contains(watched, ip) {
			heirs[ip] = "peer"
		}
		return slices.Contains(watched, ip)
	})
	return r.Assign(claims.Assignment{Own: own, Watched: watched, Heirs: heirs})
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
		var limits []netif.Limit
		var owned, watched, tested []netip.Addr
		for range rapid.IntRange(1, 8).Draw(rt, "steps") {
			switch rapid.IntRange(0, 4).Draw(rt, "step") {
			case 0:
				limits = nil
				for _, name := range []string{"eth0", "eth1"} {
					limits = append(limits, netif.Limit{Interfaces: []string{name}, VIPs: slices.Compact(slices.SortedFunc(slices.Values(some(name)), netip.Addr.Compare))})
				}
				r.SetLimits(limits)
			case 1:
				tested = some("tested")
				r.Probe(tested)
			case 2:
				r.resume(claims.Times().Muted, epoch)
				r.give(owned, watched)
			default:
				owned, watched = some("owned"), some("watched")
				r.give(owned, watched)
			}
		}
		last.SetLimits(limits)
		last.Probe(tested)
		last.give(owned, watched)
		if diff := cmp.Diff(last.told(ips), r.told(ips)); diff != "" {
			rt.Errorf("what is left (-want +got):\n%s", diff)
		}
	})
}

// told is what a responder makes of some addresses: its own role, whether it announces and tries
// them out, and the roles at its ports. One that is handed over depends on what was before, and
// counts as watched.
func (r *Responder) told(ips []netip.Addr) map[string][]any {
	plain := func(x role) role {
		if x == own|watch {
			return watch
		}
		return x
	}
	out, probed := make(map[string][]any), r.others.Probed()
	for _, ip := range ips {
		_, tried := probed[ip]
		out[ip.String()] = []any{plain(r.roles[ip]), r.schedule.Has(ip), tried}
		for index := range r.ifaces {
			out[fmt.Sprintf("%s at %d", ip, index)] = []any{plain(r.ifaces[index].view.Load().table.role(ip))}
		}
	}
	return out
}
