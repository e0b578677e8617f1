package flows

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/starling-lb/starling/probe"
)

var (
	epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	vip   = netip.MustParseAddr("198.18.0.100")
	vip6  = netip.MustParseAddr("2001:db8::100")
	lan   = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("198.18.0.0/24"), netip.MustParsePrefix("2001:db8::/64")}
)

// scene is a table on one node, among the nodes a to e.
type scene struct {
	Table
	t     *testing.T
	turn  Turn
	owner map[netip.Addr]string
}

func on(t *testing.T, self string) *scene {
	s := &scene{t: t, owner: map[netip.Addr]string{vip: "a", vip6: "a"}}
	s.turn = Turn{Now: epoch, Self: self, Settled: true, Nodes: map[string]Node{}, Networks: lan, Answers: map[probe.Question]probe.Answer{}}
	s.turn.Owner = func(ip netip.Addr) (string, bool) { o, ok := s.owner[ip]; return o, ok }
	for i, name := range []string{"a", "b", "c", "d", "e"} {
		if name != self {
			s.turn.Nodes[name] = Node{
				Addrs: []netip.Addr{netip.AddrFrom4([4]byte{192, 0, 2, byte(i + 1)}), netip.AddrFrom4([4]byte{198, 18, 0, byte(i + 1)}), netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 15: byte(i + 1)})},
				MACs:  []string{"mac-" + name}, Owns: true,
			}
		}
	}
	return s
}

// step takes moves such as "a>b" and waits such as "10s" one after the other, and returns what is
// passed in the end.
func (s *scene) step(script string) []string {
	s.t.Helper()
	s.turn.Moves = nil
	r := s.Step(s.turn)
	for _, word := range append(strings.Fields(script), "0s") {
		s.turn.Moves = nil
		if from, to, moved := strings.Cut(word, ">"); moved {
			for ip := range s.owner {
				s.turn.Moves, s.owner[ip] = append(s.turn.Moves, Move{ip, from, to}), to
			}
		} else if d, err := time.ParseDuration(word); err == nil {
			s.turn.Now = s.turn.Now.Add(d)
		} else {
			s.change(word)
		}
		r = s.Step(s.turn)
	}
	return shown(r.Passes)
}

// change makes a node "+a" alive, "-a" dead or "~a" one that has left.
func (s *scene) change(word string) {
	n := s.turn.Nodes[word[1:]]
	n.Owns, n.Dead = word[0] == '+', word[0] == '-'
	s.turn.Nodes[word[1:]] = n
}

func shown(all []Pass) (lines []string) {
	for _, p := range all {
		line := p.VIP.String() + " to " + p.To.String() + " not from " + strings.Join(p.MACs, " ")
		if p.Brief {
			line += ", briefly"
		}
		lines = append(lines, line)
	}
	return lines
}

func TestStep(t *testing.T) {
	t.Parallel()
	both := func(host, guard string) []string {
		return []string{"198.18.0.100 to 198.18.0." + host + " not from " + guard, "2001:db8::100 to 2001:db8::" + host + " not from " + guard}
	}
	for name, tc := range map[string]struct {
		self, script string
		want         []string
	}{
		"nothing moved":                          {"b", "1h", nil},
		"taken from a live node":                 {"b", "a>b", both("1", "mac-a")},
		"for a day":                              {"b", "a>b 23h", both("1", "mac-a")},
		"and no longer":                          {"b", "a>b 24h", nil},
		"from a dead one":                        {"b", "-a a>b", nil},
		"which comes back":                       {"b", "-a a>b +a", nil},
		"from nobody":                            {"b", ">b", nil},
		"by somebody else":                       {"c", "a>b", nil},
		"the old owner dies":                     {"b", "a>b -a", nil},
		"the old owner dies and is back":         {"b", "a>b -a +a", nil},
		"the oldest of three dies and is back":   {"c", "a>b b>c -a +a -b", nil},
		"the old owner has left":                 {"b", "a>b ~a", both("1", "mac-a")},
		"the old owner gives late packets":       {"a", "a>b", both("2", "mac-b, briefly")},
		"for ten seconds":                        {"a", "a>b 10s", nil},
		"not to a dead owner":                    {"a", "a>b -b", nil},
		"the old owner takes it back":            {"a", "a>b 1m b>a", both("2", "mac-b")},
		"who had it meanwhile":                   {"b", "a>b 1m b>a", both("1", "mac-a, briefly")},
		"and only briefly":                       {"b", "a>b 1m b>a 10s", nil},
		"two moves, the last one":                {"c", "a>b b>c", both("2", "mac-b mac-a")},
		"two moves, between":                     {"b", "a>b b>c", both("1", "mac-a")},
		"two moves, the first one":               {"a", "a>b b>c", both("3", "mac-c, briefly")},
		"two moves, between two of them a death": {"c", "a>b -b b>c", both("1", "mac-a")},
		"death of the one between":               {"c", "a>b b>c -b", both("1", "mac-b mac-a")},
		"there and back and there":               {"b", "a>b b>c c>b", both("3", "mac-c mac-a")},
		"the same on the one between":            {"c", "a>b b>c c>b", both("1", "mac-a")},
		"round":                                  {"a", "a>b b>c c>a", both("3", "mac-c mac-b")},
		"five moves":                             {"e", "a>b b>c c>d d>e", both("4", "mac-d mac-c mac-b")},
		"five moves, the oldest":                 {"a", "a>b b>c c>d d>e", nil},
		"nobody has it, and who had it dies":     {"b", "a> -a +a >b", nil},
		"nobody has it for a while":              {"b", "a> 1m >b", both("1", "mac-a")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tc.want, on(t, tc.self).step(tc.script)); diff != "" {
				t.Errorf("passes after %s on %s (-want +got):\n%s", tc.script, tc.self, diff)
			}
		})
	}
}

// TestNoPacketGoesRound follows packets that no node knows, from wherever they enter, after every
// order of moves among three nodes.
func TestNoPacketGoesRound(t *testing.T) {
	t.Parallel()
	nodes := []string{"a", "b", "c"}
	var walk func(script, owner string, depth int)
	walk = func(script, owner string, depth int) {
		for _, to := range nodes {
			if to == owner || depth == 0 {
				continue
			}
			next := script + " " + owner + ">" + to
			passes := map[string]Pass{}
			for _, n := range nodes {
				s := on(t, n)
				s.step(next)
				delete(s.owner, vip6)
				for _, p := range s.Step(s.turn).Passes {
					passes[n] = p
				}
			}
			for _, first := range nodes {
				visited := follow(passes, first)
				if len(visited) > len(nodes)+1 {
					t.Errorf("after%s a packet for %s goes %v", next, first, visited)
				}
				if first == to && len(visited) < strings.Count(next, ">")+1 && len(visited) < len(distinct(next)) {
					t.Errorf("after%s the nodes that had the address are %v, and a packet visits %v", next, distinct(next), visited)
				}
			}
			walk(next, to, depth-1)
		}
	}
	walk("", "a", 4)
}

// follow is the way of a packet that nobody knows.
func follow(passes map[string]Pass, at string) (visited []string) {
	from := "client"
	for len(visited) < 10 {
		visited = append(visited, at)
		p, passed := passes[at]
		if !passed || strings.Contains(strings.Join(p.MACs, " "), "mac-"+from) {
			break
		}
		from, at = at, string(rune('a'+p.To.As4()[3]-1))
	}
	return visited
}

// distinct are the nodes of a script.
func distinct(script string) map[rune]bool {
	r := map[rune]bool{}
	for _, c := range script {
		if c >= 'a' && c <= 'e' {
			r[c] = true
		}
	}
	return r
}

// TestLeft: the kernel of a node whose speaker has left is asked, and the passes end when it is
// silent.
func TestLeft(t *testing.T) {
	t.Parallel()
	s := on(t, "b")
	s.step("a>b ~a")
	asked := s.Step(s.turn).Ask
	want := []probe.Question{{IP: netip.MustParseAddr("198.18.0.1"), MAC: "mac-a", Host: true}, {IP: netip.MustParseAddr("2001:db8::1"), MAC: "mac-a", Host: true}}
	if diff := cmp.Diff(want, sorted(asked), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
	s.turn.Answers[want[0]] = probe.Answer{Silent: true}
	if got := s.step(""); len(got) != 1 || !strings.HasPrefix(got[0], vip6.String()) {
		t.Errorf("passed to a silent kernel: %v", got)
	}
	s.turn.Answers[want[0]] = probe.Answer{}
	if got := s.step("+a"); len(got) != 1 {
		t.Errorf("passed to a kernel that has booted: %v", got)
	}
	s.step("~a")
	delete(s.turn.Nodes, "a")
	if got := s.step(""); got != nil {
		t.Errorf("passed to a node that is forgotten: %v", got)
	}
}

func sorted(all []probe.Question) []probe.Question {
	if len(all) == 2 && all[1].IP.Less(all[0].IP) {
		all[0], all[1] = all[1], all[0]
	}
	return all
}

// TestAddress: a node without an address that is at hand is not passed to.
func TestAddress(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ addrs, want string }{
		"on the network of the VIP":       {"192.0.2.1 198.18.0.1", "198.18.0.1"},
		"the same in another order":       {"198.18.0.1 192.0.2.1", "198.18.0.1"},
		"on another network":              {"192.0.2.1", "192.0.2.1"},
		"behind a router":                 {"203.0.113.1", ""},
		"of the other family":             {"2001:db8::1", ""},
		"none":                            {"", ""},
		"one at hand and one that is not": {"203.0.113.1 198.18.0.7", "198.18.0.7"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var n Node
			for a := range strings.FieldsSeq(tc.addrs) {
				n.Addrs = append(n.Addrs, netip.MustParseAddr(a))
			}
			got := n.reached(vip, lan)
			if text := got.String(); got.IsValid() && text != tc.want || !got.IsValid() && tc.want != "" {
				t.Errorf("passed to %v, want %q", got, tc.want)
			}
		})
	}
}

// TestAdopt: what an earlier process left stays until this one knows the others, and is then judged
// like the rest.
func TestAdopt(t *testing.T) {
	t.Parallel()
	left := []Pass{{VIP: vip, To: netip.MustParseAddr("198.18.0.1"), MACs: []string{"mac-a"}}}
	for name, tc := range map[string]struct {
		owner   string
		settled bool
		want    []string
	}{
		"at the start":               {"", false, []string{"198.18.0.100 to 198.18.0.1 not from mac-a"}},
		"the owner":                  {"b", true, []string{"198.18.0.100 to 198.18.0.1 not from mac-a"}},
		"another is the owner":       {"c", true, []string{"198.18.0.100 to 198.18.0.1 not from mac-a"}},
		"the old owner has it again": {"a", true, []string{"198.18.0.100 to 198.18.0.1 not from mac-a, briefly"}},
		"nobody has it":              {"", true, nil},
		"the Service does not exist": {"-", true, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := on(t, "b")
			s.Adopt(left)
			s.owner, s.turn.Settled = map[netip.Addr]string{vip: tc.owner}, tc.settled
			if tc.owner == "-" {
				s.owner = nil
			}
			if diff := cmp.Diff(tc.want, s.step("")); diff != "" {
				t.Errorf("passes (-want +got):\n%s", diff)
			}
		})
	}
}

// TestLearnsWhoHasWhat: a process that begins learns who owns each address, which are no moves.
// What an earlier one passed goes on.
func TestLearnsWhoHasWhat(t *testing.T) {
	t.Parallel()
	s := on(t, "b")
	s.Adopt([]Pass{{VIP: vip, To: netip.MustParseAddr("198.18.0.1"), MACs: []string{"mac-a"}}})
	s.owner = map[netip.Addr]string{vip: ""}
	s.turn.Settled = false
	want := []string{"198.18.0.100 to 198.18.0.1 not from mac-a"}
	for _, move := range []string{"", ">c"} { // the mesh is joined: c has it as long as this node is not ready
		if diff := cmp.Diff(want, s.step(move)); diff != "" {
			t.Errorf("passes after %q (-want +got):\n%s", move, diff)
		}
	}
	s.turn.Settled, s.owner[vip] = true, "b" // it was kept for this node, so that is no move either
	if diff := cmp.Diff(want, s.step("")); diff != "" {
		t.Errorf("passes when settled (-want +got):\n%s", diff)
	}
	fresh := on(t, "b")
	fresh.owner[vip] = "b"
	fresh.turn.Moves = []Move{{vip, "a", "b"}}
	if got := shown(fresh.Step(fresh.turn).Passes); !slices.Equal(got, want) {
		t.Errorf("a node that takes an address in its first turn passes %q, want %q", got, want)
	}
}

// TestLasting: at the end of the process only what others rely on stays.
func TestLasting(t *testing.T) {
	t.Parallel()
	if got := Lasting([]Pass{{VIP: vip, Brief: true}, {VIP: vip6}}); len(got) != 1 || got[0].VIP != vip6 {
		t.Errorf("left at the end: %v", got)
	}
}

// TestBounded: no more is passed than the kernel is to hold, and the next turn is in time.
func TestBounded(t *testing.T) {
	t.Parallel()
	s := on(t, "b")
	for i := range maxPasses + 5 {
		ip := netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})
		s.owner[ip] = "b"
		s.turn.Moves = append(s.turn.Moves, Move{ip, "a", "b"})
	}
	r := s.Step(s.turn)
	if len(r.Passes) != maxPasses {
		t.Errorf("%d passes", len(r.Passes))
	}
	macs := slices.Repeat([]string{"mac"}, 10)
	if got := len(bounded(slices.Repeat([]Pass{{MACs: macs}}, maxPasses))); got != maxMACs/10 {
		t.Errorf("%d passes with ten MACs each", got)
	}
	if want := epoch.Add(longest); !r.Wake.Equal(want) {
		t.Errorf("wakes at %v, want %v", r.Wake, want)
	}
}
