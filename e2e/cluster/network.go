package cluster

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/starling-lb/starling/e2e/netspace"
)

// The segment that all hosts share, and the addresses on it that tests may give to Services.
const (
	Segment4 = "198.18.0.0/16"
	Segment6 = "2001:db8:18::/64"
	Pool4    = "198.18.64.0/24"
	Pool6    = "2001:db8:18::4:0/120"

	gateway4 = "198.18.0.1" // Routes nowhere; a default route is what hosts usually have.
	gateway6 = "2001:db8:18::1"
)

// NIC is the name of every host's interface on the (first) segment.
const NIC = "eth0"

// Host is a space with an interface on a segment.
type Host struct {
	Name  string
	NIC   string     // Name of the interface.
	IP4   netip.Addr // Invalid in a cluster of IPv6 only.
	IP6   netip.Addr // Invalid on the second segment.
	MAC   net.HardwareAddr
	Space *netspace.Space

	network *network
	bridge  string            // That the other end of the interface is in, under the host's name.
	nets    map[string]string // Addresses with the gateway of each, if not those of the segment.
}

// Addr is the host's first address.
func (h *Host) Addr() netip.Addr {
	if h.IP4.IsValid() {
		return h.IP4
	}
	return h.IP6
}

// addrs are the host's addresses, separated by commas.
func (h *Host) addrs() string {
	if h.IP4.IsValid() && h.IP6.IsValid() {
		return h.IP4.String() + "," + h.IP6.String()
	}
	return h.Addr().String()
}

// network is the switch and the hosts on it.
type network struct {
	prefix string
	space  *netspace.Space
	hosts  []*Host
}

// newNetwork makes a space with a bridge in it.
func newNetwork(prefix string) (*network, error) {
	space, err := netspace.New(prefix + "switch")
	if err != nil {
		return nil, err
	}
	n := &network{prefix: prefix, space: space}
	if err := space.Do(func() error { return setSysctls("net.ipv6.conf.default.disable_ipv6=1") }); err != nil {
		return nil, err
	}
	return n, n.addBridge(firstBridge)
}

// firstBridge is that of the segment.
const firstBridge = "br0"

func (n *network) addBridge(name string) error {
	return n.inSwitch(func(h *netlink.Handle) error {
		bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: name}}
		if err := h.LinkAdd(bridge); err != nil {
			return fmt.Errorf("add bridge: %w", err)
		}
		return h.LinkSetUp(bridge)
	})
}

// unlink takes links away. Those that are gone already are no error: of a pair the kernel removes
// the second end with the first, and those of a namespace some time after it.
func unlink(h *netlink.Handle, links ...netlink.Link) error {
	var errs []error
	for _, l := range links {
		if err := h.LinkDel(l); err != nil && !errors.Is(err, unix.ENODEV) {
			errs = append(errs, fmt.Errorf("remove %s: %w", l.Attrs().Name, err))
		}
	}
	return errors.Join(errs...)
}

func (n *network) inSwitch(f func(*netlink.Handle) error) error { return withHandle(n.space, f) }

// withHandle talks to the kernel about the links of the space.
func withHandle(space *netspace.Space, f func(*netlink.Handle) error) error {
	ns, err := netns.GetFromPath(space.Path())
	if err != nil {
		return fmt.Errorf("open namespace %s: %w", space.Name, err)
	}
	defer ns.Close()
	h, err := netlink.NewHandleAt(ns, unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("netlink in %s: %w", space.Name, err)
	}
	defer h.Close()
	return f(h)
}

// add makes a host and plugs it into the switch; its port there has the host's name.
func (n *network) add(name string, v4, v6 netip.Addr) (*Host, error) {
	space, err := netspace.New(n.prefix + name)
	if err != nil {
		return nil, err
	}
	host := &Host{Name: name, NIC: NIC, IP4: v4, IP6: v6, MAC: mac(name), Space: space, network: n, bridge: firstBridge}
	n.hosts = append(n.hosts, host)
	if err := space.Do(hostSysctls); err != nil {
		return nil, err
	}
	return host, host.connect()
}

// addOn makes a host on another bridge than the segment's, with these addresses and the gateway of
// each.
func (n *network) addOn(bridge, name string, nets map[string]string) (*Host, error) {
	space, err := netspace.New(n.prefix + name)
	if err != nil {
		return nil, err
	}
	host := &Host{Name: name, NIC: NIC, MAC: mac(name), Space: space, network: n, bridge: bridge, nets: nets}
	n.hosts = append(n.hosts, host)
	if err := space.Do(hostSysctls); err != nil {
		return nil, err
	}
	return host, host.connect()
}

// connect gives the host its interface.
func (h *Host) connect() error {
	if err := h.network.plug(h); err != nil {
		return fmt.Errorf("plug %s: %w", h.Name, err)
	}
	if err := withHandle(h.Space, h.configure); err != nil {
		return fmt.Errorf("configure %s: %w", h.Name, err)
	}
	return nil
}

func (n *network) plug(host *Host) error {
	ns, err := netns.GetFromPath(host.Space.Path())
	if err != nil {
		return err
	}
	defer ns.Close()
	return n.inSwitch(func(h *netlink.Handle) error {
		bridge, err := h.LinkByName(host.bridge)
		if err != nil {
			return err
		}
		port := &netlink.Veth{
			LinkAttrs: netlink.LinkAttrs{Name: host.Name, MasterIndex: bridge.Attrs().Index},
			PeerName:  host.NIC, PeerHardwareAddr: host.MAC, PeerNamespace: netlink.NsFd(ns),
		}
		if err := h.LinkAdd(port); err != nil {
			return err
		}
		return h.LinkSetUp(port)
	})
}

// configure brings the links of the host up and gives it addresses and a default route.
func (h *Host) configure(handle *netlink.Handle) error {
	for _, name := range []string{"lo", h.NIC} {
		link, err := handle.LinkByName(name)
		if err != nil {
			return err
		}
		if err := handle.LinkSetUp(link); err != nil {
			return fmt.Errorf("bring up %s: %w", name, err)
		}
	}
	link, err := handle.LinkByName(h.NIC)
	if err != nil {
		return err
	}
	for addr, gateway := range h.addresses() {
		a, err := netlink.ParseAddr(addr)
		if err != nil {
			return err
		}
		a.Flags = unix.IFA_F_NODAD // Usable at once.
		if err := handle.AddrAdd(link, a); err != nil {
			return fmt.Errorf("add %s: %w", addr, err)
		}
		if gateway == "" || gateway == h.IP4.String() || gateway == h.IP6.String() {
			continue
		}
		if err := handle.RouteAdd(&netlink.Route{LinkIndex: link.Attrs().Index, Gw: net.ParseIP(gateway)}); err != nil {
			return fmt.Errorf("add route by %s: %w", gateway, err)
		}
	}
	return nil
}

// addresses of the host with their networks, and the gateway of each; the second segment has none,
// and neither has an interface besides the first.
func (h *Host) addresses() map[string]string {
	switch {
	case h.nets != nil:
		return h.nets
	case !h.IP4.IsValid():
		return map[string]string{h.IP6.String() + "/64": gateway6}
	case !h.IP6.IsValid():
		return map[string]string{h.IP4.String() + "/16": ""}
	case h.NIC != NIC:
		return map[string]string{h.IP4.String() + "/16": "", h.IP6.String() + "/64": ""}
	}
	return map[string]string{h.IP4.String() + "/16": gateway4, h.IP6.String() + "/64": gateway6}
}

// hostSysctls are set before the interface exists, so that it is born with them.
func hostSysctls() error {
	return setSysctls(
		"net.ipv4.ip_forward=1", "net.ipv4.conf.all.rp_filter=0", "net.ipv4.conf.default.rp_filter=0",
		"net.ipv6.conf.all.forwarding=1", "net.ipv6.conf.default.accept_dad=0", "net.ipv6.conf.default.dad_transmits=0",
		"net.ipv6.conf.default.accept_ra=0", "net.ipv6.conf.default.disable_ipv6=0", "net.ipv6.conf.lo.disable_ipv6=0",
	)
}

// setSysctls writes settings of the network namespace of the calling thread.
func setSysctls(settings ...string) error {
	var errs []error
	for _, s := range settings {
		path, value := sysctlPath(s)
		errs = append(errs, os.WriteFile(path, []byte(value), 0o644))
	}
	return errors.Join(errs...)
}

func sysctlPath(setting string) (path, value string) {
	path = "/proc/sys/"
	for i, r := range setting {
		switch r {
		case '=':
			return path, setting[i+1:]
		case '.':
			path += "/"
		default:
			path += string(r)
		}
	}
	return path, ""
}

// mac derives a locally administered address from the name, the same in every run.
func mac(name string) net.HardwareAddr {
	sum := sha256.Sum256([]byte(name))
	return net.HardwareAddr{0x02, sum[0], sum[1], sum[2], sum[3], sum[4]}
}
