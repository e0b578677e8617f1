package speaker

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/starling-lb/starling/arpd/netif"
	"github.com/starling-lb/starling/health"
	"github.com/starling-lb/starling/lease"
	"github.com/starling-lb/starling/mesh"
)

// muted names, as members tell each other, the pools whose addresses this node uses no interface for: others
// do not know its interfaces.
func (w *world) muted() []uint32 {
	var mute []uint32
	for pool, rule := range w.rules {
		if w.mutes(rule) {
			mute = append(mute, mesh.ShortName(pool))
		}
	}
	slices.Sort(mute)
	return mute
}

// mutes reports whether a pool's rule leaves this node no interface that it uses.
func (w *world) mutes(rule lease.Scope) bool {
	return len(rule.Interfaces) > 0 && !slices.ContainsFunc(w.Wire.Interfaces, func(i netif.Interface) bool { return i.Used && rule.Interface(i.Name) })
}

// limits are the interfaces that bound addresses are kept to.
func (w *world) limits() []netif.Limit {
	if len(w.rules) == 0 {
		return nil
	}
	vips := map[string][]netip.Addr{}
	for _, v := range w.VIPs {
		if len(w.rules[v.Pool].Interfaces) > 0 {
			vips[v.Pool] = append(vips[v.Pool], v.IP)
		}
	}
	var limits []netif.Limit
	for _, pool := range slices.Sorted(maps.Keys(vips)) {
		l := netif.Limit{VIPs: vips[pool]}
		for _, i := range w.Wire.Interfaces {
			if w.rules[pool].Interface(i.Name) {
				l.Interfaces = append(l.Interfaces, i.Name)
			}
			if w.rules[pool].Named(i.Name) { // not by a pattern
				l.Named = append(l.Named, i.Name)
			}
		}
		limits = append(limits, l)
	}
	return limits
}

// mute says which addresses this node owns and has no interface for: what the
// members tell of themselves has room for so many pools only, see muted, and of
// the others the election does not know.
func (w *world) mute(mine map[netip.Addr]bool) []health.Condition {
	if len(w.rules) == 0 {
		return nil
	}
	mute, lost := map[string]bool{}, map[string][]string{}
	for pool, rule := range w.rules {
		mute[pool] = w.mutes(rule)
	}
	for _, v := range w.VIPs {
		if mute[v.Pool] && mine[v.IP] {
			lost[v.Pool] = append(lost[v.Pool], v.IP.String())
		}
	}
	var problems []health.Condition
	for _, pool := range slices.Sorted(maps.Keys(lost)) {
		problems = append(problems, health.New(health.NoInterfaceForPool, health.Pool(pool), fmt.Sprintf("node %s uses no interface that matches %s: no neighbor learns of %s of pool %q",
			w.Self, strings.Join(w.rules[pool].Interfaces, " "), health.Some(lost[pool], 3), pool)))
	}
	return problems
}

// tellMute logs the addresses that nobody hears of, once.
func (s *Speaker) tellMute(w *world) {
	now := w.mute(s.mine)
	for _, problem := range now {
		if !slices.Contains(s.muted, problem) {
			s.log.Warn().Str("reason", problem.Words).Msg("addresses without an interface")
		}
	}
	s.muted = now
}
