package mesh

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/rs/zerolog"
)

// These tests run over real sockets on loopback.

type peer struct {
	*Mesh
	t    *testing.T
	logs *lines
	end  context.CancelFunc
	done chan error
}

// runPeer starts a member that ends with the test.
func runPeer(t *testing.T, c Config) *peer {
	t.Helper()
	p := &peer{t: t, logs: &lines{}, done: make(chan error, 1)}
	c.Label = "cluster"
	c.Detection = Calm // The machine may be busy with other tests.
	c.Log = zerolog.New(p.logs)
	m, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	p.Mesh = m
	ctx, end := context.WithCancel(context.Background())
	p.end = end
	go func() { p.done <- m.Run(ctx) }()
	t.Cleanup(func() {
		p.stop()
		if t.Failed() {
			t.Logf("log of %s:\n%s", c.Name, p.logs)
		}
	})
	return p
}

// stop ends the member and returns how long that took. It may be repeated.
func (p *peer) stop() time.Duration {
	p.t.Helper()
	begin := time.Now()
	p.end()
	err := <-p.done
	p.done <- nil
	if err != nil {
		p.t.Errorf("Run of %s: %v", p.cfg.Name, err)
	}
	return time.Since(begin)
}

// atMost is the longest that an end may take here, where a busy machine adds
// to it.
const atMost = leaveTime + 1500*time.Millisecond

// until waits for a condition, at most half a minute.
func (p *peer) until(what string, ok func() bool) {
	p.t.Helper()
	limit := time.After(30 * time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-p.Changed():
		case <-tick.C:
		case <-limit:
			p.t.Fatalf("%s waited for %s: members %+v, settled %v, problems %q", p.cfg.Name, what, p.Members(), p.Settled(), p.problems())
		}
	}
}

func (p *peer) sees(name string) State {
	for _, m := range p.Members() {
		if m.Name == name {
			return m.State
		}
	}
	return ""
}

func (p *peer) at() netip.AddrPort { return p.table.summary().self }

// through makes a Seeds function of peers that run already.
func through(peers ...*peer) func() []Seed {
	return func() (out []Seed) {
		for _, p := range peers {
			out = append(out, Seed{Addr: p.at()})
		}
		return out
	}
}

func loopback(i int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, byte(i)}), 0)
}

func TestSocketsEncryptedJoinAndLeave(t *testing.T) {
	old, next := keyOf(1), keyOf(2)
	n1 := runPeer(t, Config{Name: "n1", Bind: loopback(1), Keys: [][]byte{old, next}})
	n1.until("being alone", n1.Settled)
	n2 := runPeer(t, Config{Name: "n2", Bind: loopback(2), Keys: [][]byte{old, next}, Seeds: through(n1)})
	n3 := runPeer(t, Config{Name: "n3", Bind: loopback(3), Keys: [][]byte{next, old}, Seeds: through(n1)}) // In the middle of a rotation.
	for _, n := range []*peer{n1, n2, n3} {
		n.until("all", func() bool { return n.table.count(Alive) == 3 })
	}

	meta := Meta{Ready: true, Version: "v1", Segments: prefixes("127.0.0.0/8")}
	n2.SetMeta(meta)
	n1.until("metadata", func() bool { return n1.Members()[1].Meta.Ready })
	if took := n2.stop(); took > atMost {
		t.Errorf("leaving took %v, want at most %v", took, atMost)
	}
	n1.until("leave", func() bool { return n1.sees("n2") == Left })
	if strings.Contains(n1.logs.String(), `"node":"n2","addr":"`+n2.at().String()+`","message":"member dead"`) {
		t.Error("n2 was taken for dead first")
	}
}

func TestSocketsIPv6(t *testing.T) {
	any6 := netip.MustParseAddrPort("[::1]:0")
	n1 := runPeer(t, Config{Name: "n1", Bind: any6, Keys: [][]byte{keyOf(1)}})
	n1.until("start", n1.Settled)
	n2 := runPeer(t, Config{Name: "n2", Bind: any6, Keys: [][]byte{keyOf(1)}, Seeds: through(n1)})
	n1.until("n2", func() bool { return n1.sees("n2") == Alive })
	n2.until("settling", n2.Settled)
	if got := n1.Members()[1].Addr; got != n2.at() || !got.Addr().Is6() {
		t.Errorf("n1 sees n2 at %s, want %s", got, n2.at())
	}
}

// One socket for both families, as with the bind address [::].
func TestSocketsUnspecifiedBind(t *testing.T) {
	n1 := runPeer(t, Config{Name: "n1", Bind: netip.MustParseAddrPort("[::]:0"), Advertise: loopback(1), Keys: [][]byte{keyOf(1)}})
	n1.until("start", n1.Settled)
	if at := n1.at(); at.Addr() != loopback(1).Addr() || at.Port() == 0 {
		t.Fatalf("advertises %s", at)
	}
	n2 := runPeer(t, Config{Name: "n2", Bind: loopback(2), Keys: [][]byte{keyOf(1)}, Seeds: through(n1)})
	n1.until("n2", func() bool { return n1.sees("n2") == Alive })
	n1.SetMeta(Meta{Config: 1})
	n2.SetMeta(Meta{Config: 2})
	n1.until("metadata of n2", func() bool { return n1.Members()[1].Meta.Config == 2 })
	n2.until("metadata of n1", func() bool { return n2.Members()[0].Meta.Config == 1 })
}

func TestSocketsBusyPort(t *testing.T) {
	for _, network := range []string{"tcp", "udp"} {
		t.Run(network, func(t *testing.T) {
			holder, at := hold(t, network)
			n := runPeer(t, Config{Name: "n1", Bind: at, Seeds: func() []Seed { return seedsAt(at) }})
			want := fmt.Sprintf("gossip port %d is in use", at.Port())
			n.until("the problem", func() bool { return slices.Equal(n.problems(), []string{want}) })
			if n.Settled() {
				t.Error("settled without a port")
			}
			if got := n.Members(); len(got) != 1 || got[0].Name != "n1" {
				t.Errorf("members %+v, want self", got)
			}
			holder()
			n.until("the port", n.Settled)
			if p := n.problems(); len(p) > 0 {
				t.Errorf("problems %q after the port came free", p)
			}
			if c := n.logs.count("gossip problem\""); c != 1 {
				t.Errorf("the trouble was logged %d times, want once", c)
			}
		})
	}
}

// hold takes a port that is free for both protocols, with one of them.
func hold(t *testing.T, network string) (free func(), at netip.AddrPort) {
	t.Helper()
	w := listenTest(t, "127.0.0.9:0")
	at = netip.MustParseAddrPort(w.at())
	if err := w.Shutdown(); err != nil {
		t.Fatal(err)
	}
	var c interface{ Close() error }
	var err error
	if network == "tcp" {
		c, err = net.Listen("tcp", at.String())
	} else {
		c, err = net.ListenPacket("udp", at.String())
	}
	if err != nil {
		t.Fatal(err)
	}
	return func() { _ = c.Close() }, at
}

func TestSocketsStopWhilePortIsBusy(t *testing.T) {
	free, at := hold(t, "tcp")
	defer free()
	n := runPeer(t, Config{Name: "n1", Bind: at})
	n.until("the problem", func() bool { return len(n.problems()) == 1 })
	if took := n.stop(); took > atMost {
		t.Errorf("stopping took %v", took)
	}
}

func TestSocketsMissingAddress(t *testing.T) {
	n := runPeer(t, Config{Name: "n1", Bind: netip.MustParseAddrPort("198.18.99.99:7927")})
	want := "gossip cannot start: gossip: listen tcp 198.18.99.99:7927: bind: cannot assign requested address"
	n.until("the problem", func() bool { return slices.Equal(n.problems(), []string{want}) })
}

func TestSocketsWrongKeyIsNamed(t *testing.T) {
	n1 := runPeer(t, Config{Name: "n1", Bind: loopback(1), Keys: [][]byte{keyOf(1)}})
	n1.until("start", n1.Settled)
	n2 := runPeer(t, Config{Name: "n2", Bind: loopback(2), Keys: [][]byte{keyOf(2)}, Seeds: through(n1)})
	n1.until("the stranger", func() bool { return slices.Equal(n1.problems(), []string{"peer 127.0.0.2 uses another gossip key"}) })
	n2.until("the rejection", func() bool { return slices.Equal(n2.problems(), []string{"peer 127.0.0.1 uses another gossip key"}) })
	if n2.Settled() || !n1.Settled() {
		t.Errorf("settled: n1 %v, n2 %v, want only n1", n1.Settled(), n2.Settled())
	}
}

// A peer that takes the connection and says nothing, as a stopped process
// does, delays neither settling forever nor the end.
func TestSocketsHangingSeed(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.8:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	mute := netip.MustParseAddrPort(l.Addr().String())
	n := runPeer(t, Config{Name: "n1", Bind: loopback(1), Seeds: func() []Seed { return seedsAt(mute) }})
	if _, err := l.Accept(); err != nil { // The join is under way.
		t.Fatal(err)
	}
	if took := n.stop(); took > atMost {
		t.Errorf("stopping took %v in the middle of a join", took)
	}
}

// Whatever anybody sends to the port must neither stop the gossip nor fill
// the log.
func TestSocketsGarbage(t *testing.T) {
	reg := prometheus.NewRegistry()
	n1 := runPeer(t, Config{Name: "n1", Bind: loopback(1), Keys: [][]byte{keyOf(1)}, Registry: reg})
	n1.until("start", n1.Settled)
	for i := range 200 {
		junk := bytes.Repeat([]byte{byte(i)}, i) // No 0xf4, which begins a label.
		for _, network := range []string{"udp", "tcp"} {
			send(t, network, n1.at(), junk)
		}
		send(t, "udp", n1.at(), append([]byte("\xf4\x07cluster"), junk...))
	}
	count := func(k kind) float64 { return testutil.ToFloat64(n1.metrics.rejected.WithLabelValues(string(k))) }
	n1.until("all rejections", func() bool { return count(kindUnlabeled) > 300 && count(kindKey) > 150 })
	if got, want := n1.problems(), []string{"peer 127.0.0.1 uses another gossip key"}; !slices.Equal(got, want) {
		t.Errorf("problems %q, want %q", got, want)
	}
	if c := n1.logs.count(`"level":"error"`) + n1.logs.count(`"level":"warn"`); c > 20 {
		t.Errorf("%d warnings and errors in the log", c)
	}
	n2 := runPeer(t, Config{Name: "n2", Bind: loopback(2), Keys: [][]byte{keyOf(1)}, Seeds: through(n1)})
	n1.until("n2 in spite of it all", func() bool { return n1.sees("n2") == Alive && n2.sees("n1") == Alive })
	if got := testutil.ToFloat64(n2.metrics.joins); got < 1 {
		t.Errorf("%v joins counted", got)
	}
}

func send(t *testing.T, network string, to netip.AddrPort, b []byte) {
	t.Helper()
	c, err := net.Dial(network, to.String())
	if err != nil {
		t.Fatal(err)
	}
	_, _ = c.Write(b) // The peer may have closed it.
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}
