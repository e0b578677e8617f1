package arpd

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/starling-lb/starling/arpd/packet"
	"github.com/starling-lb/starling/probe"
)

// secret is a gossip key.
func secret(n byte) []byte { return bytes.Repeat([]byte{n}, 32) }

const provingNIC = 2 // index of the interface

// proving is the view of a speaker of the cluster "lab" that has such keys.
func proving(t *testing.T, name string, mac packet.HW, addr netip.Addr, secrets ...[]byte) *view {
	t.Helper()
	p, err := newProofs(name, "lab", secrets, newOpen())
	if err != nil {
		t.Fatal(err)
	}
	v := nodeView()
	v.mac, v.addr4, v.say, v.proofs = mac, addr.As4(), 3, p
	v.table.presence = presenceOf("lab")
	return v
}

// hears is what a reader makes of a frame: its verdict and the answer.
func hears(v *view, frame []byte) (verdict, []byte) {
	judge := (*view).arp
	if binary.BigEndian.Uint16(frame[12:]) == packet.EtherIPv6 {
		judge = (*view).nd
	}
	b := make([]byte, packet.FrameSize)
	n := copy(b, frame)
	out := judge(v, b, n)
	out.claim.on = provingNIC
	if v.proofs != nil {
		v.proofs.complete(&out, b, n)
	}
	if out.answer == 0 {
		return out, nil
	}
	return out, b[:out.answer]
}

// questionTo is a question of v to a station, with a nonce.
func questionTo(t *testing.T, v *view, to packet.HW, ip netip.Addr) []byte {
	t.Helper()
	frame, err := []byte(nil), error(nil)
	switch {
	case !ip.IsValid():
		frame, err = packet.Question4(v.mac, netip.AddrFrom4(v.addr4), to, here(0))
	case ip.Is4():
		frame, err = packet.Question4(v.mac, netip.AddrFrom4(v.addr4), to, ip)
	default:
		frame, err = packet.Question6(v.mac, to, ip)
	}
	if err != nil {
		t.Fatal(err)
	}
	n, err := v.proofs.open.ask(probe.Question{IP: ip}, to, provingNIC, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return packet.WithNonce(frame, n)
}

// askedFor is what a speaker may be asked for, and what its reply is taken for.
var askedFor = map[string]struct {
	ip   netip.Addr
	want claim
}{
	"presence": {netip.Addr{}, claim{kind: greeting, ip: peer4, mac: peerHW, on: provingNIC, says: 3, node: probe.Hash("peer")}},
	"IPv4":     {vip4, claim{kind: held, ip: vip4, mac: peerHW, on: provingNIC, node: probe.Hash("peer")}},
	"IPv6":     {vip6, claim{kind: held, ip: vip6, mac: peerHW, on: provingNIC, node: probe.Hash("peer")}},
}

func TestProvenReply(t *testing.T) {
	for name, tc := range askedFor {
		t.Run(name, func(t *testing.T) {
			me := proving(t, "node", nodeHW, peer4.Next(), secret(1))
			peer := proving(t, "peer", peerHW, peer4, secret(1))
			_, reply := hears(peer, questionTo(t, me, peerHW, tc.ip))
			if reply == nil {
				t.Fatal("no reply")
			}
			got, _ := hears(me, reply)
			if diff := cmp.Diff(tc.want, got.claim, compare); diff != "" || got.drop != kept {
				t.Errorf("%s (-want +got):\n%s", got.drop, diff)
			}
			if got, _ := hears(me, reply); got.claim.kind == greeting || got.claim.kind == held {
				t.Errorf("believed again: %+v", got)
			}
		})
	}
}

// TestDeputyProves: the reply of a deputy says whose MAC the address has, and who said so.
func TestDeputyProves(t *testing.T) {
	for _, ip := range []netip.Addr{vip4, vip6} {
		for name, tc := range map[string]struct {
			by   packet.HW // who sends the reply
			want claim
		}{
			"by whom was asked": {peerHW, claim{kind: held, ip: ip, mac: strangerHW, by: peerHW, on: provingNIC, node: probe.Hash("peer")}},
			"by another one":    {packet.HW{2, 7}, claim{kind: replied, ip: ip, mac: strangerHW, by: packet.HW{2, 7}, on: provingNIC, unproven: true}},
		} {
			t.Run(name+", "+ip.String(), func(t *testing.T) {
				me := proving(t, "node", nodeHW, peer4.Next(), secret(1))
				peer := proving(t, "peer", peerHW, peer4, secret(1))
				peer.table = peer.table.with([]grant{{ip, deputized | watch, strangerHW}})
				_, reply := hears(peer, questionTo(t, me, peerHW, ip))
				if reply == nil {
					t.Fatal("no reply")
				}
				got, _ := hears(me, with(reply, 6, tc.by[:]...))
				if diff := cmp.Diff(tc.want, got.claim, compare); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			})
		}
	}
}

// TestUnprovenReply: nobody without the key, and no record of what was said, is believed. A reply
// for an address is then what any host may say.
func TestUnprovenReply(t *testing.T) {
	for name, tc := range askedFor {
		me := proving(t, "node", nodeHW, peer4.Next(), secret(1))
		peer := proving(t, "peer", peerHW, peer4, secret(1))
		keyless := proving(t, "peer", peerHW, peer4)
		but := func(change func(*question)) func() []byte {
			return func() []byte {
				frame := questionTo(t, me, peerHW, tc.ip)
				change(me.proofs.open.of[packet.NonceOf(frame)])
				_, r := hears(peer, frame)
				return r
			}
		}
		for why, reply := range map[string]func() []byte{
			"without a proof": func() []byte { _, r := hears(keyless, questionTo(t, me, peerHW, tc.ip)); return r },
			"another key": func() []byte {
				_, r := hears(proving(t, "peer", peerHW, peer4, secret(2)), questionTo(t, me, peerHW, tc.ip))
				return r
			},
			"another cluster": func() []byte {
				p, err := newProofs("peer", "other", [][]byte{secret(1)}, newOpen())
				if err != nil {
					t.Fatal(err)
				}
				v := *peer
				v.proofs = p
				_, r := hears(&v, questionTo(t, me, peerHW, tc.ip))
				return r
			},
			"unasked": func() []byte {
				_, r := hears(peer, questionTo(t, proving(t, "node", nodeHW, peer4.Next(), secret(1)), peerHW, tc.ip))
				return r
			},
			"asked of another":           but(func(q *question) { q.mac = strangerHW }),
			"asked for another address":  but(func(q *question) { q.ip = other6 }),
			"asked on another interface": but(func(q *question) { q.on++ }),
		} {
			t.Run(name+" "+why, func(t *testing.T) {
				b := reply()
				if b == nil {
					t.Fatal("no reply")
				}
				if got, _ := hears(me, b); got.claim.kind == greeting || got.claim.kind == held || got.drop != unproven && !got.claim.unproven {
					t.Errorf("believed: %+v", got)
				}
			})
		}
	}
}

// TestAlteredReply: no bit of what a reply says may be another one. The header of the frame says
// nothing, nor does the first half of that of IPv6, which no checksum covers.
func TestAlteredReply(t *testing.T) {
	for name, tc := range askedFor {
		t.Run(name, func(t *testing.T) {
			me := proving(t, "node", nodeHW, peer4.Next(), secret(1))
			peer := proving(t, "peer", peerHW, peer4, secret(1))
			_, reply := hears(peer, questionTo(t, me, peerHW, tc.ip))
			begin := packet.EthLen
			if tc.ip.Is6() {
				begin += 8
			}
			for i := begin; i < len(reply); i++ {
				for bit := range 8 {
					forged := slices.Clone(reply)
					forged[i] ^= 1 << bit
					got, _ := hears(me, forged)
					if got.claim.kind == greeting || got.claim.kind == held {
						t.Fatalf("bit %d of byte %d: believed: %+v", bit, i, got.claim)
					}
				}
			}
			if got, _ := hears(me, reply); got.claim.kind != tc.want.kind {
				t.Errorf("the true one is not believed: %+v", got)
			}
		})
	}
}

// TestKeysChange: while one replaces another, a member that has both believes both.
func TestKeysChange(t *testing.T) {
	both, old, swapped := [][]byte{secret(1), secret(2)}, [][]byte{secret(1)}, [][]byte{secret(2), secret(1)}
	for name, tc := range map[string]struct {
		me, peer [][]byte
		want     bool
	}{
		"added here":          {both, old, true},
		"added there":         {old, both, true},
		"changed there":       {both, swapped, true},
		"changed here":        {swapped, both, true},
		"gone there":          {swapped, [][]byte{secret(2)}, true},
		"gone here":           {[][]byte{secret(2)}, swapped, true},
		"here it never came":  {old, swapped, false},
		"there it never came": {[][]byte{secret(2)}, old, false},
	} {
		t.Run(name, func(t *testing.T) {
			me, peer := proving(t, "node", nodeHW, peer4.Next(), tc.me...), proving(t, "peer", peerHW, peer4, tc.peer...)
			_, reply := hears(peer, questionTo(t, me, peerHW, netip.Addr{}))
			if got, _ := hears(me, reply); (got.claim.kind == greeting) != tc.want {
				t.Errorf("%+v, want believed %v", got, tc.want)
			}
		})
	}
}

// TestEverybodyReplies: once each.
func TestEverybodyReplies(t *testing.T) {
	me := proving(t, "node", nodeHW, peer4.Next(), secret(1))
	question := questionTo(t, me, packet.Broadcast, netip.Addr{})
	for range 2 {
		for name, mac := range map[string]packet.HW{"a": peerHW, "b": strangerHW} {
			_, reply := hears(proving(t, name, mac, peer4, secret(1)), question)
			got, _ := hears(me, reply)
			if first := len(me.proofs.open.of[packet.NonceOf(question)].replied) <= 2 && got.drop == kept; first && got.claim.node != probe.Hash(name) {
				t.Errorf("%s: %+v", name, got)
			}
		}
	}
	if got := me.proofs.open.of[packet.NonceOf(question)].replied; len(got) != 2 {
		t.Errorf("%v replied", got)
	}
}

// TestQuestionIsOpenForAWhile: a reply that was held back is none, and what is open is bounded.
func TestQuestionIsOpenForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		me, peer := proving(t, "node", nodeHW, peer4.Next(), secret(1)), proving(t, "peer", peerHW, peer4, secret(1))
		_, reply := hears(peer, questionTo(t, me, peerHW, netip.Addr{}))
		time.Sleep(openTime + 1)
		if got, _ := hears(me, reply); got.drop != unproven {
			t.Errorf("late: %+v", got)
		}
		questionTo(t, me, peerHW, netip.Addr{})
		if o := me.proofs.open; len(o.of) != 1 || len(o.order) != 1 {
			t.Errorf("%d open of %d", len(o.of), len(o.order))
		}
		for range maxOpen + 10 {
			questionTo(t, me, peerHW, netip.Addr{})
		}
		if o := me.proofs.open; len(o.of) != maxOpen || len(o.order) != maxOpen {
			t.Errorf("%d open of %d", len(o.of), len(o.order))
		}
	})
}

// TestOnlySpeakersGetProofs: a neighbor gets the answer that it always got, and presence without a
// nonce gets none.
func TestOnlySpeakersGetProofs(t *testing.T) {
	v := proving(t, "node", nodeHW, peer4.Next(), secret(1))
	for _, frame := range [][]byte{request(t, peer4, vip4), multicastSolicit(t, vip6)} {
		plain := *v
		plain.proofs = nil
		got, answer := hears(v, frame)
		_, want := hears(&plain, frame)
		if !bytes.Equal(answer, want) || want == nil || got.nonce != (packet.Nonce{}) {
			t.Errorf("answer % x, want % x", answer, want)
		}
	}
	if got, _ := hears(v, arpFrame(t, nodeHW, peerHW, 1, peerHW, peer4, packet.HW{}, here(0))); got.answer != 0 || got.drop != notRequest {
		t.Errorf("presence without a nonce: %+v", got)
	}
}

// TestKeysOfTheResponder: they are in force at once, and none is a mesh without a key.
func TestKeysOfTheResponder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, arp, _ := met(t, Peers{Answer: 2})
		for _, step := range []struct {
			keys [][]byte
			size int
		}{{[][]byte{secret(1)}, 60}, {nil, packet.ARPSize}, {[][]byte{secret(2), secret(1)}, 60}} {
			if err := n.SetKeys(step.keys); err != nil {
				t.Fatal(err)
			}
			arp.take()
			n.Send([]probe.Question{ofPresence})
			sent := arp.take()
			if len(sent) != 1 || len(sent[0].frame) != step.size {
				t.Fatalf("%d keys: %d frames", len(step.keys), len(sent))
			}
			question := slices.Clone(sent[0].frame)
			copy(question, testNIC.MAC[:])
			copy(question[6:], peerHW[:])
			copy(question[22:], peerHW[:])
			arp.deliver(t, question)
			synctest.Wait()
			if sent := arp.take(); len(sent) != 1 || len(sent[0].frame) != step.size {
				t.Errorf("%d keys: %d answers", len(step.keys), len(sent))
			}
		}
	})
}
