package packet

import (
	"encoding/hex"
	"errors"
	"net/netip"
	"testing"

	"github.com/starling-lb/starling/transcript"
)

// TestReleases: frames that speakers of all releases send are understood, and this tree sends what
// the newest one does.
func TestReleases(t *testing.T) {
	t.Parallel()
	var (
		mine, theirs = HW{2, 0, 0, 0, 0, 1}, HW{2, 0, 0, 0, 0, 2}
		ip4, ip6     = netip.MustParseAddr("198.18.64.1"), netip.MustParseAddr("2001:db8::1")
		nonce        = Nonce{1, 2, 3, 4, 5, 6}
		tag          = Tag{1, 2, 3, 4, 5, 6, 7, 8}
	)
	must := func(b []byte, err error) []byte {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	// reply is what the station at theirs sends to a question.
	reply := func(question []byte) []byte {
		b := append(make([]byte, 0, FrameSize), question...)[:FrameSize]
		size := 0
		if isARP(question) {
			m, _ := ParseARP(question)
			size = m.Answer(b, theirs, theirs)
		} else {
			m, _ := ParseND(question)
			size = m.Answer(b, theirs, theirs)
		}
		size = max(size, Extend(b, nonce, 7))
		Seal(b[:size], tag)
		return b[:size]
	}
	question4 := WithNonce(must(Question4(mine, netip.MustParseAddr("198.18.0.1"), theirs, ip4)), nonce)
	question6 := WithNonce(must(Question6(mine, theirs, ip6)), nonce)
	frames := map[string][]byte{
		"question of a speaker, ARP": question4,
		"question of a speaker, NS":  question6,
		"reply with a proof, ARP":    reply(question4),
		"reply with a proof, NA":     reply(question6),
		"probe before use, ARP":      must(Probe4(mine, ip4)),
		"probe before use, NS":       must(Probe6(mine, ip6)),
		"solicitation, NS":           must(Solicit6(mine, ip6)),
	}
	for name, ip := range map[string]netip.Addr{"ARP": ip4, "NA": ip6} {
		all, err := Announcement(mine, theirs, ip, false)
		if err != nil {
			t.Fatal(err)
		}
		for i, b := range all {
			frames["announcement "+string('1'+rune(i))+", "+name] = b
		}
	}
	var samples []transcript.Sample
	for name, b := range frames {
		samples = append(samples, transcript.Sample{Name: name, Text: hex.EncodeToString(b), Read: readFrame})
	}
	transcript.Golden(t, samples...)
}

func readFrame(text string) (any, error) {
	b, err := hex.DecodeString(text)
	if err != nil {
		return nil, err
	}
	means := map[string]any{}
	var f Fault
	if isARP(b) {
		means["arp"], f = ParseARP(b)
	} else {
		means["nd"], f = ParseND(b)
	}
	if f != Sound {
		return nil, errors.New("not understood")
	}
	if n := NonceOf(b); n != (Nonce{}) {
		means["nonce"] = n
	}
	if p, ok := ProofOf(b); ok {
		means["proof"] = p
	}
	return means, nil
}
