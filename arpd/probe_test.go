package arpd

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// noChance makes random pauses as short as they can be.
func noChance(time.Duration) time.Duration { return 0 }

// tryOut lets a set of probes run and says what it asks and when; answers tells
// who answers a probe at once.
func tryOut(p *probes, from, to time.Time, answers func(netip.Addr, time.Time) (hw, bool)) (out []string) {
	for now := from; !now.After(to); {
		ask, wake, changed := p.next(now)
		for _, ip := range ask {
			out = append(out, fmt.Sprintf("%.2f ask %s", now.Sub(epoch).Seconds(), ip))
			if mac, ok := answers(ip, now); ok && p.heard(ip, mac, mac == peerHW, now) {
				out = append(out, fmt.Sprintf("%.2f %s has it", now.Sub(epoch).Seconds(), mac))
			}
		}
		if changed {
			out = append(out, fmt.Sprintf("%.2f changed", now.Sub(epoch).Seconds()))
		}
		if wake.IsZero() {
			break
		}
		now = wake
	}
	return out
}

func nobodyHas(netip.Addr, time.Time) (hw, bool) { return hw{}, false }

func TestProbeRhythm(t *testing.T) {
	has := func(mac hw, from, until float64) func(netip.Addr, time.Time) (hw, bool) {
		return func(_ netip.Addr, now time.Time) (hw, bool) {
			return mac, !now.Before(at(from)) && now.Before(at(until))
		}
	}
	for _, tc := range []struct {
		name    string
		rhythm  Rhythm
		until   float64
		answers func(netip.Addr, time.Time) (hw, bool)
		want    []string
	}{
		{"free", Shortened(), 60, nobodyHas, []string{
			"0.00 ask 198.18.0.100", "0.04 ask 198.18.0.100", "0.08 ask 198.18.0.100", "0.18 changed",
			"54.18 ask 198.18.0.100",
		}},
		{"free, by the book", RFC5227(), 10, nobodyHas, []string{
			"0.00 ask 198.18.0.100", "1.00 ask 198.18.0.100", "2.00 ask 198.18.0.100", "4.00 changed",
		}},
		{"in use", Shortened(), 1, has(strangerHW, 0, 1), []string{
			"0.00 ask 198.18.0.100", "0.00 " + strangerHW.String() + " has it",
			"0.04 ask 198.18.0.100", "0.08 ask 198.18.0.100",
		}},
		{"given up by the station", Shortened(), 200, has(strangerHW, 0, 10), []string{
			"0.00 ask 198.18.0.100", "0.00 " + strangerHW.String() + " has it",
			"0.04 ask 198.18.0.100", "0.08 ask 198.18.0.100",
			"54.18 ask 198.18.0.100", "108.28 ask 198.18.0.100", "162.38 ask 198.18.0.100", "162.48 changed",
		}},
		{"a member is letting go of it", Shortened(), 1, has(peerHW, 0, 0.2), []string{
			"0.00 ask 198.18.0.100", "0.00 " + peerHW.String() + " has it",
			"0.04 ask 198.18.0.100", "0.08 ask 198.18.0.100", "0.28 ask 198.18.0.100", "0.38 changed",
		}},
		{"a member keeps it for a while", Shortened(), 11, has(peerHW, 0, 5), []string{
			"0.00 ask 198.18.0.100", "0.00 " + peerHW.String() + " has it",
			"0.04 ask 198.18.0.100", "0.08 ask 198.18.0.100", "0.28 ask 198.18.0.100", "0.48 ask 198.18.0.100",
			"0.68 ask 198.18.0.100", "0.88 ask 198.18.0.100", "1.08 ask 198.18.0.100", "1.28 ask 198.18.0.100",
			"1.48 ask 198.18.0.100", "1.68 ask 198.18.0.100", "1.88 ask 198.18.0.100",
			"2.08 ask 198.18.0.100", "2.08 " + peerHW.String() + " has it",
			"7.18 ask 198.18.0.100", "7.28 changed",
		}},
		{"a member takes it", Shortened(), 55, has(peerHW, 50, 54.2), []string{
			"0.00 ask 198.18.0.100", "0.04 ask 198.18.0.100", "0.08 ask 198.18.0.100", "0.18 changed",
			"54.18 ask 198.18.0.100", "54.18 " + peerHW.String() + " has it",
			"54.38 ask 198.18.0.100", "54.48 changed",
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := newProbes(tc.rhythm)
			p.random = noChance
			p.set([]netip.Addr{vip4}, epoch)
			if diff := cmp.Diff(tc.want, tryOut(&p, epoch, at(tc.until), tc.answers)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// set makes ips the addresses that are tried out.
func (p *probes) set(ips []netip.Addr, now time.Time) {
	for ip := range p.trials {
		if !slices.Contains(ips, ip) {
			p.leave(ip)
		}
	}
	for _, ip := range ips {
		p.want(ip, now)
	}
}

func TestProbesArePaced(t *testing.T) {
	p := newProbes(Shortened())
	p.random = noChance
	p.set(manyIPv4(10*probeBurst), epoch)
	ask, wake, _ := p.next(epoch)
	if len(ask) != probeBurst || !wake.Equal(epoch.Add(probeRest)) {
		t.Errorf("%d at once, next after %v", len(ask), wake.Sub(epoch))
	}
	first := map[netip.Addr]bool{}
	for now := epoch; now.Before(at(0.06)); now = now.Add(probeRest) {
		for _, ip := range ask {
			first[ip] = true
		}
		ask, _, _ = p.next(now)
	}
	if len(first) != 10*probeBurst {
		t.Errorf("%d of %d addresses probed within 60 ms: repeats go before first probes", len(first), 10*probeBurst)
	}
}

func TestProbesOfNoInterestAreForgotten(t *testing.T) {
	p := newProbes(Shortened())
	p.set([]netip.Addr{vip4, other4}, epoch)
	p.heard(other4, strangerHW, false, epoch)
	p.set(nil, epoch)
	want := map[netip.Addr]Trial{other4: {Begun: epoch, Known: true, MAC: strangerHW.String()}}
	if diff := cmp.Diff(want, p.list(), compare); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if p.heard(vip4, strangerHW, false, epoch) {
		t.Error("an address that is not tried out was learned")
	}
}

// TestProbing runs the whole responder: who has an address is found out by the
// frames that a station of that kind sends.
func TestProbing(t *testing.T) {
	for _, tc := range []struct {
		name   string
		ip     netip.Addr
		answer func(t *testing.T) []byte
		mac    string
	}{
		{"nobody has it", vip4, nil, ""},
		{"a host answers", vip4, func(t *testing.T) []byte {
			return arpFrame(t, testNIC.mac, strangerHW, arpReply, strangerHW, vip4, testNIC.mac, netip.IPv4Unspecified())
		}, strangerHW.String()},
		{"a host announces it", vip4, func(t *testing.T) []byte { return announced(t, strangerHW, vip4) }, strangerHW.String()},
		{"a host tries it out, too", vip4, func(t *testing.T) []byte { return probing(t, strangerHW) }, strangerHW.String()},
		{"nobody has it, IPv6", vip6, nil, ""},
		{"a host answers, IPv6", vip6, func(t *testing.T) []byte { return announced(t, strangerHW, vip6) }, strangerHW.String()},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, _ := start(t, newFake(t, testNIC))
				synctest.Wait()
				n.Probe([]netip.Addr{tc.ip})
				synctest.Wait()
				s := n.sys.socket(testNIC.index, etherARP)
				if tc.ip.Is6() {
					s = n.sys.socket(testNIC.index, etherIPv6)
				}
				if tc.answer != nil && !s.deliver(t, tc.answer(t)) {
					t.Fatal("the filter holds the answer back")
				}
				synctest.Wait()
				if got := n.State().Trials[tc.ip]; got.Known != (tc.answer != nil) {
					t.Errorf("at once: %+v", got)
				}
				time.Sleep(Shortened().Longest())
				synctest.Wait()
				if got := n.State().Trials[tc.ip]; !got.Known || got.MAC != tc.mac {
					t.Errorf("after %v: %+v", Shortened().Longest(), got)
				}
				sent := s.take()
				if got := n.counter(t, "probes_sent_total", ""); len(sent) != probeTries || got != probeTries {
					t.Errorf("%d probes sent, %v counted", len(sent), got)
				}
			})
		})
	}
}

// probing is the probe of a station for vip4.
func probing(t *testing.T, mac hw) []byte {
	return arpFrame(t, broadcastHW, mac, arpRequest, mac, netip.IPv4Unspecified(), hw{}, vip4)
}

// TestProbesThatMeet: the probe of another host is no claim when it is one of this
// cluster, who may pick for the pool as well, nor once the address is known.
func TestProbesThatMeet(t *testing.T) {
	question := func(t *testing.T) []byte { return request(t, peer4, vip4) }
	for _, tc := range []struct {
		name  string
		after time.Duration
		frame func(t *testing.T) []byte
		mac   string
	}{
		{"a stranger's", 0, func(t *testing.T) []byte { return probing(t, strangerHW) }, strangerHW.String()},
		{"a stranger's, at the last moment", Shortened().Longest() / 2, func(t *testing.T) []byte { return probing(t, strangerHW) }, strangerHW.String()},
		{"a stranger's, later", time.Second, func(t *testing.T) []byte { return probing(t, strangerHW) }, ""},
		{"a member's", 0, func(t *testing.T) []byte { return probing(t, peerHW) }, ""},
		{"of a speaker that only the wire knows", 0, func(t *testing.T) []byte { return probing(t, hw{2, 9, 9}) }, ""},
		{"a mere question", 0, question, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, _ := start(t, newFake(t, testNIC))
				n.Meet(Company{Peers: []string{peerHW.String()}})
				n.mu.Lock()
				n.met(claim{ip: peer4, mac: hw{2, 9, 9}, says: 1}, time.Now())
				n.mu.Unlock()
				synctest.Wait()
				n.Probe([]netip.Addr{vip4})
				time.Sleep(tc.after)
				arp := n.sys.socket(testNIC.index, etherARP)
				if !arp.deliver(t, tc.frame(t)) {
					t.Fatal("the filter holds it back")
				}
				time.Sleep(time.Second)
				if got := n.State().Trials[vip4]; !got.Known || got.MAC != tc.mac {
					t.Errorf("%+v", got)
				}
				n.Set([]netip.Addr{vip4})
				n.Probe(nil)
				arp.deliver(t, tc.frame(t))
				time.Sleep(time.Second)
				if len(n.Conflicts())+len(n.Heard()) != 0 {
					t.Errorf("a probe for an own address counts: %v %v", n.Conflicts(), n.Heard())
				}
			})
		})
	}
}

// TestProbeOfOwned: what is owned or watched is not probed, and a stranger that
// was seen at an address is remembered when the address is given up.
func TestProbeOfOwned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, arp, _ := claimed(t)
		n.Probe([]netip.Addr{vip4, other4})
		arp.take()
		time.Sleep(time.Second)
		for _, f := range arp.take() {
			if m, _ := parseARP(f.frame); m.spa == [4]byte{} && m.tpa == vip4.As4() {
				t.Error("an own address was probed")
			}
		}
		arp.deliver(t, announced(t, strangerHW, vip4))
		time.Sleep(time.Second)
		n.Set(nil)
		n.Probe(nil)
		if got := n.State().Trials[vip4]; !got.Known || got.MAC != strangerHW.String() {
			t.Errorf("the stranger is forgotten: %+v", got)
		}
		if !arp.deliver(t, announced(t, strangerHW, vip4)) {
			t.Error("nobody listens for the stranger any more")
		}
	})
}

// TestProbeOfThisNode: the kernel does not answer its own node, so its addresses
// are known without asking.
func TestProbeOfThisNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := testNIC
		l.own = []netip.Addr{vip4}
		n, _ := start(t, newFake(t, l))
		synctest.Wait()
		n.Probe([]netip.Addr{vip4})
		if got := n.State().Trials[vip4]; !got.Known || got.MAC != l.mac.String() {
			t.Errorf("%+v", got)
		}
	})
}

func TestProbeFrames(t *testing.T) {
	four, err := probe4(nodeHW, vip4)
	if err != nil {
		t.Fatal(err)
	}
	m, d := parseARP(four)
	want := arpMessage{dst: broadcastHW, src: nodeHW, op: arpRequest, sha: nodeHW, tpa: vip4.As4()}
	if diff := cmp.Diff(want, m, cmp.AllowUnexported(arpMessage{})); diff != "" || d != kept {
		t.Errorf("%v (-want +got):\n%s", d, diff)
	}
	six, err := probe6(nodeHW, vip6)
	if err != nil {
		t.Fatal(err)
	}
	n, d := parseND(six)
	if d != kept || n.kind != typeNS || n.from != ([16]byte{}) || n.target != vip6.As16() || n.lla != (hw{}) {
		t.Errorf("%v %+v", d, n)
	}
	if _, err := probe4(nodeHW, vip6); err == nil {
		t.Error("ARP for IPv6")
	}
}
