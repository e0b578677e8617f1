package report

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/starling-lb/starling/health"
	"github.com/starling-lb/starling/lease"
	"github.com/starling-lb/starling/mesh"
	"github.com/starling-lb/starling/peers"
	"github.com/starling-lb/starling/wake"
)

// Evaluate says at the end of a turn all that is wrong, and since when it lasts. Again is when the
// words are others without another change; zero: they are not.
func (w *World) Evaluate(since *health.Tracker) (again time.Time) {
	for _, m := range w.Gossip {
		if end := m.Since.Add(peers.Provisional); m.State == mesh.Dead && w.Now.Before(end) {
			again = wake.Earlier(again, end)
		}
	}
	w.Reasons, w.Problems = slices.Clone(w.Lacks), slices.Clone(w.Mistakes)
	wire, ofPeers := w.blame(blocked(w.Gossip, w.Members, w.Now), w.Peers)
	w.Problems = append(w.Problems, wire...)
	if w.Fit() {
		w.Problems = append(w.Problems, ofPeers...)
	} else {
		w.Reasons = append(w.Reasons, ofPeers...)
	}
	for _, c := range slices.Concat(w.Cluster.Conditions, w.Wire.Conditions) {
		if c.Code.Rule().Unready {
			w.Reasons = append(w.Reasons, c)
		} else {
			w.Problems = append(w.Problems, c)
		}
	}
	w.Problems = slices.Concat(w.Problems, w.Found, w.differing(), w.ofRouters(), w.Overlap.Found, elsewhere(w.Elsewhere), across(w.VIPs, w.Pools))
	w.Without = w.speakerless()
	w.Unwell = slices.Concat(w.unwell(), w.silentKernels(), w.Without.Conditions())
	w.date(since)
	return again
}

// date notes of all conditions of the turn since when they last, and on which node the loop runs.
func (w *World) date(since *health.Tracker) {
	all := slices.Concat(w.Reasons, w.Problems, w.Unwell)
	for i := range all {
		all[i] = all[i].On(w.Self)
	}
	all = since.Track(all, w.Now)
	n, m := len(w.Reasons), len(w.Reasons)+len(w.Problems)
	w.Reasons, w.Problems, w.Unwell = all[:n:n], all[n:m:m], all[m:]
}

// Conditions are all that is wrong in the eyes of this speaker, the worst first: what one look, the
// metrics and the status agree on.
func (w *World) Conditions(l Look) []health.Condition {
	shown, _ := health.Shown(slices.Concat(
		w.Reasons, w.Problems, w.Unwell, w.rivalry(), waiting(l.Waiting), w.unannounced(), w.unrouted(), nearlyFull(w.usage()), external(l.External),
	), l.Now)
	return shown
}

// external says which addresses of Services others have in their externalIPs.
func external(all []lease.External) []health.Condition {
	var list []health.Condition
	for _, x := range all {
		list = append(list, health.New(health.AddressListed, health.Service(x.Listed.String()), fmt.Sprintf("%s has %s, the address of %s, in spec.externalIPs", x.Listed, x.IP, x.Held)))
	}
	return list
}

// unannounced says which addresses nobody announces, one condition for each reason.
func (w *World) unannounced() []health.Condition {
	type reason struct {
		code  health.Code
		words string
	}
	var reasons []reason
	ips := map[reason][]string{}
	for i := range w.VIPs {
		t := w.Election(i)
		e := t.Result
		if e.Owner != "" || e.Elsewhere {
			continue
		}
		var r reason
		r.code, r.words = w.Why(w.VIPs[i], t.Candidate, e)
		if ips[r] == nil {
			reasons = append(reasons, r)
		}
		ips[r] = append(ips[r], w.VIPs[i].IP.String())
	}
	var list []health.Condition
	for _, r := range reasons {
		list = append(list, health.New(r.code, health.Address(ips[r][0]), fmt.Sprintf("no node announces %s: %s", health.Some(ips[r], 3), r.words)))
	}
	return list
}

// Located are the conditions of peers, of which the mesh knows the addresses, with the nodes that
// have them.
func (w *World) Located(peers []health.Condition) []health.Condition {
	peers = slices.Clone(peers)
	for i, c := range peers {
		if c.Subject.Kind != health.KindAddress {
			continue
		}
		if ip, err := netip.ParseAddr(c.Subject.Name); err == nil {
			if node := w.NodeOf(ip.Unmap()); node != "" {
				peers[i].Subject = health.Node(node)
			}
		}
	}
	return peers
}

// Others names the live members whose configuration is not this node's.
func (w *World) Others() []string {
	var names []string
	for _, m := range w.Members {
		if m.State == mesh.Alive && m.Meta.Config != w.Meta.Config {
			names = append(names, m.Name)
		}
	}
	return names
}

// differing says that members have other pools or another class than this node, and what follows.
func (w *World) differing() []health.Condition {
	names := w.Others()
	if len(names) == 0 {
		return nil
	}
	return []health.Condition{health.New(health.ConfigDiffers, health.Cluster(), fmt.Sprintf("other pools or another class are in force on %s than on %s: until all agree bound addresses stay as they are",
		health.Some(names, 5), w.Self))}
}
