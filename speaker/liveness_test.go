package speaker

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/starling-lb/starling/arpd"
	"github.com/starling-lb/starling/mesh"
	"github.com/starling-lb/starling/watcher"
)

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func TestSayAndSaid(t *testing.T) {
	for _, tt := range []struct {
		name string
		meta mesh.Meta
		fit  bool
		word uint8
	}{
		{"not ready", mesh.Meta{}, true, 0},
		{"draining", mesh.Meta{Ready: true, Draining: true}, true, 0},
		{"not wanted by Kubernetes", mesh.Meta{Ready: true}, false, 0},
		{"well", mesh.Meta{Ready: true}, true, 1},
		{"unsure", mesh.Meta{Ready: true, APIAge: unsure}, true, 2},
		{"out of touch", mesh.Meta{Ready: true, APIAge: outOfTouch}, true, 3},
		{"returning", mesh.Meta{Ready: true, Returning: true}, true, 4},
		{"returning, unsure", mesh.Meta{Ready: true, Returning: true, APIAge: unsure}, true, 5},
		{"returning, out of touch", mesh.Meta{Ready: true, Returning: true, APIAge: outOfTouch}, true, 6},
	} {
		t.Run(tt.name, func(t *testing.T) {
			word := say(tt.meta, tt.fit)
			if word != tt.word {
				t.Fatalf("says %d, want %d: the words are a protocol between releases", word, tt.word)
			}
			if word == 0 {
				return
			}
			if diff := cmp.Diff(tt.meta, said(mesh.Meta{Draining: true, APIAge: time.Hour}, word), comparePrefix); diff != "" {
				t.Errorf("understood (-want +got):\n%s", diff)
			}
		})
	}
	if m := said(mesh.Meta{}, 7); !m.Ready || !m.Returning || m.APIAge != inTouch {
		t.Errorf("the word of a later release is understood as %+v", m)
	}
}

var comparePrefix = cmpopts.EquateComparable(netip.Prefix{}, netip.AddrPort{})

// answers of the wire about stations.
func wireSays(f map[string]string) arpd.State {
	s := arpd.State{Answers: map[arpd.Question]arpd.Answer{}, Speakers: map[string]arpd.Speaker{}}
	for mac, what := range f {
		q := arpd.Question{MAC: mac}
		switch what {
		case "asked":
			s.Answers[q] = arpd.Answer{Asked: epoch}
		case "silent":
			s.Answers[q] = arpd.Answer{Asked: epoch, Silent: true}
		case "was there":
			s.Answers[q] = arpd.Answer{Asked: epoch, Last: epoch.Add(-time.Minute), Silent: true}
			s.Speakers[mac] = arpd.Speaker{Say: sayInTouch, Last: epoch.Add(-time.Minute)}
		case "there":
			s.Answers[q] = arpd.Answer{Asked: epoch, Last: epoch}
			s.Speakers[mac] = arpd.Speaker{Say: sayOutOfTouch, Last: epoch}
		case "called":
			s.Speakers[mac] = arpd.Speaker{Say: sayInTouch, Last: epoch}
		case "called long ago":
			s.Speakers[mac] = arpd.Speaker{Say: sayInTouch, Last: epoch.Add(-time.Minute)}
		}
	}
	return s
}

func TestJudge(t *testing.T) {
	ready := mesh.Meta{Ready: true, MACs: []string{mac2}}
	for _, tt := range []struct {
		name  string
		state mesh.State // of n2, "": never met
		meta  mesh.Meta
		since time.Duration // since the state changed
		wire  map[string]string
		want  mesh.State // "": not a member
		age   time.Duration
	}{
		{"alive", mesh.Alive, ready, 0, map[string]string{mac2: "silent"}, mesh.Alive, 0},
		{"just dead, not asked yet", mesh.Dead, ready, 0, nil, onWire, 0},
		{"just dead, asked", mesh.Dead, ready, 0, map[string]string{mac2: "asked"}, onWire, 0},
		{"just dead, silent", mesh.Dead, ready, 0, map[string]string{mac2: "silent"}, mesh.Dead, 0},
		{"just dead, was silent before", mesh.Dead, ready, 0, map[string]string{mac2: "was there"}, mesh.Dead, 0},
		{"just dead, was not ready", mesh.Dead, mesh.Meta{MACs: []string{mac2}}, 0, nil, mesh.Dead, 0},
		{"just dead, was draining", mesh.Dead, mesh.Meta{Ready: true, Draining: true, MACs: []string{mac2}}, 0, nil, mesh.Dead, 0},
		{"just dead, of an earlier release", mesh.Dead, mesh.Meta{Ready: true}, 0, nil, mesh.Dead, 0},
		{"dead, no word from the wire", mesh.Dead, ready, doubt, map[string]string{mac2: "asked"}, mesh.Dead, 0},
		{"dead, there", mesh.Dead, ready, time.Minute, map[string]string{mac2: "there"}, onWire, outOfTouch},
		{"dead, there, was not ready", mesh.Dead, mesh.Meta{MACs: []string{mac2}}, time.Minute, map[string]string{mac2: "there"}, onWire, outOfTouch},
		{"dead, there on the second network", mesh.Dead, mesh.Meta{Ready: true, MACs: []string{mac2, mac3}}, time.Minute, map[string]string{mac2: "silent", mac3: "there"}, onWire, outOfTouch},
		{"dead, silent on one network", mesh.Dead, mesh.Meta{Ready: true, MACs: []string{mac2, mac3}}, 0, map[string]string{mac2: "silent", mac3: "asked"}, onWire, 0},
		{"left", mesh.Left, ready, 0, map[string]string{mac2: "asked"}, mesh.Left, 0},
		{"left, there again", mesh.Left, ready, time.Second, map[string]string{mac2: "called"}, onWire, 0},
		{"never met, called", "", mesh.Meta{}, 0, map[string]string{mac2: "called"}, onWire, 0},
		{"never met, called long ago", "", mesh.Meta{}, 0, map[string]string{mac2: "called long ago"}, "", 0},
		{"never met, silent", "", mesh.Meta{}, 0, map[string]string{mac2: "silent"}, "", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			members := []mesh.Member{{Name: "n1", State: mesh.Alive, Meta: mesh.Meta{Ready: true, MACs: []string{mac1}}}}
			at := map[string]string{mac1: "n1", mac2: "n2", mac3: "n2"}
			if tt.state != "" {
				members = append(members, mesh.Member{Name: "n2", State: tt.state, Meta: tt.meta, Since: epoch.Add(-tt.since)})
				at = names(members, nil, nil)
			} else {
				delete(at, mac3)
			}
			before := slices.Clone(members)
			own := []netip.Prefix{netip.MustParsePrefix("198.18.0.0/16")}
			got := judge(members, at, wireSays(tt.wire), own, nil, epoch)
			if diff := cmp.Diff(before, members, comparePrefix); diff != "" {
				t.Errorf("the members of the mesh were changed:\n%s", diff)
			}
			i := slices.IndexFunc(got, func(m mesh.Member) bool { return m.Name == "n2" })
			switch {
			case i < 0 && tt.want != "":
				t.Errorf("no member, want %s", tt.want)
			case i < 0:
			case got[i].State != tt.want || got[i].Meta.APIAge != tt.age:
				t.Errorf("%s, out of touch for %s, want %s, %s", got[i].State, got[i].Meta.APIAge, tt.want, tt.age)
			case tt.want == onWire && unfit(got[i]) != "":
				t.Errorf("alive on the wire and %s", unfit(got[i]))
			case tt.state == "" && (!slices.Equal(got[i].Meta.Segments, own) || !slices.Equal(got[i].Meta.MACs, []string{mac2})):
				t.Errorf("metadata of one that was never met: %+v", got[i].Meta)
			}
		})
	}
}

// TestReprieve: who has not ended may be slow, but not for ever, and only once.
func TestReprieve(t *testing.T) {
	ready := mesh.Meta{Ready: true, MACs: []string{mac2, mac3}}
	draining, unready := ready, ready
	draining.Draining, unready.Ready = true, false
	for _, tt := range []struct {
		name  string
		meta  mesh.Meta
		open  bool // its port
		was   bool // dead in the eyes of this node before
		wire  string
		since time.Duration // the word of gossip
		want  mesh.State
	}{
		{"stopped", ready, true, false, "silent", 0, onWire},
		{"stopped, was heard before", ready, true, false, "was there", 0, onWire},
		{"stopped for some time", ready, true, false, "silent", reprieve - 1, onWire},
		{"stopped for too long", ready, true, false, "silent", reprieve, mesh.Dead},
		{"the wire does not know", ready, true, false, "asked", doubt, onWire},
		{"the wire does not know for too long", ready, true, false, "asked", reprieve, mesh.Dead},
		{"it answers", ready, true, false, "there", reprieve, onWire},
		{"ended", ready, false, false, "silent", 0, mesh.Dead},
		{"ended, the wire does not know yet", ready, false, false, "asked", 0, onWire},
		{"the answer of the port came too late", ready, true, true, "silent", 100 * time.Millisecond, mesh.Dead},
		{"its host fell silent before", ready, true, true, "silent", 0, mesh.Dead},
		{"its host fell silent before, the wire does not know yet", ready, true, true, "asked", 0, mesh.Dead},
		{"its host fell silent before and is there", ready, false, true, "there", 0, onWire},
		{"stopped while it was leaving", draining, true, false, "silent", 0, mesh.Dead},
		{"stopped before it was ready", unready, true, false, "silent", 0, mesh.Dead},
		{"stopped, of an earlier release", mesh.Meta{Ready: true}, true, false, "silent", 0, mesh.Dead},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := mesh.Member{Name: "n2", State: mesh.Dead, Meta: tt.meta, Since: epoch.Add(-tt.since), Listens: tt.open}
			wire := wireSays(map[string]string{mac2: tt.wire, mac3: tt.wire})
			got := judge([]mesh.Member{m}, names([]mesh.Member{m}, nil, nil), wire, nil, map[string]bool{"n2": tt.was}, epoch)
			if len(got) != 1 || got[0].State != tt.want {
				t.Errorf("members %+v, want n2 %s", got, tt.want)
			}
		})
	}
}

func TestQuestions(t *testing.T) {
	member := func(name string, state mesh.State, macs ...string) mesh.Member {
		return mesh.Member{Name: name, State: state, Meta: mesh.Meta{MACs: macs}}
	}
	nodes := []watcher.Node{{Name: "n1"}, {Name: "n2"}}
	ip := netip.MustParseAddr("198.18.64.1")
	for _, tt := range []struct {
		name string
		w    world
		want []string
	}{
		{"all alive", world{gossip: []mesh.Member{member("n1", mesh.Alive, mac1), member("n2", mesh.Alive, mac2)}}, nil},
		{"one dead", world{gossip: []mesh.Member{member("n2", mesh.Alive, mac2), member("n3", mesh.Dead, mac3)}}, []string{mac3}},
		{"one left", world{gossip: []mesh.Member{member("n2", mesh.Alive, mac2), member("n3", mesh.Left, mac3)}}, nil},
		{"one left and called", world{gossip: []mesh.Member{member("n2", mesh.Alive, mac2), member("n3", mesh.Left, mac3)}, wire: wireSays(map[string]string{mac3: "called"})}, []string{mac3}},
		{"a living one called", world{gossip: []mesh.Member{member("n2", mesh.Alive, mac2)}, wire: wireSays(map[string]string{mac2: "called"})}, nil},
		{"a card that moved to a living one", world{gossip: []mesh.Member{member("n2", mesh.Alive, mac2), member("n3", mesh.Dead, mac2)}}, nil},
		{"a stranger announces", world{gossip: []mesh.Member{member("n2", mesh.Alive, mac2)}, wire: arpd.State{Heard: map[netip.Addr]string{ip: mac3}}}, []string{mac3}},
		{"a living one announces", world{gossip: []mesh.Member{member("n2", mesh.Alive, mac2)}, wire: arpd.State{Heard: map[netip.Addr]string{ip: mac2}}}, nil},
		{"alone in the mesh, not in Kubernetes", world{gossip: []mesh.Member{member("n1", mesh.Alive, mac1)}, cluster: watcher.State{Nodes: nodes}}, []string{arpd.Everybody}},
		{"alone in the mesh, nodes unknown", world{gossip: []mesh.Member{member("n1", mesh.Alive, mac1)}}, []string{arpd.Everybody}},
		{"alone", world{gossip: []mesh.Member{member("n1", mesh.Alive, mac1)}, cluster: watcher.State{Nodes: nodes[:1]}}, nil},
		{"not ready", world{gossip: []mesh.Member{member("n2", mesh.Alive, mac2)}, reasons: []string{calling}}, []string{arpd.Everybody}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := tt.w
			w.wire.Interfaces = []arpd.Interface{{Name: "eth0", MAC: mac1, Used: true}}
			w.names = names(w.gossip, nil, nil)
			var got []string
			for _, q := range w.questions("n1") {
				got = append(got, q.MAC)
			}
			slices.Sort(got)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("asked (-want +got):\n%s", diff)
			}
		})
	}
}

// TestQuestionsAreBounded: strangers can be as many as they like.
func TestQuestionsAreBounded(t *testing.T) {
	w := world{wire: arpd.State{Heard: map[netip.Addr]string{}}}
	for i := range 1000 {
		w.wire.Heard[netip.AddrFrom4([4]byte{198, 18, byte(i / 250), byte(i % 250)})] = netip.AddrFrom4([4]byte{2, 0, byte(i / 250), byte(i % 250)}).String()
	}
	if got := len(w.questions("n1")); got != unknownMost {
		t.Errorf("%d questions", got)
	}
}

func TestHold(t *testing.T) {
	type look struct {
		at          time.Duration
		fit, steady bool
		want        bool
	}
	for _, tt := range []struct {
		name  string
		looks []look
	}{
		{"not fit", []look{{0, false, true, false}}},
		{"the first of all", []look{{0, true, false, false}, {time.Second, true, true, false}}},
		{"one more", []look{{0, true, true, true}, {holdFirst - 1, true, true, true}, {holdFirst, true, true, false}}},
		{"the others vanish", []look{{0, true, true, true}, {time.Second, true, false, false}, {2 * time.Second, true, true, false}}},
		{"back", []look{{0, true, false, false}, {time.Hour, false, true, false}, {time.Hour + 1, true, true, true}, {time.Hour + 1 + holdFirst, true, true, false}}},
		{"flapping", []look{
			{0, true, true, true},
			{4 * time.Second, false, true, false},
			{5 * time.Second, true, true, true},
			{10 * time.Second, true, true, true},
			{11 * time.Second, true, true, false},
			{12 * time.Second, false, true, false},
			{13 * time.Second, true, true, true},
			{24 * time.Second, true, true, true},
			{25 * time.Second, true, true, false},
		}},
		{"flapping in earlier times", []look{
			{0, true, true, true},
			{4 * time.Second, false, true, false},
			{5*time.Second + holdMemory, true, true, true},
			{8*time.Second + holdMemory, true, true, false},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var h hold
			for _, l := range tt.looks {
				if got := h.returning(epoch.Add(l.at), l.fit, l.steady); got != l.want {
					t.Errorf("after %s: returning %v, want %v", l.at, got, l.want)
				}
			}
		})
	}
	h := hold{Return: Return{Count: 99}}
	if got := h.length(); got != holdMost {
		t.Errorf("held for %s after many returns", got)
	}
}

// TestHoldOutlivesTheProcess: a speaker that was started again and again is held for longer each time; a clock that
// was set back, and garbage in the file, do no harm.
func TestHoldOutlivesTheProcess(t *testing.T) {
	for _, tt := range []struct {
		name   string
		last   Return
		counts int
		held   time.Duration
	}{
		{"first start", Return{}, 0, holdFirst},
		{"second", Return{At: epoch.Add(-time.Minute)}, 1, 2 * holdFirst},
		{"third", Return{At: epoch.Add(-time.Minute), Count: 1}, 2, 4 * holdFirst},
		{"long ago", Return{At: epoch.Add(-holdMemory - 1), Count: 7}, 0, holdFirst},
		{"in the future", Return{At: epoch.Add(time.Hour), Count: 7}, 0, holdFirst},
		{"negative", Return{At: epoch.Add(-time.Minute), Count: -5}, -4, holdFirst},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var told []Return
			h := hold{Return: tt.last, told: func(r Return) { told = append(told, r) }}
			if !h.returning(epoch, true, true) {
				t.Error("not held at all")
			}
			if got := h.until.Sub(epoch); got != tt.held {
				t.Errorf("held for %s, want %s", got, tt.held)
			}
			h.returning(epoch.Add(time.Second), true, true)
			if diff := cmp.Diff([]Return{{At: epoch, Count: tt.counts}}, told); diff != "" {
				t.Errorf("told (-want +got):\n%s", diff)
			}
		})
	}
}

func TestHealed(t *testing.T) {
	s := &Speaker{}
	deaths := 0
	for _, step := range []struct {
		state         mesh.State // of n2, "": unknown
		heals, deaths int
	}{
		{"", 0, 0},
		{mesh.Alive, 0, 0}, // joined
		{mesh.Dead, 0, 1},
		{mesh.Dead, 0, 1},
		{onWire, 1, 1},
		{mesh.Alive, 1, 1},
		{onWire, 1, 1},
		{mesh.Left, 1, 1},
		{mesh.Alive, 1, 1}, // came back as it went
		{mesh.Dead, 1, 2},
		{"", 1, 2},
		{mesh.Alive, 1, 2},
		{mesh.Dead, 1, 3},
		{mesh.Alive, 2, 3},
	} {
		members := []mesh.Member{{Name: "n1", State: mesh.Alive}}
		if step.state != "" {
			members = append(members, mesh.Member{Name: "n2", State: step.state})
		}
		if deaths += s.healed(members); s.heals != step.heals || deaths != step.deaths {
			t.Errorf("n2 is %q: %d heals and %d deaths, want %d and %d", step.state, s.heals, deaths, step.heals, step.deaths)
		}
	}
}
