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

// TestOlderGossipAfterNews: what a member said just before its bad news reaches
// others later by gossip, and does not undo the news.
func TestOlderGossipAfterNews(t *testing.T) {
	inWorld(t, func(w *world) {
		nodes := w.cluster(20)
		two, one := prefixes("192.0.2.0/24", "198.18.0.0/15"), prefixes("192.0.2.0/24")
		for round := range 20 {
			nodes[0].SetMeta(Meta{Ready: true, Segments: two, Config: uint64(2 * round)})
			time.Sleep(2 * time.Second)
			nodes[0].SetMeta(Meta{Ready: true, Segments: two, Config: uint64(2*round + 1)})
			time.Sleep(time.Duration(round) * 5 * time.Millisecond)
			nodes[0].SetMeta(Meta{Ready: true, Segments: one})
			time.Sleep(5 * time.Millisecond)
			for began := time.Now(); time.Since(began) < time.Second; time.Sleep(time.Millisecond) {
				for _, n := range nodes {
					if n.segments("n1") != 1 {
						t.Fatalf("round %d: %s sees %d networks again %v later", round, n.cfg.Name, n.segments("n1"), time.Since(began))
					}
				}
			}
		}
	})
}

// TestWord: gossip waits as long as it may be older than a member's own word, and
// is believed in the end.
func TestWord(t *testing.T) {
	now, confirm := time.Unix(1000, 0), confirmTime(2)
	type step struct {
		after  time.Duration
		gossip string // "": time passes; "said": not gossip, the member says its news again
		want   string
	}
	for _, tt := range []struct {
		name  string
		steps []step
	}{
		{"gossip says the same", []step{{0, "news", "news"}, {1, "newer", "newer"}}},
		{"gossip is older, then the same", []step{{0, "older", "news"}, {1, "news", "news"}, {newsTime, "", "news"}}},
		{"gossip is newer", []step{{0, "newer", "news"}, {newsTime - 1, "", "news"}, {newsTime, "", "newer"}}},
		{"the last of gossip counts", []step{{0, "new", "news"}, {1, "newer", "news"}, {newsTime, "", "newer"}}},
		{"gossip after a while", []step{{newsTime, "newer", "newer"}, {newsTime, "", "newer"}}},
		{"gossip never confirms it", []step{{newsTime + confirm - 1, "", "news"}, {newsTime + confirm, "", "older"}, {time.Minute, "", "older"}}},
		{"gossip confirms it late", []step{{newsTime, "news", "news"}, {newsTime + confirm, "", "news"}}},
		{"said again", []step{{0, "between", "news"}, {newsTime - 1, "said", "news"}, {newsTime, "", "news"}, {2 * newsTime, "", "news"}}},
		{"said again when gossip agrees", []step{{0, "news", "news"}, {1, "said", "news"}, {2, "newer", "newer"}}},
		{"gossip says nothing", []step{{newsTime, "", "news"}, {newsTime, "newer", "newer"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tab := newTable("n1", addrNo(1), nil, now)
			tab.alive("n2", addrNo(2), []byte("older"), now)
			tab.told("n2", []byte("news"), now)
			for i, s := range tt.steps {
				before := tab.members[1].raw
				var changed bool
				switch s.gossip {
				case "":
					changed = tab.expire(now.Add(s.after))
				case "said":
					changed = tab.told("n2", []byte("news"), now.Add(s.after))
				default:
					changed, _ = tab.alive("n2", addrNo(2), []byte(s.gossip), now.Add(s.after))
				}
				if got := tab.members[1].raw; got != s.want || changed != (got != before) {
					t.Errorf("step %d: %q, changed %v; want %q", i, got, changed, s.want)
				}
			}
		})
	}
}

// TestConfirmTime: an unconfirmed word outlives three exchanges of state, as often as the library makes them.
func TestConfirmTime(t *testing.T) {
	for members, want := range map[int]time.Duration{
		0: 15 * time.Second, 1: 15 * time.Second, 32: 15 * time.Second, 33: 30 * time.Second, 64: 30 * time.Second,
		65: 45 * time.Second, 128: 45 * time.Second, 129: time.Minute,
	} {
		if got := confirmTime(members); got != want {
			t.Errorf("%d members: %s, want %s", members, got, want)
		}
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
