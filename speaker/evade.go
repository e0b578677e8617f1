package speaker

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/starling-lb/starling/arpd"
	"github.com/starling-lb/starling/elect"
	"github.com/starling-lb/starling/lease"
	"github.com/starling-lb/starling/wake"
)

// An address is probed before a Service gets it, mostly ahead, and a station may take it meanwhile
// without a word. Its first owner asks once more. If a station answers then, nobody has used the
// address yet, and its Services are moved to another one.
const (
	// evadeWithin is how soon after the first announcement the station must have been heard.
	evadeWithin = time.Second
	// evadeFor is how long after that the Services may be moved: later somebody uses the address.
	evadeFor = 5 * time.Second
	// evadeMost bounds the addresses in conflict because of one station. What answers for more,
	// such as a router with proxy ARP, would answer for the next ones as well.
	evadeMost = 3
)

// evasions are the addresses that their Services should be moved off, with the MACs of the stations
// that answer for them; nil: none.
func (s *Speaker) evasions(w *world) map[netip.Addr]string {
	var r map[netip.Addr]string
	for _, c := range w.Wire.Conflicts {
		if !w.evadable(c) {
			continue
		}
		if r == nil {
			r = map[netip.Addr]string{}
		}
		r[c.IP] = c.MAC
		w.wake = wake.Earlier(w.wake, c.Since.Add(evadeFor))
	}
	return r
}

// evadable reports whether a conflict is one of an address that nobody has used yet.
func (w *world) evadable(c arpd.Conflict) bool {
	i, bound := w.Find(c.IP)
	if !bound || w.Names[c.MAC] != "" || w.Now.Sub(c.Since) >= evadeFor {
		return false
	}
	t := w.elections[i]
	if t.Result().Owner != w.Self || t.First.IsZero() || c.Since.Sub(t.First) > evadeWithin {
		return false
	}
	same := 0
	for _, o := range w.Wire.Conflicts {
		if o.MAC == c.MAC {
			same++
		}
	}
	return same <= evadeMost
}

// begin notes the moment from which on an address is announced that nobody announced before.
func begin(t *elect.Election, now time.Time) {
	if t.Unused && t.Result().Owner != "" {
		t.Unused, t.First = false, now
	}
}

// stays says why a Service is not moved off an address with a conflict, if it was moved off others
// before; else nothing.
func stays(before []lease.Conflict) string {
	if len(before) == 0 {
		return ""
	}
	var ips []string
	for _, c := range before {
		ips = append(ips, c.IP.String())
	}
	return fmt.Sprintf("; the Service was moved off %s for the same reason and is not moved again: if something answers for every address, such as a router with proxy ARP or a node without a speaker whose kube-proxy is in IPVS mode, see to that", strings.Join(ips, ", "))
}
