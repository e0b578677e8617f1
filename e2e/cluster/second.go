package cluster

import (
	"context"
	"fmt"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
)

// The second segment, which hosts have besides the first one after AddSecond, and the addresses on
// it that tests may give to Services.
const (
	SecondSegment = "198.19.0.0/16"
	SecondPool    = "198.19.64.0/24"

	secondNIC    = "eth1"
	secondBridge = "br1"
)

// AddSecond plugs the client and all nodes into a switch of its own as well, until RemoveSecond. It
// returns the client's interface there; those of the nodes are their Second.
func (c *Cluster) AddSecond() (client *Host, err error) {
	if err := c.network.addBridge(secondBridge); err != nil {
		return nil, err
	}
	if client, err = c.Client.second(); err != nil {
		return nil, err
	}
	for _, n := range c.Nodes {
		if n.Second, err = n.second(); err != nil {
			return nil, err
		}
	}
	return client, nil
}

// RemoveSecond takes away all that AddSecond has made.
func (c *Cluster) RemoveSecond() error {
	return c.network.inSwitch(func(h *netlink.Handle) error {
		bridge, err := h.LinkByName(secondBridge)
		if err != nil {
			return err
		}
		links, err := h.LinkList()
		if err != nil {
			return err
		}
		links = slices.DeleteFunc(links, func(l netlink.Link) bool { return l.Attrs().MasterIndex != bridge.Attrs().Index })
		for _, n := range c.Nodes {
			n.Second = nil
		}
		return unlink(h, append(links, bridge)...)
	})
}

// second gives the host an interface on the second segment, with the end of the address that it has
// on the first.
func (h *Host) second() (*Host, error) {
	ip := h.IP4.As4()
	ip[1]++
	name := h.Name + "-2"
	s := &Host{Name: name, NIC: secondNIC, IP4: netip.AddrFrom4(ip), MAC: mac(name), Space: h.Space, network: h.network, bridge: secondBridge}
	return s, s.connect()
}

// AddCard plugs the host into the first segment's switch a second time, with addresses of its own,
// until it is pulled. From then on the host leaves it to the other interface what it cannot send by
// one without a carrier.
func (h *Host) AddCard() (*Host, error) {
	four, six, name := h.IP4.As4(), h.IP6.As16(), h.Name+"-b"
	four[2]++
	six[14]++
	card := &Host{Name: name, NIC: secondNIC, IP4: netip.AddrFrom4(four), IP6: netip.AddrFrom16(six), MAC: mac(name), Space: h.Space, network: h.network, bridge: firstBridge}
	if err := card.connect(); err != nil {
		return nil, err
	}
	return card, h.Space.Do(func() error {
		return setSysctls("net.ipv4.conf."+h.NIC+".ignore_routes_with_linkdown=1", "net.ipv6.conf."+h.NIC+".ignore_routes_with_linkdown=1")
	})
}

// Pull takes the interface out of the host, as a driver does that is unloaded; Insert puts a new
// one in.
func (h *Host) Pull() error {
	return h.atPort(func(handle *netlink.Handle, port netlink.Link) error { return handle.LinkDel(port) })
}

// Insert undoes Pull.
func (h *Host) Insert() error { return h.connect() }

// Rename gives the interface another name; it is down for a moment, as the kernel demands.
func (h *Host) Rename(ctx context.Context, name string) error {
	for _, args := range [][]string{{"down"}, {"name", name}, {"up"}} {
		device := h.NIC
		if args[0] == "up" {
			device = name
		}
		if _, err := run(ctx, h.Space, searchPath(""), append([]string{"ip", "link", "set", "dev", device}, args...)...); err != nil {
			return fmt.Errorf("rename %s of %s: %w", h.NIC, h.Name, err)
		}
	}
	h.NIC = name
	return nil
}
