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
		{"away", Meta{Ready: true}, Meta{Ready: true, Away: true}, true},
		{"takes another one for being away", Meta{}, Meta{Absent: []uint32{1}}, true},
		{"which is back", Meta{Absent: []uint32{1}}, Meta{}, false},
		{"lost a session with a router", Meta{Sessions: []uint32{1, 2}}, Meta{Sessions: []uint32{2}}, true},
		{"has a session", Meta{}, Meta{Sessions: []uint32{1}}, false},
		{"a router takes one path", Meta{}, Meta{OnePath: []uint32{1}}, false},
		{"without kube-proxy", Meta{Proxy: true}, Meta{NoProxy: true}, true},
		{"kube-proxy is back", Meta{NoProxy: true}, Meta{Proxy: true}, false},
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

// TestOrder: of what a member says of itself the newest counts, whichever way it came.
func TestOrder(t *testing.T) {
	now := time.Unix(1000, 0)
	say := func(epoch uint64, seq uint32) []byte {
		return ordered(Meta{Config: epoch<<8 | uint64(seq)}.encode(), order{epoch, seq})
	}
	type step struct {
		direct bool // else by gossip
		meta   []byte
		want   []byte
	}
	for _, tt := range []struct {
		name  string
		steps []step
	}{
		{"gossip says the same", []step{{false, say(1, 2), say(1, 2)}}},
		{"gossip is older", []step{{false, say(1, 1), say(1, 2)}}},
		{"gossip is newer", []step{{false, say(1, 3), say(1, 3)}}},
		{"a datagram was held up", []step{{true, say(1, 1), say(1, 2)}}},
		{"said again", []step{{true, say(1, 2), say(1, 2)}}},
		{"a new process", []step{{false, say(2, 0), say(2, 0)}, {true, say(1, 9), say(2, 0)}, {false, say(1, 9), say(2, 0)}}},
		{"a later release says more", []step{{false, append(say(1, 3), 99, 1, 0), append(say(1, 3), 99, 1, 0)}}},
		{"an earlier release knows no order", []step{{false, Meta{}.encode(), say(1, 2)}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tab := newTable("n1", addrNo(1), nil, now)
			tab.alive("n2", addrNo(2), say(1, 0), now)
			tab.learn("n2", say(1, 2))
			for i, s := range tt.steps {
				before := tab.members[1].raw
				var changed bool
				if s.direct {
					changed = tab.learn("n2", s.meta)
				} else {
					changed, _ = tab.alive("n2", addrNo(2), s.meta, now)
				}
				if got := tab.members[1].raw; got != string(s.want) || changed != (got != before) {
					t.Errorf("step %d: order %+v, changed %v; want %+v", i, orderOf([]byte(got)), changed, orderOf(s.want))
				}
			}
		})
	}
}

// TestOrderOfEarlierReleases: without one, what comes last counts.
func TestOrderOfEarlierReleases(t *testing.T) {
	tab := newTable("n1", addrNo(1), nil, time.Now())
	a, b := Meta{Config: 1}.encode(), Meta{Config: 2}.encode()
	tab.alive("n2", addrNo(2), a, time.Now())
	for i, meta := range [][]byte{b, a, b} {
		if !tab.learn("n2", meta) || tab.members[1].Meta.Config != decodeMeta(meta).Config {
			t.Errorf("step %d: not taken", i)
		}
	}
}

// TestOrderOfARestart: a member that died and came back is believed, whatever its clock says; and
// one that was not missed learns of its earlier epoch, and outlives it.
func TestOrderOfARestart(t *testing.T) {
	tab, now := newTable("n1", addrNo(1), nil, time.UnixMilli(5000)), time.UnixMilli(5000)
	tab.alive("n2", addrNo(2), ordered(nil, order{9000, 7}), now)
	tab.gone("n2", now)
	young := ordered(Meta{Config: 1}.encode(), order{100, 0})
	if changed, came := tab.alive("n2", addrNo(2), young, now); !changed || !came || tab.members[1].Meta.Config != 1 {
		t.Error("a member that came back is not believed")
	}
	old := ordered(Meta{Config: 3}.encode(), order{9000, 7})
	if !tab.outlive(old) || !tab.members[0].order.after(orderOf(old)) {
		t.Errorf("order %+v after hearing of %+v", tab.members[0].order, orderOf(old))
	}
	if tab.outlive(old) {
		t.Error("outlived twice")
	}
	if _, changed := tab.setMeta(Meta{Config: 4}.encode()); !changed || tab.members[0].order != (order{9001, 1}) {
		t.Errorf("order %+v after a change", tab.members[0].order)
	}
	if _, changed := tab.setMeta(Meta{Config: 4}.encode()); changed {
		t.Error("the same is a change")
	}
}

func FuzzOrderOf(f *testing.F) {
	f.Add(ordered(Meta{Ready: true}.encode(), order{1, 2}))
	f.Add([]byte{metaVersion, tagOrder, 3, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		o := orderOf(b)
		if again := orderOf(ordered([]byte{metaVersion}, o)); again != o {
			t.Errorf("%+v becomes %+v", o, again)
		}
	})
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
	news := func(name string) []byte { return encodeUrgent(name, Meta{Segments: net}.encode())[1:] }
	for _, content := range [][]byte{news("n1"), news("n2"), news("n3"), news("n4"), []byte("n2"), nil} {
		m.urgentMeta(content)
	}
	got := map[string]int{}
	for _, member := range m.Members() {
		got[member.Name] = len(member.Meta.Segments)
	}
	if len(got) != 3 || got["n1"] != 0 || got["n2"] != 1 || got["n3"] != 0 {
		t.Errorf("networks %v, want that of n2 only", got)
	}
	if raw := string(encodeUrgent("n2", []byte("\x01"))); raw != "\x03n2\x00\x01" {
		t.Errorf("news are %q, a protocol between releases", raw)
	}
}
