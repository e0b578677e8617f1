package mesh

import (
	"strings"
	"testing"
	"time"
)

func TestProbe(t *testing.T) {
	inWorld(t, func(w *world) {
		nodes := w.cluster(2)
		ctx := w.t.Context()
		if rtt, err := nodes[0].Probe(ctx, "n2", addrNo(2)); err != nil || rtt <= 0 || rtt > 2*time.Millisecond {
			t.Errorf("probe of a member: %s, %v", rtt, err)
		}
		if _, err := nodes[0].Probe(ctx, "n9", addrNo(2)); err == nil {
			t.Error("a member answers to another name")
		}
		w.net.cut(addrNo(2).Addr(), addrNo(1).Addr())
		_, err := nodes[0].Probe(ctx, "n2", addrNo(2))
		if want := "probe n2 at 198.18.0.2:7927: "; err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("answers cut off: %v, want %s...", err, want)
		}
	})
}

func TestProbeBeforeRun(t *testing.T) {
	m, err := New(Config{Name: "n1", Bind: addrNo(1)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Probe(t.Context(), "n2", addrNo(2)); err == nil || err.Error() != "gossip has not started" {
		t.Errorf("probe before gossip: %v", err)
	}
}
