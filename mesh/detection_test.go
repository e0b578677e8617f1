package mesh

import (
	"testing"
	"time"

	"github.com/hashicorp/memberlist"
)

func TestParseDetection(t *testing.T) {
	for _, d := range []Detection{Fast, Default, Calm} {
		if got, err := ParseDetection(string(d)); got != d || err != nil {
			t.Errorf("%q: %q, %v", d, got, err)
		}
	}
	for _, s := range []string{"", "FAST", "slow"} {
		want := `"` + s + `" is not one of fast, default, calm`
		if got, err := ParseDetection(s); got != "" || err == nil || err.Error() != want {
			t.Errorf("%q: %q, %v, want error %s", s, got, err, want)
		}
	}
}

func TestProtocol(t *testing.T) {
	library := memberlist.DefaultLANConfig()
	for _, d := range []Detection{Fast, Default, Calm, ""} {
		p := Config{Name: "n1", Label: "uid", Detection: d}.protocol()
		if p.SuspicionMaxTimeoutMult >= library.SuspicionMaxTimeoutMult {
			t.Errorf("%s: unconfirmed suspicions wait %d times as long, like the library's", d, p.SuspicionMaxTimeoutMult)
		}
		// See Detection.pace: another's "no answer either" must be in time.
		if slack := p.ProbeInterval - 2*p.ProbeTimeout; slack < p.ProbeInterval/10 {
			t.Errorf("%s: only %v are left for the words of others", d, slack)
		}
		if p.DeadNodeReclaimTime <= 0 || p.EnableCompression || p.SkipInboundLabelCheck || p.Label != "uid" || p.DisableTcpPings {
			t.Errorf("%s: %+v", d, p)
		}
		if p.PushPullInterval != 5*time.Second {
			t.Errorf("%s: states are compared every %v, want 5s", d, p.PushPullInterval)
		}
		if !p.GossipVerifyIncoming || !p.GossipVerifyOutgoing {
			t.Errorf("%s: plain gossip is taken or sent", d)
		}
	}
}

// A packet with the largest metadata must still fit.
func TestLargestAliveMessageFits(t *testing.T) {
	p := Config{Name: "n1"}.protocol()
	const (
		name     = 253              // Kubernetes' longest node name.
		label    = 2 + 255          // The longest label with its header.
		overhead = 29 + 2 + 2 + 128 // Encryption, compound message, the alive message's own fields.
	)
	if need := metaLimit + name + label + overhead; need > p.UDPBufferSize {
		t.Errorf("an alive message may need %d bytes, packets have %d", need, p.UDPBufferSize)
	}
}
