package arpd

import (
	"encoding/hex"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/starling-lb/starling/arpd/packet"
)

// querier makes the switch forward IPv6 multicast only to ports that reported
// membership. It takes over after one query response interval, so that is made
// short first.
func (l *lan) querier() {
	l.T.Helper()
	l.bridge(nl.IFLA_BR_MCAST_QUERY_RESPONSE_INTVL, nl.Uint64Attr(10)) // 0.1 s
	l.bridge(nl.IFLA_BR_MCAST_QUERIER, nl.Uint8Attr(1))
}

// bridge sets an attribute of the switch that the library has no name for.
func (l *lan) bridge(attribute int, value []byte) {
	l.T.Helper()
	index := l.Link("br0").Attrs().Index
	l.do(func() error {
		req := nl.NewNetlinkRequest(unix.RTM_NEWLINK, unix.NLM_F_ACK)
		msg := nl.NewIfInfomsg(unix.AF_UNSPEC)
		msg.Index = int32(index)
		req.AddData(msg)
		info := nl.NewRtAttr(unix.IFLA_LINKINFO, nil)
		info.AddRtAttr(nl.IFLA_INFO_KIND, nl.NonZeroTerminated("bridge"))
		info.AddRtAttr(nl.IFLA_INFO_DATA, nil).AddRtAttr(attribute, value)
		req.AddData(info)
		_, err := req.Execute(unix.NETLINK_ROUTE, 0)
		return err
	})
}

// joined are the solicited-node groups of eth0 that its own addresses do not
// explain.
func (h *host) joined(not ...netip.Addr) []string {
	h.T.Helper()
	var text []byte
	h.do(func() (err error) { text, err = os.ReadFile("/proc/thread-self/net/igmp6"); return err })
	out := []string{}
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		raw, err := hex.DecodeString(f[2])
		h.Must("read igmp6", err)
		group, _ := netip.AddrFromSlice(raw)
		if f[1] == "eth0" && strings.HasPrefix(group.String(), "ff02::1:ff") && !slices.Contains(not, group) {
			out = append(out, group.String())
		}
	}
	slices.Sort(out)
	return out
}

// TestGroupsInTheKernel: groups are joined once each however many addresses need
// them, and left with the last one.
func TestGroupsInTheKernel(t *testing.T) {
	p := newPair(t)
	var base []netip.Addr
	for _, g := range p.node.joined() {
		base = append(base, netip.MustParseAddr(g))
	}
	twin := netip.MustParseAddr("2001:db8:7::100") // shares the group of vip6
	for _, step := range []struct {
		set  []netip.Addr
		want []string
	}{
		{[]netip.Addr{vip4, vip6, twin, other6}, []string{"ff02::1:ff00:100", "ff02::1:ff00:101"}},
		{[]netip.Addr{twin}, []string{"ff02::1:ff00:100"}},
		{nil, []string{}},
	} {
		p.speaker.Set(step.set)
		var got []string
		for range ticks(t) {
			if got = p.node.joined(base...); slices.Equal(got, step.want) {
				break
			}
		}
		if diff := cmp.Diff(step.want, got); diff != "" {
			t.Errorf("groups for %v (-want +got):\n%s", step.set, diff)
		}
	}
}

// TestManyGroups: more groups than one socket holds.
func TestManyGroups(t *testing.T) {
	p := newPair(t)
	begin := time.Now()
	p.speaker.Set(many(1000))
	count := 0
	for range ticks(t) {
		if count = len(p.node.joined()); count >= 1000 {
			break
		}
	}
	if count < 1000 || len(p.speaker.words()) > 0 {
		t.Errorf("%d groups, problems %v", count, p.speaker.words())
	}
	t.Logf("1,000 groups joined in %v", time.Since(begin).Round(time.Millisecond))
}

// TestSnoopingSwitch: through a switch that forwards multicast to members only, a
// question arrives because the group was joined, and others do not.
func TestSnoopingSwitch(t *testing.T) {
	p := newPair(t)
	p.speaker.Set([]netip.Addr{vip6})
	p.querier()
	seen, stranger := p.node.station("eth0"), netip.MustParseAddr("2001:db8::77:7777")
	p.until("the switch filters multicast and knows the member", func() bool {
		p.ask(stranger, vip6)
		foreign, ours := false, false
		seen.within(100*time.Millisecond, func(f []byte) bool {
			foreign = foreign || isND(packet.NS, p.wire.mac, stranger)(f)
			ours = isND(packet.NS, p.wire.mac, vip6)(f)
			return ours
		})
		return ours && !foreign
	})
	late := netip.MustParseAddr("2001:db8::88:8888")
	p.speaker.Set([]netip.Addr{vip6, late})
	p.answeredSoon(late) // the switch learns of the new member a moment later
}

// ticks yields at a quiet pace until patience ends, for what the kernel tells
// nobody of.
func ticks(t *testing.T) func(func(time.Time) bool) {
	return func(yield func(time.Time) bool) {
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		late := time.After(patience)
		for {
			select {
			case at := <-tick.C:
				if !yield(at) {
					return
				}
			case <-late:
				t.Log("out of patience")
				return
			}
		}
	}
}
