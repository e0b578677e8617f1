package mesh

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

func TestNewRefuses(t *testing.T) {
	good := Config{Name: "n1", Bind: addrNo(1), Label: "uid", Keys: [][]byte{keyOf(1)}, Detection: Calm}
	tests := []struct {
		name string
		edit func(*Config)
		want string
	}{
		{"good", func(*Config) {}, ""},
		{"no detection is the default", func(c *Config) { c.Detection = "" }, ""},
		{"no name", func(c *Config) { c.Name = "" }, "mesh: member name is empty"},
		{"no bind", func(c *Config) { c.Bind = netip.AddrPort{} }, `mesh: bind address "invalid AddrPort" is invalid`},
		{"unspecified", func(c *Config) { c.Bind = netip.MustParseAddrPort("[::]:7927") }, "mesh: bind address [::]:7927 needs an address to advertise"},
		{"unspecified but advertised", func(c *Config) { c.Bind, c.Advertise = netip.MustParseAddrPort("0.0.0.0:1"), addrNo(1) }, ""},
		{"advertise nothing", func(c *Config) { c.Advertise = netip.MustParseAddrPort("0.0.0.0:1") }, "mesh: cannot advertise 0.0.0.0:1"},
		{"long label", func(c *Config) { c.Label = strings.Repeat("x", 256) }, "mesh: label has 256 bytes, at most 255 are allowed"},
		{"detection", func(c *Config) { c.Detection = "slow" }, `mesh: failure detection: "slow" is not one of fast, default, calm`},
		{
			"all at once", func(c *Config) { c.Name, c.Keys = "", [][]byte{keyOf(1), {1, 2}} },
			"mesh: member name is empty\nmesh: gossip key 2 has 2 bytes, want 32",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := good
			tt.edit(&c)
			m, err := New(c)
			got := ""
			if err != nil {
				got = err.Error()
			}
			if got != tt.want || (m != nil) != (err == nil) {
				t.Errorf("error %q, want %q", got, tt.want)
			}
		})
	}
}

func TestBeforeRun(t *testing.T) {
	m, err := New(Config{Name: "n1", Bind: netip.MustParseAddrPort("0.0.0.0:7927"), Advertise: addrNo(1)})
	if err != nil {
		t.Fatal(err)
	}
	m.SetMeta(Meta{Ready: true})
	want := []Member{{Name: "n1", Addr: addrNo(1), State: Alive, Meta: Meta{Ready: true}, Since: m.Members()[0].Since, Epoch: m.Members()[0].Epoch}}
	if diff := cmp.Diff(want, m.Members(), cmpPrefix()); diff != "" {
		t.Errorf("members (-want +got):\n%s", diff)
	}
	if m.Settled() || len(m.problems()) > 0 {
		t.Errorf("settled %v, problems %q before anything was begun", m.Settled(), m.problems())
	}
}

func TestRunTwice(t *testing.T) {
	inWorld(t, func(w *world) {
		n := w.start("n1", 1)
		w.within(3*time.Second, "start", n.Settled)
		if err := n.Run(t.Context()); err == nil {
			t.Error("a second Run went well")
		}
	})
}

// However much happens, there is one signal, and none is lost.
func TestChangedCoalesces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, err := New(Config{Name: "n0", Bind: addrNo(0)})
		if err != nil {
			t.Fatal(err)
		}
		h := delegate{m}
		for i := range 1000 {
			h.NotifyJoin(testNode(i, Meta{}))
		}
		signals := func() (n int) {
			for {
				select {
				case <-m.Changed():
					n++
				default:
					return n
				}
			}
		}
		if got := signals(); got != 1 {
			t.Errorf("%d signals for 1,000 joins, want 1", got)
		}
		h.NotifyUpdate(testNode(7, Meta{}))
		h.NotifyJoin(testNode(7, Meta{}))
		if got := signals(); got != 0 {
			t.Errorf("%d signals for nothing new", got)
		}
		h.NotifyUpdate(testNode(7, Meta{Ready: true}))
		if got := signals(); got != 1 {
			t.Errorf("%d signals for new metadata, want 1", got)
		}
		h.NotifyLeave(testNode(7, Meta{}))
		h.NotifyLeave(testNode(7, Meta{}))
		h.NotifyMsg(goodbye("n8", order{}))
		if got := signals(); got != 1 {
			t.Errorf("%d signals for a death, want 1", got)
		}
		h.NotifyMsg(goodbye("n7", order{}))
		if got, s := signals(), m.Members()[stateIndex(m, "n7")].State; got != 1 || s != Left {
			t.Errorf("%d signals and state %s for a late goodbye, want 1 and left", got, s)
		}
		h.NotifyMsg(nil)
		h.NotifyMsg([]byte{99, 1, 2})
		m.SetMeta(Meta{Ready: true})
		if got := signals(); got != 0 {
			t.Errorf("%d signals for unknown messages and our own metadata", got)
		}
		h.NotifyConflict(testNode(3, Meta{}), testNode(4, Meta{}))
		h.NotifyConflict(testNode(3, Meta{}), testNode(4, Meta{}))
		if got := signals(); got != 1 || len(m.problems()) != 1 {
			t.Errorf("%d signals and problems %q for a conflict", got, m.problems())
		}
	})
}

func stateIndex(m *Mesh, name string) int {
	for i, one := range m.Members() {
		if one.Name == name {
			return i
		}
	}
	return -1
}

// memberlist goes on changing what it hands out.
func TestDelegateCopies(t *testing.T) {
	m, err := New(Config{Name: "n0", Bind: addrNo(0)})
	if err != nil {
		t.Fatal(err)
	}
	n := testNode(1, Meta{Ready: true, Version: "v1"})
	delegate{m}.NotifyJoin(n)
	want := m.Members()
	clear(n.Addr)
	clear(n.Meta)
	n.Name, n.Port = "other", 1
	if diff := cmp.Diff(want, m.Members(), cmpPrefix()); diff != "" {
		t.Errorf("the table changed with memberlist's node (-before +after):\n%s", diff)
	}
}

func TestMetrics(t *testing.T) {
	r := prometheus.NewRegistry()
	c := Config{Name: "n0", Bind: addrNo(0), Registry: r}
	m, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	h := delegate{m}
	for i := range 5 {
		h.NotifyJoin(testNode(i, Meta{}))
	}
	h.NotifyLeave(testNode(1, Meta{}))
	h.NotifyLeave(testNode(2, Meta{}))
	h.NotifyMsg(goodbye("n2", order{}))
	m.see(condition{kind: kindKey, who: "198.18.0.3"})
	m.see(condition{kind: kindUnlabeled, who: "198.18.0.3"})
	m.metrics.joins.Add(3)
	m.metrics.failed.Add(2)
	want := `
# HELP starling_mesh_deaths_total Members that gossip declared dead. The speaker then probes each of them on the wire.
# TYPE starling_mesh_deaths_total counter
starling_mesh_deaths_total 2
# HELP starling_mesh_joins_attempted_total Attempts to join the mesh through a seed.
# TYPE starling_mesh_joins_attempted_total counter
starling_mesh_joins_attempted_total 3
# HELP starling_mesh_joins_failed_total Attempts to join the mesh that failed.
# TYPE starling_mesh_joins_failed_total counter
starling_mesh_joins_failed_total 2
# HELP starling_mesh_members Members of the mesh by state, this node included. Members that died or left count for five minutes.
# TYPE starling_mesh_members gauge
starling_mesh_members{state="alive"} 3
starling_mesh_members{state="dead"} 1
starling_mesh_members{state="left"} 1
`
	if err := testutil.GatherAndCompare(r, strings.NewReader(want), "starling_mesh_deaths_total", "starling_mesh_members", "starling_mesh_joins_attempted_total", "starling_mesh_joins_failed_total"); err != nil {
		t.Error(err)
	}
	m.see(condition{kind: kindKey, who: "198.18.0.3"})
	m.see(condition{kind: kindName, who: "n3", other: "a and b"})
	m.see(condition{kind: kindName, who: "n3", other: "a and c"})
	m.see(condition{kind: kindUDP, who: "n4"}) // Once is no condition.
	want = "# HELP starling_mesh_trouble " + conditionHelp + "\n# TYPE starling_mesh_trouble gauge\n" +
		"starling_mesh_trouble{peer=\"198.18.0.3\",reason=\"key\"} 1\nstarling_mesh_trouble{peer=\"n3\",reason=\"name\"} 1\n"
	if err := testutil.GatherAndCompare(r, strings.NewReader(want), "starling_mesh_trouble"); err != nil {
		t.Error(err)
	}
	for k, want := range map[kind]float64{kindKey: 2, kindUnlabeled: 1, kindLabel: 0} {
		if got := testutil.ToFloat64(m.metrics.rejected.WithLabelValues(string(k))); got != want {
			t.Errorf("rejected %s: %v, want %v", k, got, want)
		}
	}
	if got, err := testutil.GatherAndCount(r, "starling_mesh_rejected_total"); got != 10 || err != nil {
		t.Errorf("%d reasons are exported, %v, want all 10 from the start", got, err)
	}
	if _, err := New(c); err == nil {
		t.Error("registered twice without an error")
	}
}

func TestBusyPortBacksOff(t *testing.T) {
	inWorld(t, func(w *world) {
		w.start("n9", 1)
		time.Sleep(time.Second)
		n := w.make("n1", addrNo(1))
		w.run(n)
		time.Sleep(time.Minute)
		if got, want := fmt.Sprint(n.problems()), "[gossip port 7927 is in use]"; got != want {
			t.Errorf("problems %s, want %s", got, want)
		}
		attempts := 0
		w.net.do(func() { attempts = w.net.refused })
		if attempts < 10 || attempts > 30 {
			t.Errorf("%d attempts in a minute, want them spaced by up to 4 s", attempts)
		}
		w.stop("n9")
		w.within(8*time.Second, "start", n.Settled) // A pause of 5 s, and two of silence.
		if p := n.problems(); len(p) > 0 {
			t.Errorf("problems %q when the port was free", p)
		}
	})
}
