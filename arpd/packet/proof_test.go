package packet_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/starling-lb/starling/arpd/packet"
)

var nonce = packet.Nonce{1, 2, 3, 4, 5, 6}

// asked are the questions of a speaker at nodeHW to the station at peerHW, without a nonce.
func asked(t *testing.T) map[string][]byte {
	t.Helper()
	four, err := packet.Question4(nodeHW, peer4, peerHW, vip4)
	if err != nil {
		t.Fatal(err)
	}
	six, err := packet.Question6(nodeHW, peerHW, vip6)
	if err != nil {
		t.Fatal(err)
	}
	return map[string][]byte{"ARP": four, "ND": six}
}

// answered is the sound answer in b, whose first n bytes are the question, before it has a proof.
func answered(t *testing.T, b []byte, n int) (size int) {
	t.Helper()
	if arp, f := packet.ParseARP(b[:n]); f == packet.Sound {
		return arp.Answer(b, peerHW, peerHW)
	}
	nd, f := packet.ParseND(b[:n])
	if f != packet.Sound || !nd.Asker {
		t.Fatalf("%s: %+v", f, nd)
	}
	return nd.Answer(b, peerHW, peerHW)
}

// sound reports whether a frame is a good one of its protocol.
func sound(b []byte) bool {
	_, a := packet.ParseARP(b)
	_, n := packet.ParseND(b)
	return a == packet.Sound || n == packet.Sound
}

func TestProof(t *testing.T) {
	tag := packet.Tag{8, 7, 6, 5, 4, 3, 2, 1}
	for family, question := range asked(t) {
		t.Run(family, func(t *testing.T) {
			if got := packet.NonceOf(question); got != (packet.Nonce{}) {
				t.Errorf("nonce %v of a question without", got)
			}
			question := packet.WithNonce(question, nonce)
			if got := packet.NonceOf(question); got != nonce || !sound(question) {
				t.Errorf("nonce %v, sound %v", got, sound(question))
			}
			b := make([]byte, packet.FrameSize)
			n := answered(t, b, copy(b, question))
			if _, ok := packet.ProofOf(b[:n]); ok || !sound(b[:n]) {
				t.Errorf("proof %v, sound %v in an answer without", ok, sound(b[:n]))
			}
			size := packet.Extend(b, nonce, 0x01020304)
			packet.Seal(b[:size], tag)
			got, ok := packet.ProofOf(b[:size])
			if diff := cmp.Diff(packet.Proof{Nonce: nonce, Name: 0x01020304, Tag: tag}, got); diff != "" || !ok || !sound(b[:size]) {
				t.Errorf("%v, sound %v (-want +got):\n%s", ok, sound(b[:size]), diff)
			}
			if _, ok := packet.ProofOf(b[:size-1]); ok {
				t.Error("a proof that was cut short")
			}
		})
	}
}

// TestSignedBytes: each byte that says something is signed. Not signed are where the frame goes and
// comes from, which the message repeats, how long it is, its checksum, and the tag.
func TestSignedBytes(t *testing.T) {
	for family, want := range map[string][]bool{
		"ARP": spans(60, 20, 52),
		"ND":  spans(110, 22, 56, 58, 98),
	} {
		b := make([]byte, packet.FrameSize)
		answered(t, b, copy(b, packet.WithNonce(asked(t)[family], nonce)))
		size := packet.Extend(b, nonce, 1)
		first, rest := packet.Signed(b)
		before := bytes.Join([][]byte{first, rest}, nil)
		for i := range size {
			if i == 12 || i == 13 { // the protocol
				continue
			}
			b[i] ^= 0xff
			first, rest := packet.Signed(b)
			if got := !bytes.Equal(before, bytes.Join([][]byte{first, rest}, nil)); got != want[i] {
				t.Errorf("%s, byte %d: signed %v", family, i, got)
			}
			b[i] ^= 0xff
		}
		if size != len(want) {
			t.Errorf("%s: %d bytes", family, size)
		}
	}
}

// spans are so many flags, true from each first to before each second bound.
func spans(n int, bounds ...int) []bool {
	out := make([]bool, n)
	for i := 0; i < len(bounds); i += 2 {
		for at := bounds[i]; at < bounds[i+1]; at++ {
			out[at] = true
		}
	}
	return out
}

// TestPaddingIsNoNonce: what a host leaves in the padding of its request.
func TestPaddingIsNoNonce(t *testing.T) {
	b := packet.WithNonce(asked(t)["ARP"], nonce)
	b[len(b)-1] = 1
	if got := packet.NonceOf(b); got != (packet.Nonce{}) {
		t.Errorf("nonce %v", got)
	}
}

// FuzzProof: what sound frames may carry is read without fault, and a proof that is put into any
// answer is found in it.
func FuzzProof(f *testing.F) {
	four, err4 := packet.Question4(nodeHW, peer4, peerHW, vip4)
	six, err6 := packet.Question6(nodeHW, peerHW, vip6)
	if err := errors.Join(err4, err6); err != nil {
		f.Fatal(err)
	}
	for _, question := range [][]byte{four, six} {
		f.Add(question)
		f.Add(packet.WithNonce(question, nonce))
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		if len(frame) > packet.FrameSize/2 || !sound(frame) {
			return
		}
		n := packet.NonceOf(frame)
		packet.ProofOf(frame)
		b := make([]byte, packet.FrameSize)
		copy(b, frame)
		if arp, fault := packet.ParseARP(frame); fault == packet.Sound {
			arp.Answer(b, peerHW, peerHW)
		} else if nd, _ := packet.ParseND(frame); nd.Kind == packet.NS {
			nd.Answer(b, peerHW, peerHW)
		} else {
			return
		}
		size := packet.Extend(b, n, 7)
		packet.Seal(b[:size], packet.Tag{9})
		if p, ok := packet.ProofOf(b[:size]); !ok || p != (packet.Proof{Nonce: n, Name: 7, Tag: packet.Tag{9}}) || !sound(b[:size]) {
			t.Errorf("%v, sound %v: %+v", ok, sound(b[:size]), p)
		}
	})
}
