package netif

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/starling-lb/starling/arpd/packet"
)

// route opens a netlink socket in the namespace, to be closed by the caller.
func (n Namespace) route() (*netlink.Handle, error) {
	ns, err := n.handle()
	if err != nil {
		return nil, err
	}
	if ns.IsOpen() {
		defer ns.Close()
	}
	nl, err := netlink.NewHandleAt(ns, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open netlink socket: %w", err)
	}
	return nl, nil
}

// Links lists all interfaces with their addresses, over a socket of its own. A dump that
// the kernel calls inconsistent is an error: what was wrong in it cannot be told,
// and another attempt costs little.
func (n Namespace) Links() ([]Link, error) {
	nl, err := n.route()
	if err != nil {
		return nil, err
	}
	defer nl.Close()
	raw, err := nl.LinkList()
	if err != nil {
		return nil, fmt.Errorf("list links: %w", err)
	}
	addrs, err := nl.AddrList(nil, netlink.FAMILY_ALL)
	if err != nil {
		return nil, fmt.Errorf("list addresses: %w", err)
	}
	return join(raw, addrs), nil
}

// Neighbors lists the addresses, but link-local ones, that the kernel knows at a MAC, sorted.
func (n Namespace) Neighbors(mac packet.HW) ([]netip.Addr, error) {
	nl, err := n.route()
	if err != nil {
		return nil, err
	}
	defer nl.Close()
	list, err := nl.NeighList(0, netlink.FAMILY_ALL)
	if err != nil {
		return nil, fmt.Errorf("list neighbors: %w", err)
	}
	var out []netip.Addr
	for _, e := range list {
		ip, ok := netip.AddrFromSlice(e.IP)
		if ip = ip.Unmap(); ok && bytes.Equal(e.HardwareAddr, mac[:]) && !ip.IsLinkLocalUnicast() {
			out = append(out, ip)
		}
	}
	slices.SortFunc(out, netip.Addr.Compare)
	return slices.Compact(out), nil
}

// Route is the index of the interface by which the kernel reaches an address from a VRF; vrf is the
// index of that, 0: from none. That there is no way is an error.
func (n Namespace) Route(to netip.Addr, vrf int) (int, error) {
	nl, err := n.route()
	if err != nil {
		return 0, err
	}
	defer nl.Close()
	list, err := nl.RouteGetWithOptions(to.AsSlice(), &netlink.RouteGetOptions{OifIndex: vrf})
	if err != nil {
		return 0, fmt.Errorf("look up the route to %s: %w", to, err)
	}
	for _, r := range list {
		return r.LinkIndex, nil
	}
	return 0, fmt.Errorf("look up the route to %s: the answer is empty", to)
}

// join brings links and addresses into one list of values.
func join(raw []netlink.Link, addrs []netlink.Addr) []Link {
	of, own := make(map[int][]netip.Prefix), make(map[int][]netip.Addr)
	for _, a := range addrs {
		if p, ok := connected(a); ok {
			of[a.LinkIndex] = append(of[a.LinkIndex], p)
		}
		if a.IPNet != nil {
			if ip, ok := netip.AddrFromSlice(a.IP); ok {
				own[a.LinkIndex] = append(own[a.LinkIndex], ip.Unmap())
			}
		}
	}
	links, vrfs := make([]Link, 0, len(raw)), make(map[int]bool)
	for _, r := range raw {
		vrfs[r.Attrs().Index] = r.Type() == "vrf"
	}
	for _, r := range raw {
		a := r.Attrs()
		l := Link{
			Name: a.Name, Index: a.Index, Kind: r.Type(), Ether: a.EncapType == "ether",
			Flags: a.RawFlags, Master: a.MasterIndex, Addrs: of[a.Index], Own: own[a.Index],
		}
		if len(a.HardwareAddr) == len(l.MAC) {
			l.MAC = packet.HW(a.HardwareAddr)
		}
		if vrfs[l.Master] {
			l.VRF = l.Master
		}
		links = append(links, l)
	}
	return links
}

// connected is the address with its prefix; for a point-to-point address the
// prefix is that of the other end, which is the network behind the link.
func connected(a netlink.Addr) (netip.Prefix, bool) {
	n := a.IPNet
	if a.Peer != nil {
		n = a.Peer
	}
	if n == nil {
		return netip.Prefix{}, false
	}
	ip, ok := netip.AddrFromSlice(n.IP)
	ones, bits := n.Mask.Size()
	if !ok || bits == 0 {
		return netip.Prefix{}, false
	}
	return netip.PrefixFrom(ip.Unmap(), ones), true
}

// Change is a netlink event, reduced to what a later list cannot tell. The zero value says only
// that it is time to list.
type Change struct {
	Index int  // of the interface, 0: not known
	Down  bool // the interface was not running
	Gone  bool // the interface was removed; one with the same index is another
}

// Watch calls seen for every change of a link, an address or a route to a network, from one
// goroutine, until ctx ends (nil) or the subscription breaks (an error). The library closes a
// channel when its socket fails, most often because more events came than its buffer holds.
func (n Namespace) Watch(ctx context.Context, seen func(Change)) error {
	ns, err := n.handle()
	if err != nil {
		return err
	}
	if ns.IsOpen() {
		defer ns.Close()
	}
	done := make(chan struct{})
	links, addrs, routes := make(chan netlink.LinkUpdate), make(chan netlink.AddrUpdate), make(chan netlink.RouteUpdate)
	if err := netlink.LinkSubscribeAt(ns, links, done); err != nil {
		return fmt.Errorf("subscribe to links: %w", err)
	}
	if err := netlink.AddrSubscribeAt(ns, addrs, done); err != nil {
		close(done)
		drain(links)
		return fmt.Errorf("subscribe to addresses: %w", err)
	}
	if err := netlink.RouteSubscribeAt(ns, routes, done); err != nil {
		close(done)
		drain(links)
		drain(addrs)
		return fmt.Errorf("subscribe to routes: %w", err)
	}
	defer func() {
		close(done)
		drain(links)
		drain(addrs)
		drain(routes)
	}()
	seen(Change{}) // what happened before the subscription is only in the list
	return relay(ctx, links, addrs, routes, seen)
}

// relay passes events on. Routes may come in such numbers, as on a router, that their
// socket fails alone: then the lists that are made now and then have to do for them.
func relay(ctx context.Context, links <-chan netlink.LinkUpdate, addrs <-chan netlink.AddrUpdate, routes <-chan netlink.RouteUpdate, seen func(Change)) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case u, ok := <-links:
			if !ok {
				return errors.New("link subscription broke")
			}
			running := u.Flags&unix.IFF_UP != 0 && u.Flags&unix.IFF_RUNNING != 0
			// A bridge tells of a port that it lost with a removal of its own family.
			gone := u.Header.Type == unix.RTM_DELLINK && u.Family == unix.AF_UNSPEC
			seen(Change{Index: int(u.Index), Down: gone || !running, Gone: gone})
		case u, ok := <-addrs:
			if !ok {
				return errors.New("address subscription broke")
			}
			seen(Change{Index: u.LinkIndex})
		case u, ok := <-routes:
			if !ok {
				routes = nil
				seen(Change{})
			} else if toNetwork(u.Route) {
				seen(Change{Index: u.LinkIndex})
			}
		}
	}
}

// toNetwork reports whether a route leads to a network that an interface is on. Those
// to other networks, to single hosts as to pods, and for multicast are not of interest.
func toNetwork(r netlink.Route) bool {
	if r.Dst == nil || r.Gw != nil || r.Via != nil || len(r.MultiPath) > 0 || r.Type != unix.RTN_UNICAST {
		return false
	}
	ones, bits := r.Dst.Mask.Size()
	return ones > 0 && ones < bits && !r.Dst.IP.IsLinkLocalUnicast()
}

// drain reads ch to its end: the library blocks on a channel that nobody reads.
func drain[T any](ch <-chan T) {
	for range ch {
	}
}
