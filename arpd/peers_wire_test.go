package arpd

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/starling-lb/starling/probe"
)

// asker sends probes in the rhythm of package probe, whenever somebody looks for the answers.
type asker struct {
	wire    *Responder
	machine *probe.Asker
	found   map[string]probe.Reply
	wake    time.Time
}

func asks(r *Responder, questions ...probe.Question) *asker {
	a := &asker{wire: r, machine: probe.NewAsker(probe.Standard()), found: map[string]probe.Reply{}}
	a.machine.Set(questions, 40*time.Millisecond, time.Now())
	return a
}

func (a *asker) answers() map[probe.Question]probe.Answer {
	now := time.Now()
	for _, e := range a.wire.Replies() {
		switch e := e.(type) {
		case probe.Reply:
			a.machine.Heard(e.Question, now)
			if e.Kind() == probe.Speaker {
				a.found[e.MAC] = e
			}
		case probe.Located:
			a.found[e.MAC] = probe.Reply{Addrs: e.Addrs}
		}
	}
	ask, wake, _ := a.machine.Next(now)
	a.wire.Send(ask)
	a.wake = wake
	return a.machine.Answers()
}

// await sends and listens until the condition holds.
func (a *asker) await(p *pair, what string, is func() bool) {
	p.T.Helper()
	for late := time.After(patience); !is(); {
		select {
		case <-a.wire.Replied():
		case <-time.After(time.Until(a.wake)):
		case <-late:
			p.T.Fatalf("wait for %s: found %v, answers %v", what, a.found, a.machine.Answers())
		}
	}
}

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
	other.SetPeers(Peers{Answer: 3})
	p.speaker.Watch([]netip.Addr{other4, other6})

	all := asks(p.speaker.Responder, probe.Question{MAC: probe.Everybody})
	all.await(p, "the other speaker", func() bool {
		all.answers()
		return len(all.found) == 1 && slices.Equal(all.found[mac].Addrs, []netip.Addr{ip}) && all.found[mac].Word == 3
	})
	here, nobody := probe.Question{MAC: mac}, probe.Question{MAC: p.wire.mac.String()}
	q := asks(p.speaker.Responder, here, nobody)
	q.await(p, "the answers", func() bool {
		a := q.answers()
		return !a[here].Last.IsZero() && a[nobody].Silent
	})
	other.stop()
	q.await(p, "silence", func() bool { return q.answers()[here].Silent })
}

// TestSuccessorIsAsked: a speaker that hands addresses over to one that announced them before it
// could be heard asks it, and falls silent; an address that the other has not is kept.
func TestSuccessorIsAsked(t *testing.T) {
	for name, keys := range map[string][][]byte{"without a key": nil, "with a key": {secret(1)}} {
		t.Run(name, func(t *testing.T) { successorIsAsked(t, keys) })
	}
}

func successorIsAsked(t *testing.T, keys [][]byte) {
	p := newPair(t)
	if err := p.speaker.SetKeys(keys); err != nil {
		t.Fatal(err)
	}
	second := newHost(t)
	p.plug(second, "eth0", "198.18.0.3/24", "2001:db8::3/64")
	other := second.speakWith(1, Config{Keys: keys})
	other.Set([]netip.Addr{other4, other6})
	other.SetPeers(Peers{Answer: 1})
	vips := []netip.Addr{other4, other6, vip4}
	p.speaker.SetPeers(Peers{MACs: map[string]string{second.mac("eth0").String(): "peer"}})
	p.speaker.Set(vips)
	p.speaker.give(vips, vips)
	p.speaker.await("two addresses to be handed over", func() bool {
		return slices.Equal(p.speaker.give(vips, vips), []netip.Addr{vip4})
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
	ask := func(ip string) probe.Question {
		return probe.Question{IP: netip.MustParseAddr(ip), MAC: mac.String(), Host: true}
	}
	v4, v6, nobody := ask("198.18.0.3"), ask("2001:db8::3"), ask("198.18.0.4")
	q := asks(p.speaker.Responder, v4, v6, nobody)
	q.await(p, "the answers", func() bool {
		a := q.answers()
		return !a[v4].Last.IsZero() && !a[v6].Last.IsZero() && a[nobody].Silent && a[nobody].Last.IsZero()
	})
	p.Down(port)
	q.await(p, "silence", func() bool {
		a := q.answers()
		return a[v4].Silent && a[v6].Silent
	})
	p.Up(port)
	q.await(p, "the answers again", func() bool {
		a := q.answers()
		return !a[v4].Silent && !a[v6].Silent
	})
	if got := gathered(t, p.speaker, "starling_layer2_dropped_total"); got != 0 {
		t.Errorf("%v frames dropped", got)
	}
}

// TestQuestionsTeachNothingWrong: the kernel of a host that overhears or gets
// the question learns no neighbor that is not there.
func TestQuestionsTeachNothingWrong(t *testing.T) {
	p := newPair(t)
	p.peer.Sysctl("net/ipv4/conf/eth0/arp_accept", "1")
	p.speaker.Set([]netip.Addr{vip4})
	p.speaker.SetPeers(Peers{Answer: 1})
	nobody := probe.Question{MAC: p.wire.mac.String()}
	q := asks(p.speaker.Responder, probe.Question{MAC: probe.Everybody}, nobody)
	q.await(p, "silence", func() bool { return q.answers()[nobody].Silent })
	p.answered(vip4) // the peer has read all before
	list, err := p.peer.NL.NeighList(0, unix.AF_INET)
	p.Must("list neighbors", err)
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
	other.SetPeers(Peers{Answer: 1})
	q := asks(p.speaker.Responder, probe.Question{MAC: probe.Everybody})
	q.await(p, "the other speaker", func() bool {
		q.answers()
		return slices.Equal(q.found[second.mac("eth0").String()].Addrs, []netip.Addr{ip})
	})
}
