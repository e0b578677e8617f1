package speaker

import (
	"fmt"
	"slices"
	"time"

	"github.com/starling-lb/starling/mesh"
	"github.com/starling-lb/starling/proxy"
)

// proxyLimit is how long a node where nobody is on kube-proxy's port waits for it while other nodes have one: it may
// be a node without, or kube-proxy was removed from the cluster, node by node.
const proxyLimit = time.Minute

// forwarding tells whether the node can send on what comes for Services. It is asked once, before the node is ready
// for the first time: a node that boots shall not attract what it would drop.
//
//	kube-proxy    other members   ->
//	not asked     -               wait
//	not healthy   -               wait
//	absent        some have one   wait for it, up to a limit
//	absent        nobody has      ready: the network does without kube-proxy
//	healthy       -               ready
//
// After that the addresses stay, whatever kube-proxy says: what it has programmed stays in the kernel and goes on
// working without it, and where it cannot keep up, all nodes do not. It is told as a problem.
type forwarding struct {
	begun time.Time // of the speaker
	known bool      // that the node forwards, or that there is nothing to wait for
}

// lacks says what the node waits for, or nothing.
func (f *forwarding) lacks(w *world, self string) string {
	if f.begun.IsZero() {
		f.begun = w.now
	}
	others := slices.ContainsFunc(w.gossip, func(m mesh.Member) bool { return m.Name != self && m.State == mesh.Alive && m.Meta.Proxy })
	switch {
	case f.known:
		return ""
	case w.proxy.Health == proxy.Unknown:
		return proxyUnasked
	case w.proxy.Health == proxy.Unhealthy:
		return fmt.Sprintf("waiting for kube-proxy of this node: %s", w.proxy.Reason)
	case w.proxy.Health == proxy.Absent && others && w.now.Before(f.begun.Add(proxyLimit)):
		return fmt.Sprintf("waiting for kube-proxy of this node, as others have one: %s", w.proxy.Reason)
	}
	f.known = true
	return ""
}

// proxyUnasked is why a node is not ready before kube-proxy was asked.
const proxyUnasked = "asking whether kube-proxy is up"

// complain says that kube-proxy of a ready node is not well.
func (f *forwarding) complain(p proxy.State) []string {
	if !f.known || p.Health != proxy.Unhealthy {
		return nil
	}
	return []string{fmt.Sprintf("kube-proxy of this node is not healthy (%s): new Services and endpoints may not be reached by way of this node", p.Reason)}
}
