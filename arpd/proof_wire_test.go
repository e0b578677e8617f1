package arpd

import (
	"slices"
	"sync"
	"testing"

	mdpacket "github.com/mdlayher/packet"

	"github.com/starling-lb/starling/arpd/packet"
	"github.com/starling-lb/starling/probe"
)

// forge has the peer, a stranger without the key, reply to every question of speakers that it
// hears, in its own name and with the MAC of a victim, by which the switch sends it the victim's
// questions; with each it sends again what it has recorded.
func (p *pair) forge(victim packet.HW, recorded [][]byte) {
	var ended sync.WaitGroup
	p.T.Cleanup(func() { p.wire.conn.Close(); ended.Wait() })
	ended.Go(func() {
		b := make([]byte, packet.FrameSize)
		for {
			n, _, err := p.wire.conn.ReadFrom(b)
			if err != nil {
				return
			}
			m, fault := packet.ParseARP(b[:n])
			if fault != packet.Sound || m.Op != packet.OpRequest || m.Src != p.mac || m.TPA[0] != 0 {
				continue
			}
			frames := recorded
			for _, mac := range []packet.HW{p.wire.mac, victim} {
				f := append([]byte(nil), b[:n]...) // with the nonce
				m.Answer(f, mac, mac)
				copy(f[28:], peer4.AsSlice())
				copy(f[38:], m.TPA[:])
				f[41] |= 3
				frames = append(frames, f)
			}
			for _, f := range frames {
				_, _ = p.wire.conn.WriteTo(f, &mdpacket.Addr{HardwareAddr: f[:6]}) // fails at the end of the test
			}
		}
	})
}

// TestForgedReplies: a stranger is not believed to be a speaker, nor that a speaker is there that
// has ended, however it replies.
func TestForgedReplies(t *testing.T) {
	p := newPair(t)
	second := newHost(t)
	p.plug(second, "eth0", "198.18.0.3/24")
	mac, keys := second.mac("eth0"), [][]byte{secret(1)}
	other := second.speakWith(1, Config{Node: "second", Keys: keys})
	if err := p.speaker.SetKeys(keys); err != nil {
		t.Fatal(err)
	}
	other.SetPeers(Peers{Answer: 3})
	seen := second.station("eth0")
	here, stranger := probe.Question{MAC: mac.String()}, probe.Question{MAC: p.wire.mac.String()}
	q := asks(p.speaker.Responder, here, stranger, probe.Question{MAC: probe.Everybody})
	q.await(p, "the speaker", func() bool { return !q.answers()[here].Last.IsZero() })
	if got := q.found[here.MAC]; got.Node != probe.Hash("second") || got.Word != 3 {
		t.Errorf("the speaker: %+v", got)
	}

	var recorded [][]byte
	seen.expect("replies", func(f []byte) bool {
		if m, fault := packet.ParseARP(f); fault == packet.Sound && m.Op == packet.OpReply && m.Src == mac {
			recorded = append(recorded, slices.Clone(f))
		}
		q.answers()
		return len(recorded) == 3
	})
	p.forge(mac, recorded)
	other.stop()
	q.await(p, "silence", func() bool {
		a := q.answers()
		return a[here].Silent && a[stranger].Silent
	})
	if got := q.found[stranger.MAC]; got.MAC != "" {
		t.Errorf("the stranger is believed: %+v", got)
	}
	q.await(p, "forged replies", func() bool {
		a := q.answers()
		if !a[here].Silent || !a[stranger].Silent {
			t.Fatalf("believed: %+v", a)
		}
		return gathered(t, p.speaker, "starling_layer2_dropped_total") >= 100
	})
}
