package peers

import (
	"bufio"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/starling-lb/starling/probe"
	"github.com/starling-lb/starling/transcript"
	"github.com/starling-lb/starling/wake"
)

// TestTranscripts runs the transcripts of testdata, which read as the protocol: a line that begins
// with > is an event, the lines below it are what followed. UPDATE_TRANSCRIPTS=1 writes them anew.
//
//	> self [fit] [only] [networks=none] [asked=TEXT]   what n1, this node, is
//	> hold never                          how long n1 lets others go first
//	> grace 1m                            members keep the addresses of each other for so long
//	> gossip n2 n3=dead n4=left n5=nomac  members; several words are joined by +: dead+open
//	                                      n2=dead+missed:n3, n3 watches its host
//	> nodes n2 n3                         those of Kubernetes
//	> replies n2=host+speaker n3=host     what replies to probes from now on, after 1 ms; n5=speaker+named
//	                                      proves its name, n5=speaker+as:n6+named another one than its own
//	> suspect n2 by n3, > refute n2       messages of others
//	> drops n2 by n3, > forwards n2 by n3 messages of testers, which may be n1; 198.18.64.1:80 by n4 was answered
//	> bare n2 by n3, > untested n2 by n3  the same: its kube-proxy is gone, or nothing of it can be tested
//	> stopped 2s                          the process did not run
//	> run 300ms                           time passes
//
// nX is at 198.18.0.X and 02:00:00:00:00:0X on the network of n1, at 192.0.2.X with the word "far".
func TestTranscripts(t *testing.T) {
	transcript.Compare(t, replay)
}

// replay runs the events of a transcript, and returns it with what follows from them.
func replay(t *testing.T, text string) string {
	t.Helper()
	return replayed(t, text, func(*rig) {})
}

// replayed does the same and has each turn looked at.
func replayed(t *testing.T, text string, look func(r *rig)) string {
	t.Helper()
	var out strings.Builder
	r := newRig(&out)
	r.look = look
	for scan := bufio.NewScanner(strings.NewReader(text)); scan.Scan(); {
		line := scan.Text()
		switch {
		case line == "", strings.HasPrefix(line, "#"):
			fmt.Fprintln(&out, line)
		case strings.HasPrefix(line, "> "):
			fmt.Fprintln(&out, line)
			if err := r.do(strings.Fields(line[2:])); err != nil {
				t.Fatalf("%q: %v", line, err)
			}
		}
	}
	return out.String()
}

// rig drives a machine as the program does.
type rig struct {
	*Peers
	out     *strings.Builder
	begin   time.Time
	now     time.Time
	replies map[string]string // by MAC: what replies
	late    []probe.Reply     // on their way
	grace   time.Duration
	open    map[probe.Question]bool // as last written
	states  map[string]string       // the same
	self    string                  // the same
	look    func(r *rig)            // at the end of each turn
}

func newRig(out *strings.Builder) *rig {
	begin := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	return &rig{
		Peers: New(Config{Self: "n1", Pace: 40 * time.Millisecond, Rhythms: probe.Standard()}), out: out, begin: begin, now: begin,
		replies: map[string]string{}, open: map[probe.Question]bool{}, states: map[string]string{},
	}
}

func macOf(name string) string { return "02:00:00:00:00:0" + name[1:] }

func addrOf(name, where string) netip.Addr {
	n, _ := strconv.Atoi(name[1:])
	if strings.Contains(where, "far") {
		return netip.AddrFrom4([4]byte{192, 0, 2, byte(n)})
	}
	return netip.AddrFrom4([4]byte{198, 18, 0, byte(n)})
}

var (
	home = netip.MustParsePrefix("198.18.0.0/16")
	far  = netip.MustParsePrefix("192.0.2.0/24")
)

// do takes one event.
func (r *rig) do(words []string) error {
	switch words[0] {
	case "self":
		me := Self{MACs: []string{macOf("n1")}, Networks: []netip.Prefix{home}, Contact: r.now, Synced: true}
		for _, w := range words[1:] {
			if value, is := strings.CutPrefix(w, "asked="); is {
				me.Asked = value
				continue
			}
			switch w {
			case "fit":
				me.Fit = true
			case "only":
				me.Only = true
			case "networks=none":
				me.Networks, me.MACs = nil, nil
			case "without-api":
				me.Contact = r.now.Add(-time.Hour)
			default:
				return fmt.Errorf("unknown %q", w)
			}
		}
		r.Step(me, r.now)
	case "hold":
		r.hold.times.Hold = Never
		if words[1] != "never" {
			return fmt.Errorf("unknown %q", words[1])
		}
	case "grace":
		d, err := time.ParseDuration(words[1])
		if err != nil {
			return err
		}
		r.grace, r.cfg.Grace = d, d
	case "gossip":
		r.gossipOf(words[1:])
	case "nodes":
		var nodes Nodes
		for _, w := range words[1:] {
			nodes = append(nodes, Node{Name: w, Addrs: []netip.Addr{addrOf(w, "")}})
		}
		r.Step(nodes, r.now)
	case "replies":
		for _, w := range words[1:] {
			name, what, _ := strings.Cut(w, "=")
			r.replies[macOf(name)] = what
		}
	case "suspect":
		r.Step(Message{About: words[1], By: words[3]}, r.now)
	case "refute":
		r.Step(Message{About: words[1], By: words[1]}, r.now)
	case "drops":
		r.Step(Message{Kind: Drops, About: words[1], By: words[3], At: netip.MustParseAddrPort("198.18.64.1:80"), Other: "n4"}, r.now)
	case "bare":
		r.Step(Message{Kind: Drops, About: words[1], By: words[3], At: netip.MustParseAddrPort("198.18.0.2:10256")}, r.now)
	case "untested":
		r.Step(Message{Kind: Drops, About: words[1], By: words[3]}, r.now)
	case "forwards":
		r.Step(Message{Kind: Forwards, About: words[1], By: words[3]}, r.now)
	case "stopped":
		d, err := time.ParseDuration(words[1])
		if err != nil {
			return err
		}
		r.now = r.now.Add(d)
	case "run":
		d, err := time.ParseDuration(words[1])
		if err != nil {
			return err
		}
		r.run(d)
		return nil
	default:
		return fmt.Errorf("unknown event %q", words[0])
	}
	r.turn()
	return nil
}

func (r *rig) gossipOf(words []string) {
	members := Gossip{{Name: "n1", State: Alive, Since: r.begin}}
	for _, w := range words {
		name, what, _ := strings.Cut(w, "=")
		if name == "n1" {
			members[0].Recalled = what == "recalled"
			if what == "missed" {
				members[0].MissedBy = []string{"n2"}
			}
			continue
		}
		m := Member{
			Name: name, State: Alive, Since: r.now, Addr: netip.AddrPortFrom(addrOf(name, what), 7927), MACs: []string{macOf(name)},
			Networks: []netip.Prefix{home}, Word: Word{Ready: true}, Grace: r.grace, Deputy: r.grace > 0,
		}
		if old := r.member(name); old != nil {
			m.Since = old.Since
		}
		for x := range strings.SplitSeq(what, "+") {
			if by, is := strings.CutPrefix(x, "missed:"); is {
				m.MissedBy = append(m.MissedBy, by)
			}
			switch x {
			case "dead", "left":
				m.State = State(x)
			case "open":
				m.Open = true
			case "nomac":
				m.MACs = nil
			case "far":
				m.Networks = []netip.Prefix{far}
			case "unready":
				m.Word.Ready = false
			case "draining":
				m.Word.Draining = true
			case "away":
				m.Word.Away = true
			case "returning":
				m.Word.Returning = true
			case "recent":
				m.Word.Recent = true
			case "recalled":
				m.Recalled = true
			case "earlier-release":
				m.Grace, m.Deputy = 0, false
			}
		}
		if old := r.member(name); old == nil || old.State != m.State {
			m.Since = r.now
		}
		members = append(members, m)
	}
	slices.SortFunc(members, func(a, b Member) int { return strings.Compare(a.Name, b.Name) })
	r.Step(members, r.now)
}

// run lets time pass.
func (r *rig) run(d time.Duration) {
	end := r.now.Add(d)
	for {
		next := r.turn()
		if len(r.late) > 0 {
			next = wake.Earlier(next, r.now.Add(time.Millisecond))
		}
		if next.IsZero() || next.After(end) {
			r.now = end
			r.turn()
			return
		}
		r.now = next
		for _, x := range r.late {
			r.Step(x, r.now)
		}
		r.late = nil
	}
}

// speakerReply is that of a speaker, by which it may prove its name.
func speakerReply(mac, name, what string) probe.Reply {
	r := probe.Reply{Question: probe.Question{MAC: mac}, Word: Word{Ready: true}.Code(), Addrs: []netip.Addr{addrOf(name, what)}}
	if rest, named := strings.CutSuffix(what, "+named"); named {
		if _, other, is := strings.Cut(rest, "as:"); is {
			name = other
		}
		r.Node = probe.Hash(name)
	}
	return r
}

// turn calls Ready, writes down what is new, and lets stations reply.
func (r *rig) turn() time.Time {
	ready := r.Ready(r.now)
	for _, x := range ready.Probes {
		what, name := r.replies[x.MAC], "n"+x.MAC[len(x.MAC)-1:]
		if x.Kind() == probe.Host && strings.Contains(what, "host") {
			r.late = append(r.late, probe.Reply{Question: x})
		}
		if x.Kind() == probe.Speaker && strings.Contains(what, "speaker") {
			r.late = append(r.late, speakerReply(x.MAC, name, what))
		}
		if x.Kind() == probe.Discover {
			for mac, what := range r.replies {
				if strings.Contains(what, "speaker") {
					name := "n" + mac[len(mac)-1:]
					r.late = append(r.late, speakerReply(mac, name, what))
				}
			}
		}
	}
	slices.SortFunc(r.late, func(a, b probe.Reply) int { return strings.Compare(a.MAC, b.MAC) })
	for _, m := range ready.Messages {
		if m.About == m.By {
			r.write("send refute")
			continue
		}
		to := ""
		if m.To != "" {
			to = " to " + m.To
		}
		r.write("send suspect %s%s", m.About, to)
	}
	for _, n := range ready.Notes {
		if n.What != Gone {
			r.write("note %s: %s", n.Peer, n.What)
		}
	}
	r.writeProbes()
	r.writeStates()
	r.look(r)
	return ready.Wake
}

// writeProbes writes which probes have begun and ended.
func (r *rig) writeProbes() {
	var lines []string
	now := r.own.Answers()
	maps.Copy(now, r.close.Answers())
	for x := range now {
		if !r.open[x] {
			r.open[x] = true
			lines = append(lines, "probe "+text(x))
		}
	}
	for x := range r.open {
		if _, asked := now[x]; !asked {
			delete(r.open, x)
			lines = append(lines, "end of probe "+text(x))
		}
	}
	slices.Sort(lines)
	for _, l := range lines {
		r.write("%s", l)
	}
}

func text(x probe.Question) string {
	switch x.Kind() {
	case probe.Host:
		return "host n" + x.MAC[len(x.MAC)-1:]
	case probe.Speaker:
		return "speaker n" + x.MAC[len(x.MAC)-1:]
	case probe.Discover:
		return "everybody"
	}
	return "owner of " + x.IP.String()
}

// writeStates writes the states that have changed.
func (r *rig) writeStates() {
	s := r.Snapshot()
	for _, q := range s.Peers {
		now := string(q.State)
		if q.Suspect && q.State == Alive {
			now += ", suspect"
		}
		if q.KernelSilent {
			now += ", its kernel silent"
		}
		if q.Reason != "" {
			now += ": " + q.Reason
		}
		if r.states[q.Name] != now {
			r.states[q.Name] = now
			r.write("%s is %s", q.Name, now)
		}
	}
	var self []string
	if s.Returning {
		self = append(self, "returning")
	}
	if s.Discovered {
		self = append(self, "discovered")
	}
	self = append(self, []string{"in touch", "unsure", "out of touch"}[s.Contact], fmt.Sprintf("heals %d", s.Heals))
	for _, m := range s.Drops {
		self = append(self, "drops, says "+m.By)
	}
	if now := strings.Join(self, ", "); now != r.self {
		r.self = now
		r.write("self: %s", now)
	}
}

func (r *rig) write(format string, args ...any) {
	fmt.Fprintf(r.out, "%8s  %s\n", r.now.Sub(r.begin), fmt.Sprintf(format, args...))
}
