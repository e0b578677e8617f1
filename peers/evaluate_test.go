package peers

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/starling-lb/starling/probe"
)

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func newPeers() *Peers {
	return New(Config{Self: "n1", Pace: 40 * time.Millisecond, Rhythms: probe.Standard()})
}

// wireSays lets a machine ask speakers, and have what is said of each as the answer at the epoch.
func wireSays(p *Peers, f map[string]string) {
	var ask []probe.Question
	for mac, what := range f {
		if !strings.HasPrefix(what, "called") {
			ask = append(ask, probe.Question{MAC: mac})
		}
	}
	asked := epoch.Add(-time.Minute)
	p.own.Set(ask, 0, asked)
	for mac, what := range f {
		q := probe.Question{MAC: mac}
		switch what {
		case "was there":
			p.own.Heard(q, asked)
			p.stations[mac] = Station{Code: 1, Last: asked}
		case "there":
			p.own.Heard(q, epoch)
			p.stations[mac] = Station{Code: 3, Last: epoch}
		case "called":
			p.stations[mac] = Station{Code: 1, Last: epoch}
		case "called long ago":
			p.stations[mac] = Station{Code: 1, Last: asked}
		}
	}
	for now := asked; now.Before(epoch); now = now.Add(time.Second) { // until all verdicts are known
		p.own.Next(now)
		for mac, what := range f {
			switch q := (probe.Question{MAC: mac}); what {
			case "there":
				p.own.Heard(q, now)
			case "asked": // one that is new
				p.own.Set(slices.DeleteFunc(slices.Clone(ask), func(x probe.Question) bool { return x == q }), 0, now)
				p.own.Set(ask, 0, now)
			}
		}
	}
}

func TestRowsOfEvaluate(t *testing.T) {
	ready := Member{Word: Word{Ready: true}, MACs: []string{mac2}}
	for _, tt := range []struct {
		name  string
		state State // of n2, "": never met
		n2    Member
		since time.Duration // since the state changed
		wire  map[string]string
		want  State // "": not a peer
		touch Contact
	}{
		{"alive", Alive, ready, 0, map[string]string{mac2: "silent"}, Alive, 0},
		{"just dead, not asked yet", Dead, ready, 0, nil, Wire, 0},
		{"just dead, asked", Dead, ready, 0, map[string]string{mac2: "asked"}, Wire, 0},
		{"just dead, silent", Dead, ready, 0, map[string]string{mac2: "silent"}, Dead, 0},
		{"just dead, was silent before", Dead, ready, 0, map[string]string{mac2: "was there"}, Dead, 0},
		{"just dead, was not ready", Dead, Member{MACs: []string{mac2}}, 0, nil, Dead, 0},
		{"just dead, was draining", Dead, Member{Word: Word{Ready: true, Draining: true}, MACs: []string{mac2}}, 0, nil, Dead, 0},
		{"just dead, of an earlier release", Dead, Member{Word: Word{Ready: true}}, 0, nil, Dead, 0},
		{"dead, no word from the wire", Dead, ready, Times().Doubt, map[string]string{mac2: "asked"}, Dead, 0},
		{"dead, there", Dead, ready, time.Minute, map[string]string{mac2: "there"}, Wire, OutOfTouch},
		{"dead, there, was not ready", Dead, Member{MACs: []string{mac2}}, time.Minute, map[string]string{mac2: "there"}, Wire, OutOfTouch},
		{"dead, there on the second network", Dead, Member{Word: Word{Ready: true}, MACs: []string{mac2, mac3}}, time.Minute, map[string]string{mac2: "silent", mac3: "there"}, Wire, OutOfTouch},
		{"dead, silent on one network", Dead, Member{Word: Word{Ready: true}, MACs: []string{mac2, mac3}}, 0, map[string]string{mac2: "silent", mac3: "asked"}, Wire, 0},
		{"left", Left, ready, 0, map[string]string{mac2: "asked"}, Left, 0},
		{"left, there again", Left, ready, time.Second, map[string]string{mac2: "called"}, Wire, 0},
		{"never met, called", "", Member{}, 0, map[string]string{mac2: "called"}, Wire, 0},
		{"never met, called long ago", "", Member{}, 0, map[string]string{mac2: "called long ago"}, "", 0},
		{"never met, silent", "", Member{}, 0, map[string]string{mac2: "silent"}, "", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newPeers()
			p.names = map[string]string{mac2: "n2"}
			if tt.state != "" {
				m := tt.n2
				m.Name, m.State, m.Since = "n2", tt.state, epoch.Add(-tt.since)
				p.gossip = []Member{m}
				p.names = p.nameMACs()
			}
			wireSays(p, tt.wire)
			got := p.evaluate(epoch)
			i := slices.IndexFunc(got, func(q Peer) bool { return q.Name == "n2" })
			switch {
			case i < 0 && tt.want != "":
				t.Errorf("no peer, want %s", tt.want)
			case i < 0:
			case got[i].State != tt.want || got[i].Word.Contact != tt.touch:
				t.Errorf("%s, contact %d, want %s, %d", got[i].State, got[i].Word.Contact, tt.want, tt.touch)
			case tt.want == Wire && !got[i].Word.Ready:
				t.Error("alive on the wire and not ready")
			case tt.state == "" && !slices.Equal(got[i].MACs, []string{mac2}):
				t.Errorf("MACs of one that was never met: %v", got[i].MACs)
			case (tt.want != tt.state) != (got[i].Reason != ""):
				t.Errorf("reason %q of %s", got[i].Reason, tt.want)
			}
		})
	}
}

// TestMayBeSlow: who has not ended may be slow, but not forever, and only once.
func TestMayBeSlow(t *testing.T) {
	ready := Member{Word: Word{Ready: true}, MACs: []string{mac2, mac3}}
	draining, unready := ready, ready
	draining.Word.Draining, unready.Word.Ready = true, false
	for _, tt := range []struct {
		name  string
		n2    Member
		open  bool // its port
		was   bool // dead in the eyes of this node before
		wire  string
		since time.Duration // the word of gossip
		want  State
	}{
		{"stopped", ready, true, false, "silent", 0, Wire},
		{"stopped, was heard before", ready, true, false, "was there", 0, Wire},
		{"stopped for some time", ready, true, false, "silent", Times().Open - 1, Wire},
		{"stopped for too long", ready, true, false, "silent", Times().Open, Dead},
		{"the wire does not know", ready, true, false, "asked", Times().Doubt, Wire},
		{"the wire does not know for too long", ready, true, false, "asked", Times().Open, Dead},
		{"it answers", ready, true, false, "there", Times().Open, Wire},
		{"ended", ready, false, false, "silent", 0, Dead},
		{"ended, the wire does not know yet", ready, false, false, "asked", 0, Wire},
		{"the answer of the port came too late", ready, true, true, "silent", 100 * time.Millisecond, Dead},
		{"its host fell silent before", ready, true, true, "silent", 0, Dead},
		{"its host fell silent before, the wire does not know yet", ready, true, true, "asked", 0, Dead},
		{"its host fell silent before and is there", ready, false, true, "there", 0, Wire},
		{"stopped while it was leaving", draining, true, false, "silent", 0, Dead},
		{"stopped before it was ready", unready, true, false, "silent", 0, Dead},
		{"stopped, of an earlier release", Member{Word: Word{Ready: true}}, true, false, "silent", 0, Dead},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := tt.n2
			m.Name, m.State, m.Since, m.Open = "n2", Dead, epoch.Add(-tt.since), tt.open
			p := newPeers()
			p.gossip, p.dead = []Member{m}, map[string]bool{"n2": tt.was}
			p.names = p.nameMACs()
			wireSays(p, map[string]string{mac2: tt.wire, mac3: tt.wire})
			if got := p.evaluate(epoch); len(got) != 1 || got[0].State != tt.want {
				t.Errorf("peers %+v, want n2 %s", got, tt.want)
			}
		})
	}
}

func TestPresenceProbes(t *testing.T) {
	member := func(name string, state State, macs ...string) Member {
		return Member{Name: name, State: state, MACs: macs}
	}

	for _, tt := range []struct {
		name   string
		gossip []Member
		wire   map[string]string
		me     Self
		want   []string
	}{
		{"all alive", []Member{member("n1", Alive, mac1), member("n2", Alive, mac2)}, nil, Self{Fit: true}, nil},
		{"one dead", []Member{member("n2", Alive, mac2), member("n3", Dead, mac3)}, nil, Self{Fit: true}, []string{mac3}},
		{"one left", []Member{member("n2", Alive, mac2), member("n3", Left, mac3)}, nil, Self{Fit: true}, nil},
		{"one left and called", []Member{member("n2", Alive, mac2), member("n3", Left, mac3)}, map[string]string{mac3: "called"}, Self{Fit: true}, []string{mac3}},
		{"a living one called", []Member{member("n2", Alive, mac2)}, map[string]string{mac2: "called"}, Self{Fit: true}, nil},
		{"a card that moved to a living one", []Member{member("n2", Alive, mac2), member("n3", Dead, mac2)}, nil, Self{Fit: true}, nil},
		{"alone in the mesh, not in Kubernetes", []Member{member("n1", Alive, mac1)}, nil, Self{Fit: true}, []string{probe.Everybody}},
		{"alone", []Member{member("n1", Alive, mac1)}, nil, Self{Fit: true, Only: true}, nil},
		{"not ready", []Member{member("n2", Alive, mac2)}, nil, Self{}, []string{probe.Everybody}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newPeers()
			p.gossip, p.me = tt.gossip, tt.me
			p.me.MACs = []string{mac1}
			wireSays(p, tt.wire)
			p.names = p.nameMACs()
			var got []string
			for _, x := range p.presenceProbes() {
				got = append(got, x.MAC)
			}
			slices.Sort(got)
			if !slices.Equal(tt.want, got) {
				t.Errorf("asked %v, want %v", got, tt.want)
			}
		})
	}
}

// TestHeals: neighbors may have been told of another owner only when somebody was dead and is back.
func TestHeals(t *testing.T) {
	p := newPeers()
	deaths := 0
	for _, step := range []struct {
		state         State // of n2, "": unknown
		heals, deaths int
	}{
		{"", 0, 0},
		{Alive, 0, 0}, // joined
		{Dead, 0, 1},
		{Dead, 0, 1},
		{Wire, 1, 1},
		{Alive, 1, 1},
		{Wire, 1, 1},
		{Left, 1, 1},
		{Alive, 1, 1}, // came back as it went
		{Dead, 1, 2},
		{"", 1, 2},
		{Alive, 1, 2},
		{Dead, 1, 3},
		{Alive, 2, 3},
	} {
		var list []Peer
		if step.state != "" {
			list = []Peer{{Name: "n2", State: step.state}}
		}
		p.count(list)
		deaths += len(p.out.Notes)
		p.out = Ready{}
		if p.heals != step.heals || deaths != step.deaths {
			t.Errorf("n2 is %q: %d heals and %d deaths, want %d and %d", step.state, p.heals, deaths, step.heals, step.deaths)
		}
	}
}
