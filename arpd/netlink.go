package arpd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// route opens a netlink socket in the namespace, to be closed by the caller.
func (l linux) route() (*netlink.Handle, error) {
	ns, err := l.handle()
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

// Links lists links and addresses anew, over a socket of its own. A dump that
// the kernel calls inconsistent is an error: what was wrong in it cannot be told,
// and another attempt costs little.
func (l linux) Links() ([]link, error) {
	nl, err := l.route()
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

// Neighbours lists the neighbour table anew.
func (l linux) Neighbours(mac hw) ([]netip.Addr, error) {
	nl, err := l.route()
	if err != nil {
		return nil, err
	}
	defer nl.Close()
	list, err := nl.NeighList(0, netlink.FAMILY_ALL)
	if err != nil {
		return nil, fmt.Errorf("list neighbours: %w", err)
	}
	var out []netip.Addr
	for _, n := range list {
		ip, ok := netip.AddrFromSlice(n.IP)
		if ip = ip.Unmap(); ok && bytes.Equal(n.HardwareAddr, mac[:]) && !ip.IsLinkLocalUnicast() {
			out = append(out, ip)
		}
	}
	slices.SortFunc(out, netip.Addr.Compare)
	return slices.Compact(out), nil
}

// join brings links and addresses into one list of values.
func join(raw []netlink.Link, addrs []netlink.Addr) []link {
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
	links := make([]link, 0, len(raw))
	for _, r := range raw {
		a := r.Attrs()
		l := link{
			name: a.Name, index: a.Index, kind: r.Type(), ether: a.EncapType == "ether",
			flags: a.RawFlags, master: a.MasterIndex, addrs: of[a.Index], own: own[a.Index],
		}
		if len(a.HardwareAddr) == len(l.mac) {
			l.mac = hw(a.HardwareAddr)
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

// Watch subscribes to links and addresses. The library closes a channel when its
// socket fails, most often because more events came than its buffer holds.
func (l linux) Watch(ctx context.Context, seen func(change)) error {
	ns, err := l.handle()
	if err != nil {
		return err
	}
	if ns.IsOpen() {
		defer ns.Close()
	}
	done := make(chan struct{})
	links, addrs := make(chan netlink.LinkUpdate), make(chan netlink.AddrUpdate)
	if err := netlink.LinkSubscribeAt(ns, links, done); err != nil {
		return fmt.Errorf("subscribe to links: %w", err)
	}
	if err := netlink.AddrSubscribeAt(ns, addrs, done); err != nil {
		close(done)
		drain(links)
		return fmt.Errorf("subscribe to addresses: %w", err)
	}
	defer func() {
		close(done)
		drain(links)
		drain(addrs)
	}()
	seen(change{}) // what happened before the subscription is only in the list
	return relay(ctx, links, addrs, seen)
}

func relay(ctx context.Context, links <-chan netlink.LinkUpdate, addrs <-chan netlink.AddrUpdate, seen func(change)) error {
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
			seen(change{index: int(u.Index), down: gone || !running, gone: gone})
		case u, ok := <-addrs:
			if !ok {
				return errors.New("address subscription broke")
			}
			seen(change{index: u.LinkIndex})
		}
	}
}

// drain reads ch to its end: the library blocks on a channel that nobody reads.
func drain[T any](ch <-chan T) {
	for range ch {
	}
}
