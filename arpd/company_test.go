package arpd

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/mdlayher/arp"
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
		return arpFrame(t, nodeHW, peerHW, arp.OperationRequest, peerHW, spa, hw{}, tpa)
	}
	say := func(word uint8) []byte {
		return arpFrame(t, nodeHW, peerHW, arp.OperationReply, peerHW, peer4, nodeHW, here(word))
	}
	for name, tc := range map[string]struct {
		say   uint8
		frame []byte
		want  verdict
	}{
		"asked":                      {3, ask(peer4, here(0)), verdict{answer: arpSize, presence: true}},
		"asked by one without":       {3, ask(netip.IPv4Unspecified(), here(0)), verdict{answer: arpSize, presence: true}},
		"asked to all":               {3, with(ask(peer4, here(0)), 0, broadcastHW[:]...), verdict{answer: arpSize, presence: true}},
		"asked, but not here":        {0, ask(peer4, here(0)), verdict{drop: notRequest}},
		"asked with a word":          {3, ask(peer4, here(1)), verdict{drop: notRequest}},
		"asked by another cluster":   {3, ask(peer4, netip.MustParseAddr("0.1.2.0")), verdict{drop: notOwned}},
		"told":                       {0, say(3), verdict{claim: claim{ip: peer4, mac: peerHW, says: 3}}},
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
			m, d := parseARP(b[:got.answer])
			want := arpMessage{dst: peerHW, src: nodeHW, op: arpReply, sha: nodeHW, spa: v.addr4, tha: peerHW, tpa: here(3).As4()}
			if d != kept || m != want {
				t.Errorf("answer %+v, want %+v", m, want)
			}
		})
	}
}

// met is a node of the cluster "lab" that asks its peer.
func met(t *testing.T, c Company) (*node, *fakeSocket, *fakeSocket) {
	t.Helper()
	n, arp, nd := claimed(t)
	n.mu.Lock()
	n.presence = presenceOf("lab")
	n.spread()
	n.mu.Unlock()
	n.Set([]netip.Addr{vip4})
	time.Sleep(10 * time.Second)
	arp.take()
	n.Meet(c)
	return n, arp, nd
}

func TestSpeakerThatAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now().Add(10 * time.Second)
		n, arp, _ := met(t, Company{Ask: []Question{ofPresence}})
		time.Sleep(time.Millisecond)
		for _, f := range arp.take() {
			m, _ := parseARP(f.frame)
			want := arpMessage{dst: peerHW, src: testNIC.mac, op: arpRequest, sha: testNIC.mac, spa: [4]byte{198, 18, 0, 1}, tha: peerHW, tpa: here(0).As4()}
			if m != want {
				t.Errorf("question %+v, want %+v", m, want)
			}
		}
		drained(n)
		arp.deliver(t, arpFrame(t, testNIC.mac, peerHW, 2, peerHW, peer4, testNIC.mac, here(3)))
		<-n.Changed()
		s := n.State()
		heard := begin.Add(10*time.Second + time.Millisecond)
		if diff := cmp.Diff(map[string]Speaker{peerHW.String(): {Addrs: []netip.Addr{peer4}, Say: 3, Last: heard}}, s.Speakers, compare); diff != "" {
			t.Errorf("speakers (-want +got):\n%s", diff)
		}
		if a := s.Answers[ofPresence]; a.Silent || !a.Last.Equal(heard) {
			t.Errorf("answer %+v", a)
		}
		time.Sleep(askSteady*askTries + 2*askSteady)
		if a := n.State().Answers[ofPresence]; !a.Silent {
			t.Errorf("after it fell silent: %+v", a)
		}
		n.Meet(Company{})
		time.Sleep(speakerMemory + forgetEvery)
		if s := n.State(); len(s.Answers)+len(s.Speakers) != 0 {
			t.Errorf("remembered: %+v", s)
		}
	})
}

// TestSilentIsCertainSoon: a take-over waits for this verdict.
func TestSilentIsCertainSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, arp, nd := met(t, Company{Ask: []Question{ofPresence, ofVIP, {IP: other6, MAC: peerHW.String()}, {IP: peer4, MAC: peerHW.String()}, {MAC: "nonsense"}}})
		drained(n)
		begin := time.Now()
		<-n.Changed()
		if took := time.Since(begin); took > 60*time.Millisecond || !n.State().Answers[ofVIP].Silent {
			t.Errorf("something is certain after %v, of the VIP %+v", took, n.State().Answers[ofVIP])
		}
		<-n.Changed()
		if took := time.Since(begin); took > 90*time.Millisecond {
			t.Errorf("all is certain after %v", took)
		}
		for q, a := range n.State().Answers {
			if !a.Silent {
				t.Errorf("%v: %+v", q, a)
			}
		}
		if got := len(arp.take()); got != 10 { // six for presence, four for the VIP; none for the address that is no VIP
			t.Errorf("%d ARP questions", got)
		}
		for _, f := range nd.take() {
			m, d := parseND(f.frame)
			if d != kept || m.kind != typeNS || m.target != other6.As16() || m.to != other6.As16() || m.dst != peerHW {
				t.Errorf("solicitation %+v (%s)", m, d)
			}
		}
	})
}

// TestQuestionForAVIP: the answer is a claim like any other, so it is heard too.
func TestQuestionForAVIP(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, q := range []Question{ofVIP, {IP: other6, MAC: peerHW.String()}} {
			n, arp, nd := met(t, Company{Ask: []Question{q}})
			synctest.Wait()
			if q.IP.Is4() {
				arp.deliver(t, arpFrame(t, testNIC.mac, peerHW, 2, peerHW, other4, testNIC.mac, peer4))
			} else {
				nd.deliver(t, advertise(t, testNIC.mac, peerHW, peer6, other6, true))
			}
			synctest.Wait()
			s := n.State()
			if a := s.Answers[q]; a.Silent || a.Last.IsZero() || s.Heard[q.IP] != peerHW.String() {
				t.Errorf("%v: answer %+v, heard %v", q, a, s.Heard)
			}
		}
	})
}

// TestQuestionForAHost: it is asked on the interface that has its network, and its
// answer is no claim.
func TestQuestionForAHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		host4, host6 := Question{IP: peer4, MAC: peerHW.String(), Host: true}, Question{IP: other6, MAC: peerHW.String(), Host: true}
		elsewhere := Question{IP: netip.MustParseAddr("192.0.2.1"), MAC: peerHW.String(), Host: true}
		n, arp, nd := met(t, Company{Ask: []Question{host4, host6, elsewhere}, Pace: 40 * time.Millisecond})
		n.Set(nil)
		n.Watch(nil)
		time.Sleep(time.Millisecond)
		for _, f := range arp.take() {
			if m, _ := parseARP(f.frame); m.op != arpRequest || m.tpa != peer4.As4() || m.dst != peerHW {
				t.Errorf("ARP question %+v", m)
			}
		}
		drained(n)
		arp.deliver(t, arpFrame(t, testNIC.mac, peerHW, 2, peerHW, peer4, testNIC.mac, peer4))
		nd.deliver(t, advertise(t, testNIC.mac, peerHW, peer6, other6, true))
		<-n.Changed()
		synctest.Wait()
		s := n.State()
		if s.Answers[host4].Last.IsZero() || s.Answers[host6].Last.IsZero() || len(s.Heard)+len(s.Conflicts) != 0 {
			t.Errorf("answers %v, heard %v, conflicts %v", s.Answers, s.Heard, s.Conflicts)
		}
		time.Sleep(50 * time.Millisecond)
		if s := n.State(); !s.Answers[elsewhere].Silent || s.Answers[host4].Silent {
			t.Errorf("after 50 ms: %v", s.Answers)
		}
		time.Sleep((hostTries + 1) * 40 * time.Millisecond)
		if s := n.State(); !s.Answers[host4].Silent || !s.Answers[host6].Silent {
			t.Errorf("after as many misses as count: %v", s.Answers)
		}
	})
}

// TestMemberIsNoStranger: a member that claims is defended against at
// pauses below a second, and counted and shown as what it is.
func TestMemberIsNoStranger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, arp, _ := met(t, Company{Peers: []string{peerHW.String(), "nonsense"}})
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
			t.Errorf("defences (-want +got):\n%s", diff)
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
	for name, late := range map[string]time.Duration{"in time": disputeGrace / 2, "late": 2 * disputeGrace} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, arp, _ := met(t, Company{})
				arp.deliver(t, announced(t, peerHW, vip4))
				time.Sleep(late)
				n.Meet(Company{Peers: []string{peerHW.String()}})
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
		n, arp, _ := met(t, Company{Say: 2})
		question := arpFrame(t, testNIC.mac, peerHW, 1, peerHW, peer4, hw{}, here(0))
		for _, step := range []struct {
			say  uint8
			want int
		}{{2, 1}, {5, 1}, {0, 0}, {8, 0}} {
			n.Meet(Company{Say: step.say})
			arp.take()
			arp.deliver(t, question)
			synctest.Wait()
			if got := arp.take(); len(got) != step.want {
				t.Errorf("saying %d: %d answers", step.say, len(got))
			}
		}
		if got := n.counter(t, "requests_received_total", "") + n.counter(t, "responses_sent_total", ""); got != 0 {
			t.Errorf("%v questions of speakers counted as those of neighbours", got)
		}
	})
}

// TestWhoHoldsOn: a speaker that asks for a VIP is answered by the owner, not by
// who hands it over; a neighbour is answered by both.
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
					b, err := question4(asker, nodeHW, tc.ip)
					if err != nil {
						t.Fatal(err)
					}
					if !speaker {
						b = with(b, 32, 0, 0, 0, 0, 0, 0)
					}
					got = nodeView().arp(b, len(b))
				case speaker:
					b, err := question6(asker, nodeHW, tc.ip)
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
		n, arp, _ := met(t, Company{})
		for _, step := range []struct{ heals, want int }{{0, 0}, {1, 10}, {1, 0}, {3, 10}, {0, 10}} {
			n.Meet(Company{Heals: step.heals})
			time.Sleep(10 * time.Second)
			if got := arp.take(); len(got) != step.want {
				t.Errorf("%d heals: %d frames, want %d", step.heals, len(got), step.want)
			}
		}
	})
}

// TestSpeakerWithoutAnAddress: its addresses are looked up, once, and not more
// often than every second if they are not found.
func TestSpeakerWithoutAnAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, arp, _ := met(t, Company{Ask: []Question{ofPresence}})
		hear := func(times int) {
			for range times {
				arp.deliver(t, arpFrame(t, testNIC.mac, peerHW, 2, peerHW, netip.IPv4Unspecified(), testNIC.mac, here(1)))
				time.Sleep(100 * time.Millisecond)
			}
		}
		hear(25)
		if s := n.State().Speakers[peerHW.String()]; len(s.Addrs) != 0 || n.sys.looks != 3 {
			t.Errorf("%+v, looked up %d times", s, n.sys.looks)
		}
		n.sys.set(func() { n.sys.neighbours = map[hw][]netip.Addr{peerHW: {other6}} })
		hear(50)
		if s := n.State().Speakers[peerHW.String()]; len(s.Addrs) != 1 || s.Addrs[0] != other6 || n.sys.looks != 4 {
			t.Errorf("%+v, looked up %d times", s, n.sys.looks)
		}
	})
}
