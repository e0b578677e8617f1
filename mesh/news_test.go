package mesh

import (
	"net/netip"
	"testing"
	"time"
)

func TestWorse(t *testing.T) {
	both := prefixes("192.0.2.0/24", "198.18.0.0/15")
	for _, tt := range []struct {
		name    string
		was, is Meta
		want    bool
	}{
		{"the same", Meta{Ready: true, Segments: both}, Meta{Ready: true, Segments: both}, false},
		{"ready", Meta{}, Meta{Ready: true}, false},
		{"not ready", Meta{Ready: true}, Meta{}, true},
		{"drains", Meta{Ready: true}, Meta{Ready: true, Draining: true}, true},
		{"drains still", Meta{Draining: true}, Meta{Draining: true}, false},
		{"one network more", Meta{Segments: both[:1]}, Meta{Segments: both}, false},
		{"one network less", Meta{Segments: both}, Meta{Segments: both[1:]}, true},
		{"another network", Meta{Segments: both[:1]}, Meta{Segments: both[1:]}, true},
		{"another version", Meta{Version: "v1"}, Meta{Version: "v2"}, false},
		{"out of touch", Meta{}, Meta{APIAge: time.Minute}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := worse(tt.was, tt.is); got != tt.want {
				t.Errorf("worse: %v", got)
			}
		})
	}
}

// segments are the networks of a member as this one knows them.
func (n *node) segments(name string) int {
	for _, m := range n.Members() {
		if m.Name == name {
			return len(m.Meta.Segments)
		}
	}
	return 0
}

// TestBadNewsIsToldAtOnce: everybody knows of a lost network without waiting for
// gossip, and where the direct word is lost gossip brings it.
func TestBadNewsIsToldAtOnce(t *testing.T) {
	for _, tt := range []struct {
		detection Detection
		cut       bool // between the member and one of the others
		limit     time.Duration
	}{
		{Default, false, 5 * time.Millisecond},
		{Calm, false, 5 * time.Millisecond},
		{Default, true, 200 * time.Millisecond},
	} {
		inWorld(t, func(w *world) {
			w.tune = func(c *Config) { c.Detection = tt.detection }
			nodes := w.cluster(20)
			tell := func(text ...string) {
				nodes[0].SetMeta(Meta{Ready: true, Segments: prefixes(text...)})
			}
			known := func(want int) func() bool {
				return func() bool {
					for _, n := range nodes {
						if n.segments("n1") != want {
							return false
						}
					}
					return true
				}
			}
			tell("192.0.2.0/24", "198.18.0.0/15")
			w.within(5*time.Second, "all know of two networks", known(2))
			time.Sleep(5 * time.Second)
			if tt.cut {
				w.net.cut(nodes[0].at.Addr(), nodes[1].at.Addr())
			}
			tell("192.0.2.0/24")
			took := w.within(tt.limit, "all know of one network", known(1))
			t.Logf("%s, cut %v: %v", tt.detection, tt.cut, took)
			time.Sleep(time.Second)
			if !known(1)() {
				t.Errorf("%s: forgotten again", tt.detection)
			}
		})
	}
}

// TestNewsOfWhom: only a living member is believed, about itself.
func TestNewsOfWhom(t *testing.T) {
	m, err := New(Config{Name: "n1", Bind: addrNo(1)})
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range []string{"", "", "n2", "n3"} {
		if name != "" {
			m.table.alive(name, addrNo(i), Meta{Ready: true}.encode(), time.Now())
		}
	}
	m.table.gone("n3", time.Now())
	net := []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	news := func(name string) []byte { return encodeNews(name, Meta{Segments: net}.encode())[1:] }
	for _, content := range [][]byte{news("n1"), news("n2"), news("n3"), news("n4"), []byte("n2"), nil} {
		m.news(content)
	}
	got := map[string]int{}
	for _, member := range m.Members() {
		got[member.Name] = len(member.Meta.Segments)
	}
	if len(got) != 3 || got["n1"] != 0 || got["n2"] != 1 || got["n3"] != 0 {
		t.Errorf("networks %v, want that of n2 only", got)
	}
	if raw := string(encodeNews("n2", []byte("\x01"))); raw != "\x03n2\x00\x01" {
		t.Errorf("news are %q, a protocol between releases", raw)
	}
}
