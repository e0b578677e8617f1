package forward

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

	"github.com/starling-lb/starling/transcript"
)

// TestTranscripts runs the transcripts of testdata, which read as the protocol: a line that begins
// with > is an event, the lines below it are what followed. UPDATE_TRANSCRIPTS=1 writes them anew.
//
//	> nodes n2 n3=absent n4=drops n5=unready+far  the others, as n1 sees them; n1 itself tests
//	> nodes n2=absent+holds+only                  it announces addresses; one that nobody else may announce
//	> self unready                                n1 tests nobody from now on; ready: it does
//	> self bare                                   kube-proxy of n1 is gone
//	> pages n2 n3                                 whose kube-proxies answer, at ports of their hosts
//	> places n2:1 n2:2=n2+n3 n3:3                 who announces 198.18.64.X, and policy Local: who has endpoints
//	> answers n2 n3=1+2 n4=1*5                    who has what answered, after 1 ms: all, some addresses, five
//	                                              times of eight
//	> routes n2                                   who has no rules: it routes to the announcer, which answers
//	> run 3s                                      time passes
func TestTranscripts(t *testing.T) {
	transcript.Compare(t, replay)
}

// replay runs the events of a transcript, and returns it with what follows from them.
func replay(t *testing.T, text string) string {
	t.Helper()
	var out strings.Builder
	r := newRig(&out)
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
	*Machine
	out     *strings.Builder
	begin   time.Time
	now     time.Time
	see     World
	answers map[string]map[int]int // by node and address: how often of eight; address 0: all
	routes  []string               // nodes without rules
	pages   []string               // nodes whose kube-proxy answers
	late    []Reply                // on their way
}

var (
	home = netip.MustParsePrefix("198.18.0.0/16")
	far  = netip.MustParsePrefix("192.0.2.0/24")
)

func newRig(out *strings.Builder) *rig {
	begin := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	return &rig{
		Machine: New(Config{Self: "n1"}), out: out, begin: begin, now: begin,
		see: World{Networks: []netip.Prefix{home}, Ready: true, Proxy: true}, answers: map[string]map[int]int{},
	}
}

// vip is the place with a number.
func vip(n int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 18, 64, byte(n)}), 80)
}

func nodeOf(word string) Node {
	name, what, _ := strings.Cut(word, "=")
	n := Node{Name: name, Networks: []netip.Prefix{home}, MACs: []string{name}, Ready: true}
	for x := range strings.SplitSeq(what, "+") {
		switch x {
		case "absent":
			n.Absent = true
		case "drops":
			n.Drops = true
		case "holds":
			n.Holds, n.Pages = true, []netip.AddrPort{netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 18, 0, name[1] - '0'}), 10256)}
		case "only":
			n.Only = true
		case "unready":
			n.Ready = false
		case "far":
			n.Networks = []netip.Prefix{far}
		}
	}
	return n
}

func placeOf(word string) Place {
	who, where, local := strings.Cut(word, "=")
	name, number, _ := strings.Cut(who, ":")
	n, _ := strconv.Atoi(number)
	p := Place{At: vip(n), Owner: name}
	if local {
		p.Local = strings.Split(where, "+")
	}
	return p
}

// do takes one event.
func (r *rig) do(words []string) error {
	switch words[0] {
	case "nodes":
		r.see.Nodes = nil
		for _, w := range words[1:] {
			r.see.Nodes = append(r.see.Nodes, nodeOf(w))
		}
	case "self":
		r.see.Ready, r.see.Proxy = words[1] != "unready", words[1] != "bare"
	case "places":
		r.see.Places = nil
		for _, w := range words[1:] {
			r.see.Places = append(r.see.Places, placeOf(w))
		}
	case "answers":
		clear(r.answers)
		for _, w := range words[1:] {
			name, which, some := strings.Cut(w, "=")
			r.answers[name] = map[int]int{}
			if !some {
				r.answers[name][0] = 8
			}
			for x := range strings.SplitSeq(which, "+") {
				number, times, _ := strings.Cut(x, "*")
				n, _ := strconv.Atoi(number)
				if r.answers[name][n] = 8; times != "" {
					r.answers[name][n], _ = strconv.Atoi(times)
				}
			}
		}
		return nil
	case "routes":
		r.routes = words[1:]
		return nil
	case "pages":
		r.pages = words[1:]
		return nil
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
	r.Step(r.see, r.now)
	r.turn()
	return nil
}

// run lets time pass.
func (r *rig) run(d time.Duration) {
	end := r.now.Add(d)
	for {
		next := r.turn()
		if len(r.late) > 0 {
			next = r.now.Add(time.Millisecond)
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

// turn calls Ready, writes down what is new, and has questions answered.
func (r *rig) turn() time.Time {
	ready := r.Ready(r.now)
	times := map[string]int{}
	for _, q := range ready.Questions {
		if q.To.Port() == 10256 {
			r.write("ask %s for its kube-proxy", q.MAC)
			if slices.Contains(r.pages, q.MAC) {
				r.late = append(r.late, Reply{q.ID, q.MAC})
			}
			continue
		}
		n := int(q.To.Addr().As4()[3])
		line := fmt.Sprintf("ask %s for .%d", q.MAC, n)
		if times[line]++; (times[line]-1)%8 < max(r.answers[q.MAC][0], r.answers[q.MAC][n]) {
			r.late = append(r.late, Reply{q.ID, q.MAC})
		} else if at := r.announcer(q.To); slices.Contains(r.routes, q.MAC) && r.answers[at][0] > 0 {
			r.late = append(r.late, Reply{q.ID, at})
		}
	}
	for _, line := range slices.Sorted(maps.Keys(times)) {
		if n := times[line]; n > 1 {
			r.write("%s, %d times", line, n)
		} else {
			r.write("%s", line)
		}
	}
	for _, x := range ready.Reports {
		to := x.To
		if to == "" {
			to = "all"
		}
		again := ""
		if !x.First {
			again = ", again"
		}
		switch {
		case x.Forwards:
			r.write("tell %s: %s forwards again", to, x.About)
		case x.Other == "" && x.At.IsValid():
			r.write("tell %s%s: %s has no kube-proxy", to, again, x.About)
		case x.Other == "":
			r.write("tell %s%s: %s cannot be tested", to, again, x.About)
		default:
			r.write("tell %s%s: %s drops .%d, which %s has answered", to, again, x.About, x.At.Addr().As4()[3], x.Other)
		}
	}
	return ready.Wake
}

// announcer is the node that announces an address.
func (r *rig) announcer(at netip.AddrPort) string {
	for _, p := range r.see.Places {
		if p.At == at {
			return p.Owner
		}
	}
	return ""
}

func (r *rig) write(format string, args ...any) {
	fmt.Fprintf(r.out, "%8s  %s\n", r.now.Sub(r.begin), fmt.Sprintf(format, args...))
}
