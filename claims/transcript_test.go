package claims

import (
	"cmp"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/starling-lb/starling/owner"
	"github.com/starling-lb/starling/probe"
	files "github.com/starling-lb/starling/transcript"
)

// transcript runs a machine by the lines of a file. A line that begins in the first column is a
// time, and an event at that time; what follows indented is what came of it:
//
//	0s claim .1 n1
//	    .1 owner: n1 claims it                 the state of the address, if it is another one
//	1s
//	    0.2s defend .1                         what was to be done, and when
//
// We are n2. For the addresses of transcripts n3 and n4 outrank us, and we outrank n1. Other names
// are those of strangers. These are events of the test's: "holds .1 n3" has n3 reply from now on
// when it is asked for .1, "deputizes .1 n1 n3" has n1 reply that it is at n3, "here n3" has the
// speaker of n3 reply, and "quiet n3" ends what it does; "recheck" asks for what is due to be asked
// for again, and "stopped 2s" is an end of a stop. After "key" speakers prove what they reply, and
// after "forges n3" a stranger replies in its place.
type transcript struct {
	m       *Machine
	members Members
	now     time.Time
	holds   map[probe.Question]bool
	deputy  map[probe.Question]MAC // who answers with which MAC
	keyed   bool                   // replies of speakers are proven
	forged  map[MAC]bool           // but not those
	out     strings.Builder
	said    []saying // since the last line
	state   map[netip.Addr]string
	taken   map[cell]bool // of the table
}

// cell is one of the table.
type cell struct {
	role Role
	who  Claimant
}

// takes notes which cell of the table a claim is in.
func (t *transcript) takes(ip netip.Addr, mac MAC) {
	t.taken[cell{t.m.Role(ip), t.m.claimant(ip, mac)}] = true
}

// saying is something that was said once or more often.
type saying struct {
	text        string
	first, last time.Time
	times       int
}

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// addresses of transcripts, of which .1 is the first.
var addresses = func() (r []netip.Addr) {
	for i := range 1024 {
		ip := netip.AddrFrom4([4]byte{198, 18, byte(i >> 8), byte(i)})
		if owner.Outranks("n3", "n2", ip) && owner.Outranks("n4", "n2", ip) && owner.Outranks("n2", "n1", ip) {
			r = append(r, ip)
		}
	}
	return r[:50]
}()

func addr(word string) netip.Addr {
	var i int
	if _, err := fmt.Sscanf(word, ".%d", &i); err != nil {
		panic(fmt.Sprintf("%q is no address: %v", word, err))
	}
	return addresses[i-1]
}

func short(ip netip.Addr) string { return fmt.Sprintf(".%d", slices.Index(addresses, ip)+1) }

// mac of a node or stranger, by its name.
func mac(name string) MAC {
	m := MAC{2}
	copy(m[1:], name)
	return m
}

// macOf is whom a question asks.
func macOf(q probe.Question) MAC {
	hw, err := net.ParseMAC(q.MAC)
	if err != nil {
		panic(err)
	}
	return MAC(hw)
}

func name(m MAC) string { return strings.TrimRight(string(m[1:]), "\x00") }

func newTranscript() *transcript {
	m := New(Standard("n2"))
	t := &transcript{m: m, now: epoch, holds: map[probe.Question]bool{}, deputy: map[probe.Question]MAC{}, forged: map[MAC]bool{}, state: map[netip.Addr]string{}, taken: map[cell]bool{}}
	t.members = Members{Names: map[MAC]string{}, Gone: map[string]time.Time{}}
	t.event(strings.Fields("members n1 n3 n4"))
	return t
}

// event runs the words of a line.
func (t *transcript) event(words []string) {
	switch what := words[1:]; words[0] {
	case "duty":
		name, heir, _ := strings.Cut(strings.Join(what[1:], " "), " to ")
		name, of, _ := strings.Cut(name, " of ")
		t.m.assigned.Absent = map[netip.Addr]string{addr(what[0]): of}
		for r := range roles {
			if r.String() == name {
				t.m.Step(duty{addr(what[0]), r, heir}, t.now)
				return
			}
		}
		panic("no role: " + name)
	case "claim":
		t.takes(addr(what[0]), mac(what[1]))
		c := Claim{IP: addr(what[0]), MAC: mac(what[1])}
		if len(what) > 2 { // "by" and a deputy
			c.By = mac(what[3])
		}
		t.m.Step(c, t.now)
	case "probe":
		t.takes(addr(what[0]), mac(what[1]))
		t.m.Step(Probe{addr(what[0]), mac(what[1])}, t.now)
	case "recheck":
		for ip, rest, _ := t.m.Recheck(t.now); ip.IsValid(); ip, rest, _ = t.m.Recheck(t.now.Add(rest)) {
			t.say("ask everybody for %s", short(ip))
		}
	case "stopped":
		d, err := time.ParseDuration(what[0])
		if err != nil {
			panic(err)
		}
		t.now = t.now.Add(d)
		t.m.Step(Stopped{d}, t.now)
	case "reply":
		t.takes(addr(what[0]), mac(what[1]))
		t.m.Step(t.reply(addr(what[0]), mac(what[1]), false), t.now)
	case "forget":
		t.m.Step(Forget{}, t.now)
	case "key":
		t.keyed = true
	case "forges":
		t.forged[mac(what[0])] = true
	case "holds":
		t.holds[probe.Question{IP: addr(what[0]), MAC: mac(what[1]).String()}] = true
	case "deputizes":
		t.deputy[probe.Question{IP: addr(what[0]), MAC: mac(what[1]).String()}] = mac(what[2])
	case "here":
		t.holds[probe.Question{MAC: mac(what[0]).String()}] = true
	case "quiet":
		for q := range t.holds {
			if q.MAC == mac(what[0]).String() {
				delete(t.holds, q)
			}
		}
		maps.DeleteFunc(t.deputy, func(q probe.Question, _ MAC) bool { return q.MAC == mac(what[0]).String() })
	default:
		t.membership(words[0], what)
	}
}

// reply is one, of a speaker to a question that speakers ask, or of whoever it is.
func (t *transcript) reply(ip netip.Addr, who MAC, speaker bool) Reply {
	return Reply{Claim: Claim{IP: ip, MAC: who}, Proven: t.keyed && speaker, Unproven: t.keyed && !speaker}
}

// membership changes what is known of the members.
func (t *transcript) membership(what string, names []string) {
	e := Members{Names: maps.Clone(t.members.Names), Gone: maps.Clone(t.members.Gone), Draining: t.members.Draining}
	switch what {
	case "members":
		clear(e.Names)
		for _, n := range names {
			e.Names[mac(n)] = n
		}
	case "gone":
		e.Gone[names[0]] = t.now
	case "back":
		delete(e.Gone, names[0])
	case "draining":
		e.Draining = true
	default:
		panic("no event: " + what)
	}
	t.members = e
	t.m.Step(e, t.now)
}

// at is a time of the transcript.
func (t *transcript) at(when time.Time) string {
	if when.IsZero() {
		return "never"
	}
	return fmt.Sprintf("%gs", when.Sub(epoch).Seconds())
}

// line runs one line.
func (t *transcript) line(text string) {
	fmt.Fprintln(&t.out, text)
	words := strings.Fields(text)
	d, err := time.ParseDuration(words[0])
	if err != nil {
		panic(fmt.Sprintf("%q: %v", text, err))
	}
	for again := t.do(); !again.IsZero() && again.Before(epoch.Add(d)); again = t.do() {
		t.now = again
	}
	t.now = epoch.Add(d)
	if len(words) > 1 {
		t.event(words[1:])
	}
	t.do()
	t.show()
}

// do does what the machine says, and returns when it is to be asked again.
func (t *transcript) do() time.Time {
	r := t.m.Ready(t.now)
	for _, c := range r.Roles {
		switch {
		case c.Is == Owner:
			t.say("announce %s", short(c.IP))
		case c.Is == Deputy:
			t.say("answer for %s with the MAC of its owner", short(c.IP))
		case c.Is == HandingOver:
			t.say("answer for %s, but announce it no more", short(c.IP))
		case c.Was.Answers(false):
			t.say("fall silent for %s", short(c.IP))
		}
	}
	replied := false
	for _, ip := range r.Probe {
		t.say("ask everybody for %s", short(ip))
		for q := range t.holds {
			if q.IP == ip {
				t.m.Step(t.reply(ip, macOf(q), false), t.now)
				replied = true
			}
		}
	}
	if r.Restart {
		t.say("announce everything again")
	}
	for _, ip := range r.Defend {
		t.say("defend %s", short(ip))
	}
	for _, c := range r.Fresh {
		t.say("report a %s at %s", c.Kind, short(c.IP))
	}
	if r.Frames > 0 {
		t.say("count %d of strangers", r.Frames)
	}
	for _, q := range r.Ask {
		who := macOf(q)
		if q.Kind() == probe.Owner {
			t.say("ask %s whether it has %s", name(who), short(q.IP))
		} else {
			t.say("ask %s whether it is there", name(who))
		}
		owner, deputized := t.deputy[q]
		switch {
		case deputized:
			t.m.Step(Reply{Claim: Claim{IP: q.IP, MAC: owner, By: who}, Proven: t.keyed}, t.now)
			replied = true
		case !t.holds[q]:
		case q.Kind() == probe.Owner:
			t.m.Step(t.reply(q.IP, who, !t.forged[who]), t.now)
			replied = true
		default:
			t.m.Step(Greeting{who}, t.now)
			replied = true
		}
	}
	if replied {
		return t.do()
	}
	return r.Wake
}

// say notes what was to be done.
func (t *transcript) say(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if i := slices.IndexFunc(t.said, func(s saying) bool { return s.text == text }); i >= 0 {
		t.said[i].last, t.said[i].times = t.now, t.said[i].times+1
		return
	}
	t.said = append(t.said, saying{text, t.now, t.now, 1})
}

// show writes what was said, and what has changed of the addresses.
func (t *transcript) show() {
	for _, s := range t.said {
		if s.times == 1 {
			fmt.Fprintf(&t.out, "    %s %s\n", t.at(s.first), s.text)
		} else {
			fmt.Fprintf(&t.out, "    %s to %s, %d times, %s\n", t.at(s.first), t.at(s.last), s.times, s.text)
		}
	}
	t.said = nil
	for _, ip := range addresses {
		if s := t.describe(ip); s != cmp.Or(t.state[ip], nowhere) {
			t.state[ip] = s
			fmt.Fprintf(&t.out, "    %s %s\n", short(ip), s)
		}
	}
}

// nowhere is what an address is that the machine does not know.
const nowhere = "of no interest"

func (t *transcript) describe(ip netip.Addr) string {
	role := t.m.Role(ip)
	words := role.String()
	if role == None {
		words = nowhere
	}
	if to := t.m.yields[ip]; to != nil {
		words += ", left to " + name(to.mac)
	}
	if h := t.m.handing[ip]; h != nil {
		words += fmt.Sprintf(" to %s until %s", h.heir, t.at(h.until))
	}
	var s []string
	if probed, tried := t.m.Probed()[ip]; tried {
		s = append(s, probedText(probed))
	}
	for r := range t.m.all(ip) {
		s = append(s, t.record(r))
	}
	return strings.Join(append([]string{words}, s...), "; ")
}

func probedText(t Probed) string {
	switch {
	case t.MAC != "" && t.Known:
		return "taken"
	case t.MAC != "":
		return "a member may be about to let go of it"
	case t.Known:
		return "free"
	}
	return "tried out"
}

func (t *transcript) record(r *record) string {
	var s []string
	if !r.heard.IsZero() {
		s = append(s, "was heard")
	}
	if f := r.fight; f != nil {
		x := "claims it since " + t.at(f.since)
		if !f.look.IsZero() {
			x += ", judged at " + t.at(f.look)
		}
		s = append(s, x)
	}
	if r.shown(&t.m.Timing) {
		s = append(s, "a conflict")
	}
	switch {
	case r.ask == nil:
	case r.ask.holds:
		s = append(s, "holds on to it")
	case !r.ask.lost.IsZero():
		s = append(s, "silent since "+t.at(r.ask.lost))
	default:
		s = append(s, "is asked")
	}
	return name(r.mac) + " " + strings.Join(s, ", ")
}

// TestTranscripts runs testdata/*.txt. UPDATE_TRANSCRIPTS=1 writes what comes of them.
func TestTranscripts(t *testing.T) {
	files.Compare(t, func(_ *testing.T, text string) string { return play(text) })
}

// play runs the lines of a transcript. An empty line begins anew.
func play(text string) string {
	out, _ := played(text)
	return out
}

// played does the same, and returns which cells of the table it has.
func played(text string) (string, map[cell]bool) {
	var out strings.Builder
	t, taken := newTranscript(), map[cell]bool{}
	end := func() {
		maps.Copy(taken, t.taken)
		out.WriteString(t.out.String())
		t = newTranscript()
	}
	for line := range strings.Lines(text) {
		switch line = strings.TrimRight(line, "\n"); {
		case line == "":
			end()
			out.WriteString("\n")
		case line[0] == '#':
			fmt.Fprintln(&t.out, line)
		case line[0] != ' ':
			t.line(line)
		}
	}
	end()
	return out.String(), taken
}

// TestEveryCellHasATranscript: each cell of the table in the package comment that says something
// happens in some transcript.
func TestEveryCellHasATranscript(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	all := map[cell]bool{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		_, taken := played(string(text))
		maps.Copy(all, taken)
	}
	table := Table()
	for role := range roles {
		for who := range claimants {
			if table[role][who] != 0 && !all[cell{role, who}] {
				t.Errorf("no transcript has a claim of a %s on an address that is %s", [...]string{"lower member", "higher member", "stranger"}[who], role)
			}
		}
	}
}
