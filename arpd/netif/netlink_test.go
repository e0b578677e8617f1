package netif

import (
	"context"
	"net"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

func ipnet(text string) *net.IPNet {
	p := netip.MustParsePrefix(text)
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

func TestConnected(t *testing.T) {
	for name, tc := range map[string]struct {
		addr netlink.Addr
		want string // "": none
	}{
		"IPv4":           {netlink.Addr{IPNet: ipnet("198.18.0.1/24")}, "198.18.0.1/24"},
		"IPv6":           {netlink.Addr{IPNet: ipnet("2001:db8::1/64")}, "2001:db8::1/64"},
		"point to point": {netlink.Addr{IPNet: ipnet("198.18.0.1/32"), Peer: ipnet("198.18.9.1/24")}, "198.18.9.1/24"},
		"16 bytes of IPv4": {
			netlink.Addr{IPNet: &net.IPNet{IP: net.ParseIP("198.18.0.1"), Mask: net.CIDRMask(24, 32)}},
			"198.18.0.1/24",
		},
		"no address": {netlink.Addr{}, ""},
		"no mask":    {netlink.Addr{IPNet: &net.IPNet{IP: net.IPv4(198, 18, 0, 1), Mask: net.IPMask{255, 0, 255, 0}}}, ""},
		"no bytes":   {netlink.Addr{IPNet: &net.IPNet{Mask: net.CIDRMask(24, 32)}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, ok := connected(tc.addr)
			if ok != (tc.want != "") || ok && got.String() != tc.want {
				t.Errorf("prefix %s, %v", got, ok)
			}
		})
	}
}

func TestJoin(t *testing.T) {
	attrs := func(name string, index int, mac net.HardwareAddr) netlink.LinkAttrs {
		return netlink.LinkAttrs{Name: name, Index: index, HardwareAddr: mac, EncapType: "ether", RawFlags: running}
	}
	member := attrs("eth1", 3, peerHW[:])
	member.MasterIndex = 4
	got := join([]netlink.Link{
		&netlink.Device{LinkAttrs: attrs("eth0", 2, nodeHW[:])},
		&netlink.Veth{LinkAttrs: member},
		&netlink.Tuntap{LinkAttrs: netlink.LinkAttrs{Name: "tun0", Index: 5, EncapType: "none", RawFlags: unix.IFF_UP | unix.IFF_NOARP}},
	}, []netlink.Addr{
		{IPNet: ipnet("198.18.0.1/24"), LinkIndex: 2},
		{IPNet: ipnet("2001:db8::1/64"), LinkIndex: 2},
		{LinkIndex: 2},
		{IPNet: ipnet("198.18.5.1/24"), LinkIndex: 5},
		{IPNet: ipnet("198.18.9.1/24"), LinkIndex: 9},
	})
	want := []Link{
		{Name: "eth0", Index: 2, Kind: "device", Ether: true, Flags: running, MAC: nodeHW, Addrs: prefixes("198.18.0.1/24", "2001:db8::1/64"), Own: addrs("198.18.0.1", "2001:db8::1")},
		{Name: "eth1", Index: 3, Kind: "veth", Ether: true, Flags: running, MAC: peerHW, Master: 4},
		{Name: "tun0", Index: 5, Kind: "tuntap", Flags: unix.IFF_UP | unix.IFF_NOARP, Addrs: prefixes("198.18.5.1/24"), Own: addrs("198.18.5.1")},
	}
	if diff := cmp.Diff(want, got, compare, cmp.AllowUnexported(Link{})); diff != "" {
		t.Errorf("links (-want +got):\n%s", diff)
	}
}

// TestRelay checks what is made of events, and that a broken subscription is an
// error while the end of the context is none.
func TestRelay(t *testing.T) {
	event := func(kind uint16, index int32, flags uint32) netlink.LinkUpdate {
		u := netlink.LinkUpdate{Header: unix.NlMsghdr{Type: kind}}
		u.Index, u.Flags = index, flags
		return u
	}
	for name, tc := range map[string]struct {
		send func(chan netlink.LinkUpdate, chan netlink.AddrUpdate, context.CancelFunc)
		want []Change
		fail bool
	}{
		"up": {func(l chan netlink.LinkUpdate, _ chan netlink.AddrUpdate, end context.CancelFunc) {
			l <- event(unix.RTM_NEWLINK, 2, running)
			end()
		}, []Change{{Index: 2}}, false},
		"down": {func(l chan netlink.LinkUpdate, _ chan netlink.AddrUpdate, end context.CancelFunc) {
			l <- event(unix.RTM_NEWLINK, 2, unix.IFF_BROADCAST)
			end()
		}, []Change{{Index: 2, Down: true}}, false},
		"no carrier": {func(l chan netlink.LinkUpdate, _ chan netlink.AddrUpdate, end context.CancelFunc) {
			l <- event(unix.RTM_NEWLINK, 2, unix.IFF_UP)
			end()
		}, []Change{{Index: 2, Down: true}}, false},
		"removed": {func(l chan netlink.LinkUpdate, _ chan netlink.AddrUpdate, end context.CancelFunc) {
			l <- event(unix.RTM_DELLINK, 2, running)
			end()
		}, []Change{{Index: 2, Down: true, Gone: true}}, false},
		"left its bridge": {func(l chan netlink.LinkUpdate, _ chan netlink.AddrUpdate, end context.CancelFunc) {
			u := event(unix.RTM_DELLINK, 2, running)
			u.Family = unix.AF_BRIDGE
			l <- u
			end()
		}, []Change{{Index: 2}}, false},
		"address": {func(_ chan netlink.LinkUpdate, a chan netlink.AddrUpdate, end context.CancelFunc) {
			a <- netlink.AddrUpdate{LinkIndex: 3}
			end()
		}, []Change{{Index: 3}}, false},
		"links break":     {func(l chan netlink.LinkUpdate, _ chan netlink.AddrUpdate, _ context.CancelFunc) { close(l) }, nil, true},
		"addresses break": {func(_ chan netlink.LinkUpdate, a chan netlink.AddrUpdate, _ context.CancelFunc) { close(a) }, nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			links, addrs := make(chan netlink.LinkUpdate), make(chan netlink.AddrUpdate)
			go tc.send(links, addrs, cancel)
			var got []Change
			err := relay(ctx, links, addrs, nil, func(c Change) { got = append(got, c) })
			if (err != nil) != tc.fail {
				t.Errorf("error %v", err)
			}
			if diff := cmp.Diff(tc.want, got, cmp.AllowUnexported(Change{})); diff != "" {
				t.Errorf("changes (-want +got):\n%s", diff)
			}
		})
	}
}

// TestRelayRoutes: only routes to networks of interfaces are a reason to look, and
// a subscription to them that breaks ends nothing.
func TestRelayRoutes(t *testing.T) {
	to := func(dst string, change func(*netlink.Route)) netlink.RouteUpdate {
		r := netlink.Route{LinkIndex: 2, Type: unix.RTN_UNICAST}
		if dst != "" {
			r.Dst = ipnet(dst)
		}
		if change != nil {
			change(&r)
		}
		return netlink.RouteUpdate{Route: r}
	}
	for name, tc := range map[string]struct {
		route netlink.RouteUpdate
		want  bool
	}{
		"IPv4":           {to("198.18.0.0/24", nil), true},
		"IPv6":           {to("2001:db8::/64", nil), true},
		"by a gateway":   {to("198.18.0.0/24", func(r *netlink.Route) { r.Gw = net.IPv4(198, 18, 0, 1) }), false},
		"by another way": {to("198.18.0.0/24", func(r *netlink.Route) { r.Via = &netlink.Via{} }), false},
		"by several":     {to("198.18.0.0/24", func(r *netlink.Route) { r.MultiPath = []*netlink.NexthopInfo{{}} }), false},
		"everywhere":     {to("", nil), false},
		"the same":       {to("0.0.0.0/0", nil), false},
		"to a host":      {to("198.18.0.7/32", nil), false},
		"multicast":      {to("ff00::/8", func(r *netlink.Route) { r.Type = unix.RTN_MULTICAST }), false},
		"link-local":     {to("fe80::/64", nil), false},
		"nowhere":        {to("198.18.0.0/24", func(r *netlink.Route) { r.Type = unix.RTN_BLACKHOLE }), false},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			addrs, routes, broken := make(chan netlink.AddrUpdate), make(chan netlink.RouteUpdate), make(chan struct{})
			go func() {
				routes <- tc.route
				close(routes)
				<-broken
				addrs <- netlink.AddrUpdate{LinkIndex: 3}
				cancel()
			}()
			var got []Change
			err := relay(ctx, nil, addrs, routes, func(c Change) {
				if got = append(got, c); c == (Change{}) {
					close(broken)
				}
			})
			if err != nil {
				t.Errorf("error %v", err)
			}
			want := []Change{{}, {Index: 3}}
			if tc.want {
				want = append([]Change{{Index: 2}}, want...)
			}
			if diff := cmp.Diff(want, got, cmp.AllowUnexported(Change{})); diff != "" {
				t.Errorf("changes (-want +got):\n%s", diff)
			}
		})
	}
}
