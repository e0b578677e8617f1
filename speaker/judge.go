package speaker

import (
	"net/netip"
	"slices"

	"github.com/starling-lb/starling/arpd"
	"github.com/starling-lb/starling/mesh"
	"github.com/starling-lb/starling/owner"
	"github.com/starling-lb/starling/watcher"
)

// names says which node is at a MAC: what members tell of themselves, and for
// nodes that this one has never met by gossip the address that their speakers
// gave, or the kernel knows, looked up among the nodes of Kubernetes. Who is not in it is
// a stranger.
func names(members []mesh.Member, nodes []watcher.Node, speakers map[string]arpd.Speaker) map[string]string {
	byAddr := make(map[netip.Addr]string)
	for _, n := range nodes {
		for _, a := range n.Addresses {
			byAddr[a] = n.Name
		}
	}
	for _, m := range members {
		if m.Addr.IsValid() {
			byAddr[m.Addr.Addr()] = m.Name
		}
	}
	r := make(map[string]string)
	for mac, s := range speakers {
		for _, a := range s.Addrs {
			if name := byAddr[a]; name != "" {
				r[mac] = name
			}
		}
	}
	for _, live := range []bool{false, true} { // a MAC that moved is of the one that lives
		for _, m := range members {
			for _, mac := range m.Meta.MACs {
				if (m.State == mesh.Alive) == live {
					r[mac] = m.Name
				}
			}
		}
	}
	return r
}

// macs are those of this node's used interfaces, sorted.
func macs(w arpd.State) []string {
	var r []string
	for _, i := range w.Interfaces {
		if i.Used {
			r = append(r, i.MAC)
		}
	}
	slices.Sort(r)
	return slices.Compact(r)
}

// peers are the MACs that are another node's, sorted.
func peers(names map[string]string, self string) []string {
	var r []string
	for mac, name := range names {
		if name != self {
			r = append(r, mac)
		}
	}
	slices.Sort(r)
	return r
}

// succeeded tells whether the wire has heard that the address is in other hands:
// in those of the successor, or of a node that keeps it anyway. A node that
// never told its MACs is of an earlier release; an unknown MAC may be its own.
func (w *world) succeeded(ip netip.Addr, self, successor string) bool {
	mac := w.wire.Heard[ip]
	if mac == "" {
		return false
	}
	switch name := w.names[mac]; name {
	case successor:
		return true
	case "":
		return !slices.ContainsFunc(w.members, func(m mesh.Member) bool { return m.Name == successor && len(m.Meta.MACs) > 0 })
	default:
		return owner.Outranks(name, self, ip)
	}
}
