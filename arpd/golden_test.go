package arpd

import (
	"bytes"
	"encoding/hex"
	"errors"
	"testing"

	"github.com/starling-lb/starling/arpd/packet"
	"github.com/starling-lb/starling/transcript"
)

// TestReleases: a reply that a speaker of any release has proven is believed, and this tree proves
// as the newest one does.
func TestReleases(t *testing.T) {
	p, err := newProofs("n1", "cluster", [][]byte{bytes.Repeat([]byte{7}, 32)}, &open{})
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, packet.FrameSize)
	b[12], b[13] = 0x08, 0x06
	b = b[:p.prove(b, packet.Nonce{1, 2, 3, 4, 5, 6})]
	transcript.Golden(t, transcript.Sample{Name: "proof of n1", Text: hex.EncodeToString(b), Read: func(text string) (any, error) {
		b, err := hex.DecodeString(text)
		if err != nil {
			return nil, err
		}
		proof, ok := packet.ProofOf(b)
		if !ok || p.tag(p.keys[0], b) != proof.Tag {
			return nil, errors.New("not proven")
		}
		return map[string]any{"name": proof.Name}, nil
	}})
}
