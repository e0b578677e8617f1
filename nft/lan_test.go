package nft

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/starling-lb/starling/flows"
)

// patience is how long a test waits for what must happen.
const patience = 10 * time.Second

// privileged skips a test where network namespaces cannot be made for want of privilege, which in
// CI is a failure. Any other reason is a failure anyway.
func privileged(t testing.TB) {
	t.Helper()
	result := make(chan error)
	go func() {
		runtime.LockOSThread() // the thread ends here
		result <- unix.Unshare(unix.CLONE_NEWNET)
	}()
	switch err := <-result; {
	case err == nil:
	case errors.Is(err, unix.EPERM) && os.Getenv("CI") != "true":
		t.Skip("needs root: network namespaces")
	default:
		t.Fatalf("make a network namespace: %v", err)
	}
}

// host is a network namespace without a name, which goes with its last descriptor.
type host struct {
	t  testing.TB
	ns netns.NsHandle
	nl *netlink.Handle
}

func newHost(t testing.TB) *host {
	t.Helper()
	h := &host{t: t}
	made := make(chan error)
	go func() {
		runtime.LockOSThread()
		err := unix.Unshare(unix.CLONE_NEWNET)
		if err == nil {
			h.ns, err = netns.Get()
		}
		made <- err
	}()
	h.must("make a network namespace", <-made)
	nl, err := netlink.NewHandleAt(h.ns, unix.NETLINK_ROUTE)
	h.must("netlink in the namespace", err)
	h.nl = nl
	t.Cleanup(func() { nl.Close(); h.ns.Close() })
	for _, key := range []string{"net/ipv4/ip_forward=1", "net/ipv6/conf/all/forwarding=1", "net/ipv6/conf/default/accept_dad=0", "net/ipv6/conf/default/dad_transmits=0"} {
		h.sysctl(key)
	}
	h.must("up lo", nl.LinkSetUp(h.link("lo")))
	return h
}

func (h *host) must(what string, err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatalf("%s: %v", what, err)
	}
}

// do calls f on a thread in the namespace.
func (h *host) do(f func() error) error {
	h.t.Helper()
	result := make(chan error)
	go func() {
		runtime.LockOSThread() // the thread ends here
		if err := netns.Set(h.ns); err != nil {
			result <- err
			return
		}
		result <- f()
	}()
	return <-result
}

// sysctl sets key=value.
func (h *host) sysctl(setting string) {
	h.t.Helper()
	var key, value string
	for i := range setting {
		if setting[i] == '=' {
			key, value = setting[:i], setting[i+1:]
		}
	}
	h.must(setting, h.do(func() error { return os.WriteFile("/proc/sys/"+key, []byte(value), 0o644) }))
}

func (h *host) link(name string) netlink.Link {
	h.t.Helper()
	l, err := h.nl.LinkByName(name)
	h.must("find "+name, err)
	return l
}

func (h *host) mac() net.HardwareAddr { return h.link("eth0").Attrs().HardwareAddr }

// bridge makes the host a switch.
func (h *host) bridge() *host {
	h.t.Helper()
	h.must("add bridge", h.nl.LinkAdd(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "br0"}}))
	h.must("up bridge", h.nl.LinkSetUp(h.link("br0")))
	return h
}

// plug connects an interface of the host to a switch, with addresses.
func (h *host) plug(sw *host, name string, n byte, networks ...string) {
	h.t.Helper()
	port := fmt.Sprintf("%s%d", name, n)
	h.must("add port", sw.nl.LinkAdd(&netlink.Veth{
		LinkAttrs: netlink.LinkAttrs{Name: port, MasterIndex: sw.link("br0").Attrs().Index},
		PeerName:  name, PeerNamespace: netlink.NsFd(int(h.ns)),
	}))
	h.must("up port", sw.nl.LinkSetUp(sw.link(port)))
	h.must("up", h.nl.LinkSetUp(h.link(name)))
	for _, network := range networks {
		p := netip.MustParsePrefix(network)
		a := p.Addr().AsSlice()
		a[len(a)-1] = n
		h.must("add address", h.nl.AddrAdd(h.link(name), &netlink.Addr{IPNet: &net.IPNet{IP: a, Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}, Flags: unix.IFA_F_NODAD}))
	}
}

// proxy makes the host forward what comes for a VIP's port 80 to one backend, as kube-proxy does.
func (h *host) proxy(f family, vip, backend netip.Addr) {
	h.t.Helper()
	c, err := nftables.New(nftables.WithNetNSFd(int(h.ns)))
	h.must("nftables", err)
	t := c.AddTable(&nftables.Table{Name: "kube-proxy", Family: f.family})
	nat := func(name string, hook *nftables.ChainHook, priority *nftables.ChainPriority, exprs ...expr.Any) {
		chain := c.AddChain(&nftables.Chain{Table: t, Name: name, Type: nftables.ChainTypeNAT, Hooknum: hook, Priority: priority})
		c.AddRule(&nftables.Rule{Table: t, Chain: chain, Exprs: exprs})
	}
	to := func(ip netip.Addr) []expr.Any {
		return []expr.Any{
			&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: f.to, Len: f.length},
			&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: ip.AsSlice()},
		}
	}
	nat("services", nftables.ChainHookPrerouting, nftables.ChainPriorityNATDest, append(to(vip),
		&expr.Immediate{Register: 1, Data: backend.AsSlice()}, &expr.Immediate{Register: 2, Data: binaryutil.BigEndian.PutUint16(port)},
		&expr.NAT{Type: expr.NATTypeDestNAT, Family: uint32(f.family), RegAddrMin: 1, RegProtoMin: 2},
	)...)
	nat("masquerade", nftables.ChainHookPostrouting, nftables.ChainPriorityNATSource, append(to(backend), &expr.Masq{})...)
	h.must("rules of kube-proxy", c.Flush())
}

// passes has the kernel of a host pass a VIP on.
func (h *host) passes(all ...flows.Pass) *Kernel {
	h.t.Helper()
	k := h.kernel()
	h.must("pass", k.Pass(all))
	return k
}

func (h *host) kernel() *Kernel {
	k := New(time.Minute, nil)
	k.namespace = int(h.ns)
	return k
}
