package nft

import (
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"

	"github.com/starling-lb/starling/flows"
	"github.com/starling-lb/starling/lantest"
)

// patience is how long a test waits for what must happen.
const patience = 10 * time.Second

// host is one that forwards, with an interface eth0 at a switch.
type host struct{ *lantest.Host }

func newHost(t testing.TB) *host {
	t.Helper()
	h := &host{lantest.New(t)}
	for _, key := range []string{"net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"} {
		h.Sysctl(key, "1")
	}
	return h
}

func (h *host) mac() net.HardwareAddr { return h.Link("eth0").Attrs().HardwareAddr }

// plug connects an interface of the host to a switch, with the n-th address of each network.
func (h *host) plug(sw *lantest.Host, name string, n byte, networks ...string) {
	h.T.Helper()
	var addrs []string
	for _, network := range networks {
		p := netip.MustParsePrefix(network)
		a := p.Addr().AsSlice()
		a[len(a)-1] = n
		ip, _ := netip.AddrFromSlice(a)
		addrs = append(addrs, netip.PrefixFrom(ip, p.Bits()).String())
	}
	h.Plug(sw, name, fmt.Sprintf("%s%d", name, n), addrs...)
}

// nftables is a proxy that writes its rules as kube-proxy does in its mode nftables.
func (h *host) nftables(f family, vip, backend netip.Addr) {
	h.T.Helper()
	c, err := nftables.New(nftables.WithNetNSFd(int(h.NS)))
	h.Must("nftables", err)
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
	h.Must("rules of kube-proxy", c.Flush())
}

// passes has the kernel of a host pass a VIP on.
func (h *host) passes(all ...flows.Pass) *Kernel {
	h.T.Helper()
	k := h.kernel()
	h.Must("pass", k.Pass(all))
	return k
}

func (h *host) kernel() *Kernel {
	k := New(time.Minute, nil)
	k.namespace = int(h.NS)
	return k
}
