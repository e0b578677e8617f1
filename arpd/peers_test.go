package arpd

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/mdlayher/arp"

	"github.com/starling-lb/starling/arpd/packet"
	"github.com/starling-lb/starling/claims"
	"github.com/starling-lb/starling/owner"
	"github.com/starling-lb/starling/probe"
)

// here is the presence address of the cluster "lab" with a word.
func here(word uint8) netip.Addr {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], presenceOf("lab")|uint32(word))
	return netip.AddrFrom4(b)
}

func TestPresenceAddress(t *testing.T) {
	seen := map[uint32]bool{}
	for _, cluster := range []string{"", "lab", "a", "b", "d1c9a3f2-0000-4000-8000-000000000000"} {
		p := presenceOf(cluster)
		if p == 0 || p>>24 != 0 || p&wordMask != 0 {
			t.Errorf("%q: %08x", cluster, p)
		}
		seen[p] = true
	}
	if len(seen) != 5 {
		t.Errorf("%d addresses for 5 clusters", len(seen))
	}
	if got := here(0).String(); got != "0.96.146.240" {
		t.Errorf("the presence address of a cluster changed to %s: nodes of different releases would not understand each other", got)
	}
}

func TestGreet(t *testing.T) {
	ask := func(spa, tpa netip.Addr) []byte {
		return arpFrame(t, nodeHW, peerHW, arp.OperationRequest, peerHW, spa, packet.HW{}, tpa)
	}
	say := func(word uint8) []byte {
		return arpFrame(t, nodeHW, peerHW, arp.OperationReply, peerHW, peer4, nodeHW, here(word))
	}
	for name, tc := range map[string]struct {
		say   uint8
		frame []byte
		want  verdict
	}{
		"asked":                      {3, ask(peer4, here(0)), verdict{answer: packet.ARPSize, presence: true}},
		"asked by one without":       {3, ask(netip.IPv4Unspecified(), here(0)), verdict{answer: packet.ARPSize, presence: true}},
		"asked to all":               {3, with(ask(peer4, here(0)), 0, packet.Broadcast[:]...), verdict{answer: packet.ARPSize, presence: true}},
		"asked, but not here":        {0, ask(peer4, here(0)), verdict{drop: notRequest}},
		"asked with a word":          {3, ask(peer4, here(1)), verdict{drop: notRequest}},
		"asked by another cluster":   {3, ask(peer4, netip.MustParseAddr("0.1.2.0")), verdict{drop: notOwned}},
		"told":                       {0, say(3), verdict{claim: claim{kind: greeting, ip: peer4, mac: peerHW, says: 3}}},
		"told nothing":               {3, say(0), verdict{drop: notRequest}},
		"told by this node":          {3, with(say(3), 6, nodeHW[:]...), verdict{drop: ownFrame}},
		"told to another":            {3, with(say(3), 0, strangerHW[:]...), verdict{drop: notForUs}},
		"asked by nobody in special": {3, with(ask(peer4, here(0)), 22, make([]byte, 6)...), verdict{drop: badSender}},
	} {
		t.Run(name, func(t *testing.T) {
			v := nodeView()
			v.table.presence, v.say, v.addr4 = presenceOf("lab"), tc.say, [4]byte{198, 18, 0, 1}
			b := append(tc.frame, make([]byte, 64)...)
			got := v.arp(b, len(tc.frame))
			if diff := cmp.Diff(tc.want, got, compare); diff != "" {
				t.Errorf("verdict (-want +got):\n%s", diff)
			}
			if got.answer == 0 {
				return
			}
			m, d := packet.ParseARP(b[:got.answer])
			want := packet.ARP{Dst: peerHW, Src: nodeHW, Op: packet.OpReply, SHA: nodeHW, SPA: v.addr4, THA: peerHW, TPA: here(3).As4()}
			if d != packet.Sound || m != want {
				t.Errorf("answer %+v, want %+v", m, want)
			}
		})
	}
}

var (
	ofPresence = probe.Question{MAC: peerHW.String()}
	ofVIP      = probe.Question{IP: other4, MAC: peerHW.String()}
	ofVIP6     = probe.Question{IP: other6, MAC: peerHW.String()}
)

// met is a node of the cluster "lab" that knows its peer and sends it probes.
func met(t *testing.T, c Peers, probes ...probe.Question) (*node, *fakeSocket, *fakeSocket) {
	t.Helper()
	n, arp, nd := owning(t)
	n.mu.Lock()
	n.presence = presenceOf("lab")
	n.spread()
	n.mu.Unlock()
	n.Set([]netip.Addr{vip4})
	time.Sleep(10 * time.Second)
	arp.take()
	n.SetPeers(c)
	n.Send(probes)
	return n, arp, nd
}

func TestSpeakerThatReplies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, arp, _ := met(t, Peers{}, ofPresence)
		sent := arp.take()
		if len(sent) != 1 {
			t.Fatalf("%d frames for a probe", len(sent))
		}
		m, _ := packet.ParseARP(sent[0].frame)
		want := packet.ARP{Dst: peerHW, Src: testNIC.MAC, Op: packet.OpRequest, SHA: testNIC.MAC, SPA: [4]byte{198, 18, 0, 1}, THA: peerHW, TPA: here(0).As4()}
		if m != want {
			t.Errorf("probe %+v, want %+v", m, want)
		}
		arp.deliver(t, arpFrame(t, testNIC.MAC, peerHW, 2, peerHW, peer4, testNIC.MAC, here(3)))
		<-n.Replied()
		if diff := cmp.Diff([]any{probe.Reply{Question: ofPresence, Word: 3, Addrs: []netip.Addr{peer4}}}, n.Replies(), compare); diff != "" {
			t.Errorf("replies (-want +got):\n%s", diff)
		}
		if got := n.Replies(); len(got) != 0 {
			t.Errorf("handed up twice: %v", got)
		}
	})
}

// TestProbesAreSentOnce: each by itself; none for an address that is no VIP, and none that is
// nonsense.
func TestProbesAreSentOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, arp, nd := met(t, Peers{}, ofPresence, ofVIP, ofVIP6,
			probe.Question{IP: peer4, MAC: peerHW.String()}, probe.Question{MAC: "nonsense"})
		time.Sleep(5 * time.Second)
		if got := len(arp.take()); got != 2 {
			t.Errorf("%d ARP probes", got)
		}
		sent := nd.take()
		if len(sent) != 1 {
			t.Fatalf("%d solicitations", len(sent))
		}
		m, d := packet.ParseND(sent[0].frame)
		if d != packet.Sound || m.Kind != packet.NS || m.Target != other6.As16() || m.To != other6.As16() || m.Dst != peerHW {
			t.Errorf("solicitation %+v (%s)", m, d)
		}
	})
}

// TestOwnerThatReplies: who holds on to an address is heard once for each question.
func TestOwnerThatReplies(t *testing.T) {
	for _, q := range []probe.Question{ofVIP, ofVIP6} {
		t.Run(q.IP.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, arp, nd := met(t, Peers{MACs: map[string]string{peerHW.String(): "peer"}})
				n.Assign(claims.Assignment{Own: []netip.Addr{vip4}, Watched: []netip.Addr{other4, other6}})
				s, reply := arp, arpFrame(t, testNIC.MAC, peerHW, packet.OpReply, peerHW, other4, testNIC.MAC, peer4)
				if q.IP.Is6() {
					s, reply = nd, advertise(t, testNIC.MAC, peerHW, peer6, other6, true)
				}
				s.deliver(t, reply)
				synctest.Wait()
				if got := n.Replies(); len(got) > 0 {
					t.Errorf("handed up unasked: %v", got)
				}
				n.Send([]probe.Question{q})
				s.deliver(t, reply)
				s.deliver(t, reply)
				<-n.Replied()
				synctest.Wait()
				if diff := cmp.Diff([]any{probe.Reply{Question: q}}, n.Replies(), compare); diff != "" {
					t.Errorf("replies (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// ranked are a name that the test's node outranks for an address, and one that outranks it.
func ranked(ip netip.Addr) (lower, higher string) {
	for name := "a"; lower == "" || higher == ""; name += "a" {
		if owner.Outranks(name, "", ip) {
			higher = name
		} else {
			lower = name
		}
	}
	return lower, higher
}

// TestMemberThatHoldsOn: an address that a member of higher rank announces is left to it as long as
// it replies that it has the address, and then taken back.
func TestMemberThatHoldsOn(t *testing.T) {
	for _, ip := range []netip.Addr{vip4, vip6} {
		t.Run(ip.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				_, higher := ranked(ip)
				n, arp, nd := met(t, Peers{MACs: map[string]string{peerHW.String(): higher}})
				n.Set([]netip.Addr{vip4, vip6})
				time.Sleep(10 * time.Second)
				arp.take()
				nd.take()
				s, reply, question := arp, arpFrame(t, testNIC.MAC, peerHW, packet.OpReply, peerHW, vip4, testNIC.MAC, peer4), request(t, peer4, vip4)
				if ip.Is6() {
					s, reply, question = nd, advertise(t, testNIC.MAC, peerHW, peer6, vip6, true), multicastSolicit(t, vip6)
				}
				s.deliver(t, announced(t, peerHW, ip))
				synctest.Wait()
				if sent := s.take(); len(sent) != 1 || packet.HW(sent[0].frame[:6]) != peerHW {
					t.Fatalf("want one question to the peer, got %d frames", len(sent))
				}
				drained(n)
				s.deliver(t, reply)
				<-n.Changed()
				if diff := cmp.Diff(map[netip.Addr]string{ip: higher}, n.State().Yields, compare); diff != "" {
					t.Errorf("left to (-want +got):\n%s", diff)
				}
				if s.deliver(t, question) {
					t.Error("the filter still lets questions of neighbors pass")
				}
				time.Sleep(150 * time.Millisecond) // until it was asked again, and did not reply
				if n.State().Yields[ip] != "" {
					t.Error("the address is not taken back")
				}
				s.take()
				s.deliver(t, question)
				synctest.Wait()
				if len(s.take()) != 1 {
					t.Error("no answer after it was taken back")
				}
			})
		})
	}
}

// TestHostProbe: it is sent on the interface that has its network, and its reply is no claim.
func TestHostProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		host := func(ip netip.Addr) probe.Question {
			return probe.Question{IP: ip, MAC: peerHW.String(), Host: true}
		}
		n, arp, nd := met(t, Peers{})
		n.Set(nil)
		n.Watch(nil)
		arp.take()
		n.Send([]probe.Question{host(peer4), host(other6), host(netip.MustParseAddr("192.0.2.1"))})
		sent := arp.take()
		if len(sent) != 1 {
			t.Fatalf("%d ARP probes", len(sent))
		}
		if m, _ := packet.ParseARP(sent[0].frame); m.Op != packet.OpRequest || m.TPA != peer4.As4() || m.Dst != peerHW {
			t.Errorf("ARP probe %+v", m)
		}
		arp.deliver(t, arpFrame(t, testNIC.MAC, peerHW, 2, peerHW, peer4, testNIC.MAC, peer4))
		nd.deliver(t, advertise(t, testNIC.MAC, peerHW, peer6, other6, true))
		synctest.Wait()
		got := map[probe.Question]bool{}
		for _, e := range n.Replies() {
			got[e.(probe.Reply).Question] = true
		}
		if len(got) != 2 || !got[host(peer4)] || !got[host(other6)] {
			t.Errorf("replies %v", got)
		}
		if s := n.State(); len(s.Heard)+len(s.Conflicts) != 0 {
			t.Errorf("heard %v, conflicts %v", s.Heard, s.Conflicts)
		}
	})
}

// TestRepliesAreBounded: they can be forged.
func TestRepliesAreBounded(t *testing.T) {
	r, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	r.mu.Lock()
	for range maxReplies + 10 {
		r.inbox.put(probe.Located{})
	}
	r.mu.Unlock()
	if got := len(r.Replies()); got != maxReplies {
		t.Errorf("%d wait", got)
	}
}

// TestMemberIsNoStranger: a member that claims is defended against at
// pauses below a second, and counted and shown as what it is.
func TestMemberIsNoStranger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lower, _ := ranked(vip4)
		n, arp, _ := met(t, Peers{MACs: map[string]string{peerHW.String(): lower, "nonsense": "other"}})
		arp.take()
		begin := time.Now()
		for range 40 {
			arp.deliver(t, announced(t, peerHW, vip4))
			time.Sleep(100 * time.Millisecond)
		}
		want := []string{"0.2", "0.7", "1.5", "2.3", "3.1", "3.9"}
		for i := range want {
			want[i] += " request 198.18.0.100 -> ff:ff:ff:ff:ff:ff"
		}
		if diff := cmp.Diff(want, arpSent(begin, arp.take())); diff != "" {
			t.Errorf("defenses (-want +got):\n%s", diff)
		}
		if c := n.Conflicts(); len(c) != 1 || c[0].Kind != "member" || c[0].MAC != peerHW.String() {
			t.Errorf("conflicts %+v", c)
		}
		if m, s := n.counter(t, "conflicts_total", "member"), n.counter(t, "conflicts_total", "stranger"); m != 40 || s != 0 {
			t.Errorf("%v frames of members, %v of strangers", m, s)
		}
	})
}

// TestStrangerTurnsOutToBeAMember: it is named before the grace is over, or after.
func TestStrangerTurnsOutToBeAMember(t *testing.T) {
	for name, late := range map[string]time.Duration{"in time": claims.Times().Grace / 2, "late": 2 * claims.Times().Grace} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, arp, _ := met(t, Peers{})
				arp.deliver(t, announced(t, peerHW, vip4))
				time.Sleep(late)
				n.SetPeers(Peers{MACs: map[string]string{peerHW.String(): "peer"}})
				time.Sleep(time.Minute)
				if c := n.Conflicts(); len(c) != 0 {
					t.Errorf("conflicts %+v", c)
				}
			})
		})
	}
}

// TestPresenceIsAnswered: as long as the caller has something to say.
func TestPresenceIsAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, arp, _ := met(t, Peers{Answer: 2})
		question := arpFrame(t, testNIC.MAC, peerHW, 1, peerHW, peer4, packet.HW{}, here(0))
		for _, step := range []struct {
			say  uint8
			want int
		}{{2, 1}, {5, 1}, {0, 0}, {8, 0}} {
			n.SetPeers(Peers{Answer: step.say})
			arp.take()
			arp.deliver(t, question)
			synctest.Wait()
			if got := arp.take(); len(got) != step.want {
				t.Errorf("saying %d: %d answers", step.say, len(got))
			}
		}
		if got := n.counter(t, "requests_received_total", "") + n.counter(t, "responses_sent_total", ""); got != 0 {
			t.Errorf("%v questions of speakers counted as those of neighbors", got)
		}
	})
}

// TestWhoHoldsOn: a speaker that asks for a VIP is answered by the owner, not by
// who hands it over; a neighbor is answered by both.
func TestWhoHoldsOn(t *testing.T) {
	for name, tc := range map[string]struct {
		ip              netip.Addr
		host, ofSpeaker bool
	}{
		"own":           {vip4, true, true},
		"handed over":   {yielded4, true, false},
		"another's":     {other4, false, false},
		"own, 6":        {vip6, true, true},
		"handed over 6": {yielded6, true, false},
		"another's, 6":  {other6, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			asker := &view{mac: peerHW, addr4: peer4.As4()}
			for speaker, want := range map[bool]bool{true: tc.ofSpeaker, false: tc.host} {
				var got verdict
				switch {
				case tc.ip.Is4():
					b, err := packet.Question4(asker.mac, netip.AddrFrom4(asker.addr4), nodeHW, tc.ip)
					if err != nil {
						t.Fatal(err)
					}
					if !speaker {
						b = with(b, 32, 0, 0, 0, 0, 0, 0)
					}
					got = nodeView().arp(b, len(b))
				case speaker:
					b, err := packet.Question6(asker.mac, nodeHW, tc.ip)
					if err != nil {
						t.Fatal(err)
					}
					got = nodeView().nd(b, len(b))
				default:
					b := solicit(t, nodeHW, peerHW, peer6, tc.ip, tc.ip, peerHW)
					got = nodeView().nd(append(b, make([]byte, 64)...), len(b))
				}
				if (got.answer > 0) != want {
					t.Errorf("asked by a speaker %v: %+v, want an answer %v", speaker, got, want)
				}
			}
		})
	}
}

// TestHealIsAnnounced: once for each change of the count.
func TestHealIsAnnounced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, arp, _ := met(t, Peers{})
		for _, step := range []struct{ heals, want int }{{0, 0}, {1, 10}, {1, 0}, {3, 10}, {0, 10}} {
			n.SetPeers(Peers{Heals: step.heals})
			time.Sleep(10 * time.Second)
			if got := arp.take(); len(got) != step.want {
				t.Errorf("%d heals: %d frames, want %d", step.heals, len(got), step.want)
			}
		}
	})
}

// TestSpeakerWithoutAnAddress: its addresses are looked up, and not more often than every second.
func TestSpeakerWithoutAnAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, arp, _ := met(t, Peers{}, ofPresence)
		hear := func(times int) {
			for range times {
				arp.deliver(t, arpFrame(t, testNIC.MAC, peerHW, 2, peerHW, netip.IPv4Unspecified(), testNIC.MAC, here(1)))
				time.Sleep(100 * time.Millisecond)
			}
		}
		located := func() (r []any) {
			for _, e := range n.Replies() {
				if _, ok := e.(probe.Located); ok {
					r = append(r, e)
				}
			}
			return r
		}
		hear(25)
		if got := located(); len(got) != 0 || n.sys.looked() != 3 {
			t.Errorf("%+v, looked up %d times", got, n.sys.looked())
		}
		n.sys.set(func() { n.sys.neighbors = map[packet.HW][]netip.Addr{peerHW: {other6}} })
		hear(10)
		want := []any{probe.Located{MAC: peerHW.String(), Addrs: []netip.Addr{other6}}}
		if diff := cmp.Diff(want, located(), compare); diff != "" || n.sys.looked() != 4 {
			t.Errorf("looked up %d times (-want +got):\n%s", n.sys.looked(), diff)
		}
	})
}
