package speaker

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/starling-lb/starling/arpd/netif"
	"github.com/starling-lb/starling/elect"
	"github.com/starling-lb/starling/health"
	"github.com/starling-lb/starling/lease"
)

// muted names, as members tell each other, the entries of pools for which this node uses no
// interface: others do not know its interfaces.
func (w *world) muted() []uint32 {
	var mute []uint32
	for pool, rule := range w.rules {
		for _, e := range rule.Entries {
			if w.mutes(e) {
				mute = append(mute, elect.MuteName(pool, e))
			}
		}
	}
	slices.Sort(mute)
	return slices.Compact(mute)
}

// mutes reports whether an entry leaves this node no interface that it uses.
func (w *world) mutes(e lease.Layer2Entry) bool {
	return len(e.Interfaces) > 0 && !slices.ContainsFunc(w.Wire.Interfaces, func(i netif.Interface) bool { return i.Used && e.Interface(i.Name) })
}

// entries are those by which this node may announce addresses of a place. Where it may not, all
// count: the addresses are watched there.
func (w *world) entries(p *elect.Place) []lease.Layer2Entry {
	if mine := p.For(w.labels(w.Self)); len(mine) > 0 || p == nil {
		return mine
	}
	return p.Rule.Entries
}

// confines reports whether entries keep addresses to some interfaces.
func confines(entries []lease.Layer2Entry) bool {
	return len(entries) > 0 && !slices.ContainsFunc(entries, func(e lease.Layer2Entry) bool { return len(e.Interfaces) == 0 })
}

// limits are the interfaces that bound addresses are kept to: those of all entries that are for the
// Service and this node.
func (w *world) limits() []netif.Limit {
	if len(w.rules) == 0 {
		return nil
	}
	var limits []netif.Limit
	at := map[*elect.Place]int{} // in limits; -1 is none
	for i, v := range w.VIPs {
		p := w.elections[i].Place
		if p == nil {
			continue
		}
		n, known := at[p]
		if !known {
			n = -1
			if entries := w.entries(p); confines(entries) {
				n, limits = len(limits), append(limits, w.limit(entries))
			}
			at[p] = n
		}
		if n >= 0 {
			limits[n].VIPs = append(limits[n].VIPs, v.IP)
		}
	}
	return limits
}

// limit unites the interfaces of entries.
func (w *world) limit(entries []lease.Layer2Entry) (l netif.Limit) {
	for _, i := range w.Wire.Interfaces {
		if slices.ContainsFunc(entries, func(e lease.Layer2Entry) bool { return e.Interface(i.Name) }) {
			l.Interfaces = append(l.Interfaces, i.Name)
		}
		if slices.ContainsFunc(entries, func(e lease.Layer2Entry) bool { return e.Named(i.Name) }) { // not by a pattern
			l.Named = append(l.Named, i.Name)
		}
	}
	return l
}

// mute says which addresses this node owns and has no interface for: what the
// members tell of themselves has room for so many pools only, see muted, and of
// the others the election does not know.
func (w *world) mute(mine map[netip.Addr]bool) []health.Condition {
	if len(w.rules) == 0 {
		return nil
	}
	lost, wanted := map[string][]string{}, map[string][]string{}
	for i, v := range w.VIPs {
		entries := w.entries(w.elections[i].Place)
		if mine[v.IP] && len(entries) > 0 && !slices.ContainsFunc(entries, func(e lease.Layer2Entry) bool { return !w.mutes(e) }) {
			lost[v.Pool] = append(lost[v.Pool], v.IP.String())
			for _, e := range entries {
				wanted[v.Pool] = merged(wanted[v.Pool], e.Interfaces)
			}
		}
	}
	var problems []health.Condition
	for _, pool := range slices.Sorted(maps.Keys(lost)) {
		problems = append(problems, health.New(health.NoInterfaceForPool, health.Pool(pool), fmt.Sprintf("node %s uses no interface that matches %s: no neighbor learns of %s of pool %q",
			w.Self, strings.Join(wanted[pool], " "), health.Some(lost[pool], 3), pool)))
	}
	return problems
}

// merged adds what is not there yet.
func merged(list, more []string) []string {
	for _, text := range more {
		if !slices.Contains(list, text) {
			list = append(list, text)
		}
	}
	return list
}

// reportMute logs the addresses that nobody hears of, once.
func (s *Speaker) reportMute(w *world) {
	now := w.mute(s.mine)
	for _, problem := range now {
		if !slices.Contains(s.muted, problem) {
			s.log.Warn().Str("reason", problem.Words).Msg("addresses without an interface")
		}
	}
	s.muted = now
}
