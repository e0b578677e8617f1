package status

import (
	"net"
	"net/http"
	"net/netip"
	"sync"
)

// The port is open to whoever reaches the node, so each visitor has a share of it and no more. Who
// comes from the node itself (kubelet's probes, kubectl exec and port-forward), and the other
// nodes, have places of their own: strangers cannot take them.

// kind of a visitor.
type kind int

const (
	stranger kind = iota
	fellow        // From another node: its speaker, or what comes from there.
	own           // From the node itself.
	kinds
)

// visitor is who counts as one.
type visitor struct {
	kind kind
	from netip.Prefix // an address; of strangers with IPv6 a /64
}

// visitorOf tells who comes from an address to one of this node. The zero Addr is a stranger's.
func (c Config) visitorOf(remote, local netip.Addr) visitor {
	remote, local = remote.Unmap().WithZone(""), local.Unmap().WithZone("")
	v := visitor{kind: stranger}
	switch {
	case c.who != nil:
		v.kind = c.who(remote)
	case remote.IsLoopback() || remote.IsValid() && remote == local:
		v.kind = own
	case c.Fellows != nil && c.Fellows(remote):
		v.kind = fellow
	}
	bits := remote.BitLen()
	if remote.Is6() && v.kind == stranger {
		bits = 64
	}
	v.from, _ = remote.Prefix(bits)
	return v
}

// visitorOf tells who asks.
func (h handlers) visitorOf(r *http.Request) visitor {
	remote, _ := netip.ParseAddrPort(r.RemoteAddr)
	local, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	return h.cfg.visitorOf(remote.Addr(), addrOf(local))
}

// source is what counts as one who asks.
func (h handlers) source(r *http.Request) netip.Prefix { return h.visitorOf(r).from }

// addrOf is the address of a TCP connection's end, else the zero Addr.
func addrOf(a net.Addr) netip.Addr {
	if t, ok := a.(*net.TCPAddr); ok && t != nil {
		return t.AddrPort().Addr()
	}
	return netip.Addr{}
}

// limit is how much of something each visitor of a kind may have at once, and all of that kind.
type limit struct{ each, all int }

// counter counts what visitors have at the moment.
type counter struct {
	limits [kinds]limit

	mu  sync.Mutex // guards all following fields
	of  map[visitor]int
	all [kinds]int
}

func newCounter(strangers, fellows, own limit) *counter {
	return &counter{limits: [...]limit{strangers, fellows, own}, of: map[visitor]int{}}
}

// enter counts one more, until leave is called, once. It returns false when that is over a limit.
func (c *counter) enter(v visitor) (leave func(), ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	l := c.limits[v.kind]
	if c.of[v] >= l.each || c.all[v.kind] >= l.all {
		return nil, false
	}
	c.of[v]++
	c.all[v.kind]++
	return func() { c.left(v) }, true
}

func (c *counter) left(v visitor) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all[v.kind]--
	if c.of[v]--; c.of[v] == 0 {
		delete(c.of, v)
	}
}
