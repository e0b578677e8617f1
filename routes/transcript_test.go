package routes

import (
	"bufio"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/starling-lb/starling/lease"
	"github.com/starling-lb/starling/mesh"
	"github.com/starling-lb/starling/owner"
	"github.com/starling-lb/starling/transcript"
)

// TestTranscripts runs the transcripts of testdata: a line that begins with > is an event, the
// lines below it are what all speakers together then plan. UPDATE_TRANSCRIPTS=1 writes them anew.
//
//	> sessions few                        the mode, auto by default
//	> routers tor1=198.18.0.254           by name; with +multihop several hops away
//	> nodes n1 n2=draining n3=dead        words are joined by +, see node
//	> addresses 203.0.113.1=local:n1+n2   several words are joined by +, see address
//	> up                                  all sessions that are planned are established, and all is announced
//	> up n1 n4                            those of these nodes alone
//	> run 300ms                           time passes
//	> why 203.0.113.1                     what n1 says of an address
//
// nX is at 198.18.0.X and 2001:db8::X, on the networks of both; with the word "far" at 192.0.2.X
// alone.
func TestTranscripts(t *testing.T) {
	transcript.Compare(t, replay)
}

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
			r.do(t, strings.Fields(line[2:]))
		}
	}
	return out.String()
}

// rig is a cluster of speakers that see the same.
type rig struct {
	out       *strings.Builder
	now       time.Time
	mode      string
	routers   []lease.Router
	nodes     []Node
	addresses []Address
	leaving   Leaving
	lacking   Lacking
	onePath   OnePath
	sessions  map[string][]uint32 // by node
	before    string
}

func newRig(out *strings.Builder) *rig {
	return &rig{out: out, now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), mode: lease.SessionsAuto, sessions: map[string][]uint32{}}
}

func (r *rig) do(t *testing.T, words []string) {
	t.Helper()
	switch words[0] {
	case "sessions":
		r.mode = words[1]
	case "routers":
		r.routers = each(words[1:], router)
	case "nodes":
		r.nodes = each(words[1:], node)
	case "addresses":
		r.addresses = each(words[1:], address)
	case "up":
		for _, n := range r.nodes {
			r.sessions[n.Name] = nil
			if len(words) > 1 && !slices.Contains(words[1:], n.Name) {
				continue
			}
			for _, router := range r.plan(n.Name).Set.Routers {
				r.sessions[n.Name] = append(r.sessions[n.Name], mesh.ShortName(router.Name))
			}
		}
	case "run":
		d, err := time.ParseDuration(words[1])
		if err != nil {
			t.Fatal(err)
		}
		r.now = r.now.Add(d)
	case "why":
		r.why(netip.MustParseAddr(words[1]))
		return
	default:
		t.Fatalf("what is %q?", words[0])
	}
	r.show()
}

func (r *rig) world(self string) World {
	nodes := slices.Clone(r.nodes)
	r.leaving.Follow(nodes, r.now)
	for i := range nodes {
		nodes[i].Sessions = r.sessions[nodes[i].Name]
	}
	r.lacking.Mark(nodes, r.now)
	r.onePath = r.onePath.Follow(nodes)
	return World{
		Self: self, BGP: &lease.BGP{ASN: 64513, Sessions: r.mode, Routers: r.routers}, Restart: time.Minute, OnePath: r.onePath, Nodes: nodes, Addresses: r.addresses,
	}
}

func (r *rig) plan(self string) *Plan { return New(r.world(self)) }

// show prints what all speakers plan, if that is not as before.
func (r *rig) show() {
	var b strings.Builder
	if len(r.nodes) > 0 {
		for _, p := range r.plan(r.nodes[0].Name).Peerings {
			mode := "each"
			if p.Few {
				mode = "few"
			}
			fmt.Fprintf(&b, "      %s: %s, %s: %s\n", p.Router, mode, p.Why, strings.Join(p.Holders, " "))
		}
	}
	for _, n := range r.nodes {
		for _, router := range r.plan(n.Name).Set.Routers {
			state := " (no session yet)"
			if slices.Contains(r.sessions[n.Name], mesh.ShortName(router.Name)) {
				state = ""
			}
			fmt.Fprintf(&b, "      %s to %s%s:%s\n", n.Name, router.Name, state, hops(router.Paths))
		}
	}
	if len(r.nodes) > 0 {
		r.lacking.Follow(r.plan(r.nodes[0].Name), r.now)
	}
	if b.String() != r.before {
		r.before = b.String()
		r.out.WriteString(r.before)
	}
}

// hops writes paths in short: the next hops of each prefix.
func hops(paths []Path) string {
	text, prefix := "", netip.Prefix{}
	for _, p := range paths {
		if p.Prefix != prefix {
			text += " " + p.Prefix.String() + " via"
		}
		prefix = p.Prefix
		text += " " + p.NextHop.String()
		if p.Own {
			text += "+own"
		}
		for _, c := range p.Communities {
			text += "+" + c
		}
		if p.Leaving {
			text += "+leaving"
		}
	}
	if text == "" {
		return " nothing"
	}
	return text
}

// why prints what n1 says of an address.
func (r *rig) why(ip netip.Addr) {
	route := r.plan("n1").Route(ip)
	for _, to := range route.To {
		fmt.Fprintf(r.out, "      to %s by [%s]: %s\n", to.Router, strings.Join(to.By, " "), strings.Join(to.Nodes, " "))
		for _, n := range to.Not {
			fmt.Fprintf(r.out, "        not %s: %s\n", n.Node, n.Why)
		}
	}
	if route.Reason != "" {
		fmt.Fprintf(r.out, "      to nobody: %s\n", route.Reason)
	}
}

func each[T any](words []string, of func(name string, about []string) T) (list []T) {
	for _, w := range words {
		name, about, _ := strings.Cut(w, "=")
		list = append(list, of(name, strings.Split(about, "+")))
	}
	return list
}

func router(name string, about []string) lease.Router {
	r := lease.Router{Name: name, Address: netip.MustParseAddr(about[0]), Port: 179, ASN: 64512}
	if slices.Contains(about, "multihop") {
		r.Multihop = 3
	}
	return r
}

// node makes a node of the words about it.
func node(name string, about []string) Node {
	x, _ := strconv.Atoi(name[1:])
	n := Node{Ready: true, Node: owner.Node{Name: name, Segments: []netip.Prefix{netip.MustParsePrefix("198.18.0.0/24"), netip.MustParsePrefix("2001:db8::/64")}}}
	n.Addresses = []netip.Addr{netip.AddrFrom4([4]byte{198, 18, 0, byte(x)}), netip.MustParseAddr(fmt.Sprintf("2001:db8::%x", x))}
	for _, word := range about {
		switch word {
		case "far":
			n.Segments, n.Addresses = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}, []netip.Addr{netip.AddrFrom4([4]byte{192, 0, 2, byte(x)})}
		case "two": // networks, with the InternalIP on the other one first
			n.Segments, n.Addresses = append(n.Segments, netip.MustParsePrefix("192.0.2.0/24")), slices.Insert(n.Addresses, 0, netip.AddrFrom4([4]byte{192, 0, 2, byte(x)}))
		case "askew": // the InternalIPs are on another network than the router's
			n.Segments, n.Addresses = append(n.Segments, netip.MustParsePrefix("192.0.2.0/24")), []netip.Addr{netip.AddrFrom4([4]byte{192, 0, 2, byte(x)}), n.Addresses[1]}
		case "four":
			n.Addresses = n.Addresses[:1]
		case "dead", "excluded by label":
			n.Ready, n.Unfit = word != "dead", word
		case "excluded":
			n.Unfit = "excluded by label"
		case "away":
			n.Ready = false
		case "stopping":
			n.Going = true
		case "draining":
			n.Tier, n.Going = owner.Draining, true
		case "going":
			n.Tier = owner.Going
		case "returning":
			n.Tier = owner.Returning
		case "touchless":
			n.Tier = owner.OutOfTouch
		case "drops":
			n.Tier = owner.NoProxy
		case "one-path":
			n.OnePath = []uint32{mesh.ShortName("tor1")}
		}
	}
	return n
}

// address makes a bound address of the words about it.
func address(name string, about []string) Address {
	ip := netip.MustParseAddr(name)
	e := lease.Announcement{Aggregation: [2]uint8{32, 128}}
	a := Address{Pool: "p", VIP: owner.VIP{IP: ip, Serving: true}}
	for _, word := range about {
		key, value, _ := strings.Cut(word, ":")
		switch key {
		case "local":
			a.Local = [][]string{strings.Split(value, ",")}
		case "idle":
			a.Serving = false
		case "to":
			e.Routers = strings.Split(value, ",")
		case "bits":
			bits, _ := strconv.Atoi(value)
			e.Aggregation = [2]uint8{uint8(bits), uint8(bits)}
		case "community":
			e.Communities = []string{value}
		case "layer2":
			return a
		}
	}
	a.Entries = []lease.Announcement{e}
	return a
}
