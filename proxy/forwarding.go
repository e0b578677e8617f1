package proxy

import (
	"fmt"
	"time"

	"github.com/starling-lb/starling/health"
)

const (
	// Grace is how long nobody may be on kube-proxy's port until the node goes behind those that
	// have one. What kube-proxy has programmed stays in the kernel when it ends, and each move of
	// an address ends connections, so a quick restart of kube-proxy shall move nothing. Its end is
	// noticed a quarter of a second later (see Monitor), so all is done within 3 s.
	Grace = 2 * time.Second
	// forgotten is how long no member may have a kube-proxy until the cluster counts as one
	// without, where nobody goes behind others.
	forgotten = time.Minute
	// A kube-proxy that was missing and is back counts at once for the first time. When it ends and
	// comes back again within relapse, others go first for firstHold more, and twice as long each
	// time up to maxHold: each move of an address ends connections.
	relapse   = 5 * time.Minute
	firstHold = 3 * time.Second
	maxHold   = time.Minute
)

// Forwarding follows whether the node can send on what comes for Services.
//
// Before the node is ready for the first time it waits until kube-proxy was asked, and then for one
// that is not healthy: a node that boots shall not attract what it would drop. After that the
// addresses stay when kube-proxy is not healthy: what it has programmed stays in the kernel and
// goes on working, and where it cannot keep up, all nodes do not. It is reported.
//
// A node where nobody is on kube-proxy's port, although it had one or others have one, will forward
// to nothing that is new. It is reported, and goes behind all nodes that have one, until its own is
// healthy:
//
//	nobody listens        others       ->
//	before it is ready    have one     behind at once
//	for Grace        have one     behind, and reported
//	for Grace        had one      reported, if this node had one
//	ever                  never had    nothing: the network does without kube-proxy
//
// "Others have one" means at this moment, so where kube-proxy ends on all nodes together nothing
// moves. A node stays behind while others restart theirs, but not longer than forgotten. A
// kube-proxy that ends again and again is believed ever later.
type Forwarding struct {
	known  bool      // that the node forwards, or that there is nothing to wait for
	had    bool      // kube-proxy of this node was healthy
	since  time.Time // since when it is missing; zero: it is not
	others time.Time // when another member last had one
	back   time.Time // when it last came back
	backs  int       // how often within relapse
	hold   time.Time // it is back, and others go first until then; zero: no hold
	Behind bool      // others go first
	Lost   bool      // it is reported
	Next   time.Time // when to look again; zero: not by time
}

// Lacks says what the node waits for, or nothing.
func (f *Forwarding) Lacks(p State) []health.Condition {
	switch {
	case f.known:
		return nil
	case p.Health == Unknown:
		return is(health.Starting, "asking whether kube-proxy is up")
	case p.Health == Unhealthy:
		return is(health.WaitingForKubeProxy, "waiting for kube-proxy of this node: "+p.Reason)
	}
	f.known = true
	return nil
}

// Has reports whether kube-proxy is there, as members tell each other: one that is not healthy
// counts if it was before.
func (f *Forwarding) Has(p State) bool {
	return p.Health == Healthy || p.Health == Unhealthy && f.had
}

// Follow judges anew by an answer. Ready says whether the node may own addresses, others whether
// another live member has a kube-proxy.
func (f *Forwarding) Follow(p State, now time.Time, ready, others bool) {
	if others {
		f.others = now
	}
	absent := p.Health == Absent && (f.had || others)
	switch {
	case p.Health == Healthy:
		f.had = true
		f.returned(now)
	case f.Behind:
		f.Behind, f.hold = now.Before(f.others.Add(forgotten)), time.Time{}
	}
	switch {
	case !absent:
		f.since = time.Time{}
	case f.since.IsZero():
		f.since = now
	}
	late := absent && !now.Before(f.since.Add(Grace))
	f.Behind = f.Behind || others && absent && (late || !ready)
	f.Lost = f.Behind && f.hold.IsZero() || late
	f.Next = time.Time{}
	switch {
	case !f.hold.IsZero():
		f.Next = f.hold
	case f.Behind && !others:
		f.Next = f.others.Add(forgotten)
	case absent && !f.Lost:
		f.Next = f.since.Add(Grace)
	}
}

// returned ends that others go first, at once or after a hold.
func (f *Forwarding) returned(now time.Time) {
	if !f.Behind {
		return
	}
	if f.hold.IsZero() {
		if now.Sub(f.back) >= relapse {
			f.backs = 0
		}
		f.hold = now
		if f.backs > 0 {
			f.hold = now.Add(min(firstHold<<min(f.backs-1, 8), maxHold))
		}
		f.back = now
		f.backs++
	}
	if !now.Before(f.hold) {
		f.Behind, f.hold = false, time.Time{}
	}
}

// Complain says that kube-proxy of a ready node is not there, or not well.
func (f *Forwarding) Complain(p State, self string) []health.Condition {
	switch {
	case f.Lost:
		return []health.Condition{Missing(self, f.Behind, p.Reason)}
	case !f.known || p.Health != Unhealthy:
		return nil
	}
	return is(health.KubeProxyUnhealthy, fmt.Sprintf("kube-proxy of this node is not healthy (%s): new Services and endpoints may not be reached by way of this node", p.Reason))
}

// Missing is that kube-proxy of a node is missing, what follows, and how that is known, if it is.
func Missing(node string, behind bool, how string) health.Condition {
	words := "kube-proxy of " + node + " does not run, and new Services and endpoints are not reached by way of this node"
	if behind {
		words += ": other nodes announce before it"
	}
	if how != "" {
		words += " (" + how + ")"
	}
	return health.New(health.KubeProxyMissing, health.Node(node), words)
}

// is a condition of this node.
func is(code health.Code, words string) []health.Condition {
	return []health.Condition{health.New(code, health.Node(""), words)}
}
