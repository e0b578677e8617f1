package arpd

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestSpeakersFindEachOther: two speakers that were never told of each other ask
// all stations, and then each other, for themselves and for VIPs. A third host
// without a speaker stays silent.
func TestSpeakersFindEachOther(t *testing.T) {
	p := newPair(t)
	second := newHost(t)
	p.plug(second, "eth0", "198.18.0.3/24", "2001:db8::3/64")
	other := second.speak(1)
	mac, ip := second.mac("eth0").String(), netip.MustParseAddr("198.18.0.3")
	other.Set([]netip.Addr{other4, other6})
	other.Meet(Company{Say: 3})
	p.speaker.Watch([]netip.Addr{other4, other6})

	p.speaker.Meet(Company{Ask: []Question{{MAC: Everybody}}})
	p.speaker.await("the other speaker", func() bool {
		s := p.speaker.State().Speakers
		return len(s) == 1 && slices.Equal(s[mac].Addrs, []netip.Addr{ip}) && s[mac].Say == 3
	})
	here, v4, v6, nobody := Question{MAC: mac}, Question{IP: other4, MAC: mac}, Question{IP: other6, MAC: mac}, Question{MAC: p.wire.mac.String()}
	p.speaker.Meet(Company{Ask: []Question{here, v4, v6, nobody}})
	p.speaker.await("the answers", func() bool {
		a := p.speaker.State().Answers
		return !a[here].Last.IsZero() && !a[v4].Last.IsZero() && !a[v6].Last.IsZero() && a[nobody].Silent
	})
	other.Set([]netip.Addr{other6})
	p.speaker.await("silence about the one that was given up", func() bool {
		a := p.speaker.State().Answers
		return a[v4].Silent && !a[v6].Silent && !a[here].Silent
	})
	other.stop()
	p.speaker.await("silence", func() bool {
		a := p.speaker.State().Answers
		return a[v6].Silent && a[here].Silent
	})
}

// TestKernelAnswersForItsHost: without a speaker, on both families; not for
// addresses that are not its own, and not when the link is cut.
func TestKernelAnswersForItsHost(t *testing.T) {
	p := newPair(t)
	second := newHost(t)
	port := p.plug(second, "eth0", "198.18.0.3/24", "2001:db8::3/64")
	mac := second.mac("eth0")
	p.node.reach(netip.MustParseAddr("198.18.0.3"), mac)
	ask := func(ip string) Question { return Question{IP: netip.MustParseAddr(ip), MAC: mac.String(), Host: true} }
	v4, v6, nobody := ask("198.18.0.3"), ask("2001:db8::3"), ask("198.18.0.4")
	c := Company{Ask: []Question{v4, v6, nobody}, Pace: 40 * time.Millisecond}
	p.speaker.Meet(c)
	p.speaker.await("the answers", func() bool {
		a := p.speaker.State().Answers
		return !a[v4].Last.IsZero() && !a[v6].Last.IsZero() && a[nobody].Silent && a[nobody].Last.IsZero()
	})
	p.down(port)
	p.speaker.await("silence", func() bool {
		a := p.speaker.State().Answers
		return a[v4].Silent && a[v6].Silent
	})
	p.up(port)
	p.speaker.await("the answers again", func() bool {
		a := p.speaker.State().Answers
		return !a[v4].Silent && !a[v6].Silent
	})
	if got := gathered(t, p.speaker, "starling_layer2_dropped_total"); got != 0 {
		t.Errorf("%v frames dropped", got)
	}
}

// TestQuestionsTeachNothingWrong: the kernel of a host that overhears or gets
// the question learns no neighbour that is not there.
func TestQuestionsTeachNothingWrong(t *testing.T) {
	p := newPair(t)
	p.peer.sysctl("net/ipv4/conf/eth0/arp_accept", "1")
	p.speaker.Set([]netip.Addr{vip4})
	p.speaker.Meet(Company{Say: 1, Ask: []Question{{MAC: Everybody}, {MAC: p.wire.mac.String()}}})
	p.speaker.await("silence", func() bool { return p.speaker.State().Answers[Question{MAC: p.wire.mac.String()}].Silent })
	p.answered(vip4) // the peer has read all before
	list, err := p.peer.nl.NeighList(0, unix.AF_INET)
	p.must("list neighbours", err)
	known := map[string]bool{"198.18.0.1": true, vip4.String(): true}
	for _, n := range list {
		if len(n.HardwareAddr) > 0 && !known[n.IP.String()] && !n.IP.IsMulticast() && !n.IP.IsLoopback() {
			t.Errorf("the peer learned that %s is at %s", n.IP, n.HardwareAddr)
		}
	}
}

// TestSpeakerWithoutIPv4: the kernel knows by which addresses it was reached.
func TestSpeakerWithoutIPv4(t *testing.T) {
	p := newPair(t)
	second := newHost(t)
	p.plug(second, "eth0", "2001:db8::3/64")
	other := second.speak(1)
	ip := netip.MustParseAddr("2001:db8::3")
	p.node.reach(ip, second.mac("eth0"))
	other.Meet(Company{Say: 1})
	p.speaker.Meet(Company{Ask: []Question{{MAC: Everybody}}})
	p.speaker.await("the other speaker", func() bool {
		return slices.Equal(p.speaker.State().Speakers[second.mac("eth0").String()].Addrs, []netip.Addr{ip})
	})
}
