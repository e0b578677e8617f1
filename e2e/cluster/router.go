package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/vishvananda/netlink"
)

// The network behind a router, and addresses that are on no network, for Services that routers
// learn of.
const (
	Beyond4 = "192.0.2.0/24"
	Beyond6 = "2001:db8:19::/64"
	Routed4 = "203.0.113.0/24"
	Routed6 = "2001:db8:20::/64"

	beyondBridge = "br2"
)

// Router is a host between the segment and a network of its own, with a client on it. The nodes
// know the way there; the router learns the way to addresses of Services by BGP.
type Router struct {
	*Host
	Client *Host // behind it

	c   *Cluster
	dir string
}

// AddRouter makes a router, until Remove. Its flows are spread over the next hops by addresses and
// ports.
func (c *Cluster) AddRouter(ctx context.Context) (*Router, error) {
	r := &Router{c: c, dir: filepath.Join(c.Dir, "router")}
	if err := r.make(); err != nil {
		return nil, errors.Join(err, r.Remove(context.WithoutCancel(ctx)))
	}
	return r, nil
}

func (r *Router) make() error {
	c := r.c
	if err := c.network.addBridge(beyondBridge); err != nil {
		return err
	}
	host, err := c.network.add("router", netip.MustParseAddr("198.18.0.254"), netip.MustParseAddr("2001:db8:18::254"))
	if err != nil {
		return err
	}
	r.Host = host
	if err := errors.Join(os.Mkdir(r.dir, 0o755), os.Chmod(r.dir, 0o777)); err != nil { // FRR is a user of its own there
		return err
	}
	inner := &Host{
		Name: "router-2", NIC: secondNIC, MAC: mac("router-2"), Space: host.Space, network: c.network, bridge: beyondBridge,
		nets: map[string]string{"192.0.2.1/24": "", "2001:db8:19::1/64": ""},
	}
	if err := inner.connect(); err != nil {
		return err
	}
	if err := host.Space.Do(func() error {
		return setSysctls("net.ipv4.fib_multipath_hash_policy=1", "net.ipv6.fib_multipath_hash_policy=1")
	}); err != nil {
		return err
	}
	if r.Client, err = c.network.addOn(beyondBridge, "beyond", map[string]string{"192.0.2.10/24": "192.0.2.1", "2001:db8:19::10/64": "2001:db8:19::1"}); err != nil {
		return err
	}
	return eachNode(c.Nodes, func(n *Node) error { return n.way(host, (*netlink.Handle).RouteReplace) })
}

// way changes the routes of a node to the network behind the router.
func (n *Node) way(router *Host, change func(*netlink.Handle, *netlink.Route) error) error {
	return withHandle(n.Space, func(h *netlink.Handle) error {
		var errs []error
		for cidr, gateway := range map[string]netip.Addr{Beyond4: router.IP4, Beyond6: router.IP6} {
			_, dst, err := net.ParseCIDR(cidr)
			if err != nil {
				return err
			}
			errs = append(errs, change(h, &netlink.Route{Dst: dst, Gw: gateway.AsSlice()}))
		}
		return errors.Join(errs...)
	})
}

// Remove ends all that AddRouter and Start have begun.
func (r *Router) Remove(ctx context.Context) error {
	var errs []error
	if r.Client != nil {
		errs = append(errs, eachNode(r.c.Nodes, func(n *Node) error { return n.way(r.Host, (*netlink.Handle).RouteDel) }))
	}
	for _, h := range []*Host{r.Client, r.Host} {
		if h != nil {
			errs = append(errs, h.Space.Remove(ctx))
			r.c.network.hosts = slices.DeleteFunc(r.c.network.hosts, func(o *Host) bool { return o == h })
		}
	}
	errs = append(errs, r.c.network.inSwitch(func(h *netlink.Handle) error {
		var links []netlink.Link
		for _, name := range []string{"router", "router-2", "beyond", beyondBridge} {
			link, err := h.LinkByName(name)
			if errors.As(err, &netlink.LinkNotFoundError{}) {
				continue
			}
			if err != nil {
				return fmt.Errorf("look for %s: %w", name, err)
			}
			links = append(links, link)
		}
		return unlink(h, links...)
	}), os.RemoveAll(r.dir))
	return errors.Join(errs...)
}

// File writes a file of the router's programs and returns its name.
func (r *Router) File(name, text string) (string, error) {
	file := r.Path(name)
	return file, os.WriteFile(file, []byte(text), 0o644)
}

// Path is the name of a file of the router's programs.
func (r *Router) Path(name string) string { return filepath.Join(r.dir, name) }

// Start starts a program on the router, which is to run until the router is removed. Its output
// goes to the logs under that name.
func (r *Router) Start(name, program string, flags ...string) error {
	path, err := lookPath(program, searchPath("/usr/lib/frr"))
	if err != nil {
		return err
	}
	log, err := os.OpenFile(filepath.Join(r.c.logDir(), "router-"+name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(path, flags...)
	cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = log, log, &syscall.SysProcAttr{Setsid: true}
	if err := r.Space.Do(cmd.Start); err != nil {
		return fmt.Errorf("start %s: %w", name, err)
	}
	go func() { _ = cmd.Wait() }()
	return nil
}

// Run executes a command on the router and returns its output.
func (r *Router) Run(ctx context.Context, argv ...string) (out string, err error) {
	err = r.Space.Do(func() (err error) {
		out, err = command(ctx, "", argv...)
		return err
	})
	return out, err
}

// Hops are the next hops of the kernel's route to an address, sorted; none: it has no route.
func (r *Router) Hops(ctx context.Context, ip netip.Addr) ([]netip.Addr, error) {
	family := "-4"
	if ip.Is6() {
		family = "-6"
	}
	out, err := r.Run(ctx, "ip", "-j", family, "route", "show", ip.String())
	if err != nil {
		return nil, err
	}
	var list []struct {
		Dst, Gateway string
		Nexthops     []struct{ Gateway string }
	}
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		return nil, fmt.Errorf("routes of the router: %w", err)
	}
	var hops []netip.Addr
	for _, route := range list {
		if route.Dst != ip.String() {
			continue
		}
		for _, hop := range append(route.Nexthops, struct{ Gateway string }{route.Gateway}) {
			if a, err := netip.ParseAddr(hop.Gateway); err == nil {
				hops = append(hops, a)
			}
		}
	}
	slices.SortFunc(hops, netip.Addr.Compare)
	return slices.Compact(hops), nil
}
