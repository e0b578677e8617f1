package speaker

import (
	"flag"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/starling-lb/starling/claims"
	"github.com/starling-lb/starling/peers"
)

var necessityFlag = flag.Bool("necessity", false, "weaken each rule, and fail if no scenario notices it")

// weakening makes one rule three times slower, or leaves it out.
type weakening struct {
	name string
	by   string // the scenario, or the beginning of its name, that is tried first
	do   func(r *rules)
}

// slower makes a time three times as long.
func slower(name, by string, of func(r *rules) *time.Duration) weakening {
	return weakening{name + " x3", by, func(r *rules) { *of(r) *= 3 }}
}

// more makes a number three times as large.
func more(name, by string, of func(r *rules) *int) weakening {
	return weakening{name + " x3", by, func(r *rules) { *of(r) *= 3 }}
}

// none leaves something out that has a time.
func none(name, by string, of func(r *rules) *time.Duration) weakening {
	return weakening{"without " + name, by, func(r *rules) { *of(r) = 0 }}
}

// without leaves out a row of the table of package peers.
func without(name, by string, row peers.Rows) weakening {
	return weakening{"peers without " + name, by, func(r *rules) { r.without |= row }}
}

// idle leaves out an action of the table of package claims.
func idle(role claims.Role, who claims.Claimant, a claims.Action, name, by string) weakening {
	return weakening{fmt.Sprintf("claims: %s, %s, without %s", role, [...]string{"lower", "higher", "stranger"}[who], name), by, func(r *rules) { r.claims.Rules[role][who] &^= a }}
}

// weakenings are the rules whose weakness a cluster with a gossip key shows from outside (without
// one a reply to a recheck is told by its time, which a transcript of claims holds). Not among them
// is what bounds memory or the rate of frames, which tests of packages peers, probe and claims
// hold, and what virtual time cannot show: that a process answers nothing after a long stop
// (Timing.Muted) is for the time until the loop has thought again, and there that takes none.
func weakenings() []weakening {
	return slices.Concat(slowerProbes(), weakerPeers(), weakerClaims(), weakerTable(), weakerAnnouncements(), weakerTests(), weakerRefusals())
}

func slowerProbes() []weakening {
	const host, process = "a host dies", "a process dies while gossip is blocked"
	return []weakening{
		slower("pace of the host watch", host, func(r *rules) *time.Duration { return &r.pace }),
		more("host: tries", host, func(r *rules) *int { return &r.rhythms.Host.Known.Tries }),
		more("host: doubt", host, func(r *rules) *int { return &r.rhythms.Host.Known.Doubt }),
		{"close watch: pace x3", "a host dies whose", func(r *rules) { r.rhythms.Close.Steady *= 3; r.rhythms.Close.Known.Miss *= 3 }},
		more("close watch: tries", "a host dies whose", func(r *rules) *int { return &r.rhythms.Close.Known.Tries }),
		more("speaker: first tries", host, func(r *rules) *int { return &r.rhythms.Speaker.New.Tries }),
		slower("speaker: first pause", host, func(r *rules) *time.Duration { return &r.rhythms.Speaker.New.Miss }),
		slower("speaker: steady", process, func(r *rules) *time.Duration { return &r.rhythms.Speaker.Steady }),
		more("speaker: tries", process, func(r *rules) *int { return &r.rhythms.Speaker.Known.Tries }),
		slower("speaker: pause", process, func(r *rules) *time.Duration { return &r.rhythms.Speaker.Known.Miss }),
		slower("owner: steady", "two elect", func(r *rules) *time.Duration { return &r.rhythms.Owner.Steady }),
		more("owner: tries", "two elect", func(r *rules) *int { return &r.rhythms.Owner.Known.Tries }),
		slower("owner: pause", "two elect", func(r *rules) *time.Duration { return &r.rhythms.Owner.Known.Miss }),
		slower("owner: pause when silent", "the higher one", func(r *rules) *time.Duration { return &r.rhythms.Owner.Known.Silent }),
	}
}

func weakerPeers() []weakening {
	return []weakening{
		without("a second witness", "one node alone", peers.OneAgrees),
		without("asking the speaker", "a kernel answers nobody", peers.SpeakerAlive),
		without("the word of two for a node of another network", "a node of another network", peers.TwoAgree),
		without("Wire when gossip says dead", "a process dies while gossip", peers.DeadReplies),
		without("Wire when gossip says left", "a member that left", peers.LeftReplies),
		without("Wire when gossip never met it", "a node that gossip never met", peers.NeverMet),
		without("Absent, as an earlier process knew it", "all speakers restart at once", peers.AwayBefore),
		without("watching the host of an absent peer that no watcher watches", "a host dies, its watchers", peers.Unwatched),
		without("a Node for each peer", "somebody makes members up", peers.NodeNamed),
		without("Absent when the speaker is away", "a speaker restarts", peers.SpeakerAway),
		none("the time for the wire's verdict", "a process dies while gossip", func(r *rules) *time.Duration { return &r.peers.Doubt }),
		none("the time for an open port", "a process is stopped for a moment", func(r *rules) *time.Duration { return &r.peers.Open }),
		slower("the time for an open port", "a process is stopped for long", func(r *rules) *time.Duration { return &r.peers.Open }),
		{"suspect is sent once", "a host dies and the first", func(r *rules) { r.peers.Suspects = 1 }},
		slower("pause between suspects", "a host dies and the first", func(r *rules) *time.Duration { return &r.peers.FirstSuspect }),
		none("memory of suspects", "a host dies", func(r *rules) *time.Duration { return &r.peers.SuspectMemory }),
		slower("dead against gossip", "a host that nobody hears", func(r *rules) *time.Duration { return &r.peers.Against }),
		{"one watcher for each host", "a host dies", func(r *rules) { r.peers.Watchers = 1 }},
		{"no unsure contact", "all are away", func(r *rules) { r.peers.Unsure = r.peers.Out }},
		slower("out of touch", "the owner is away", func(r *rules) *time.Duration { return &r.peers.Out }),
		none("steady contact", "all are away", func(r *rules) *time.Duration { return &r.peers.Steady }),
		none("the hold of a node that comes back", "a link is back", func(r *rules) *time.Duration { return &r.peers.Hold }),
		slower("hold", "a link is back", func(r *rules) *time.Duration { return &r.peers.Hold }),
		slower("longest hold", "a link is back", func(r *rules) *time.Duration { return &r.peers.MaxHold }),
		none("memory of returns", "a link is back", func(r *rules) *time.Duration { return &r.peers.HoldMemory }),
		none("a recent return", "all boot", func(r *rules) *time.Duration { return &r.peers.Recent }),
		slower("a recent return", "all boot", func(r *rules) *time.Duration { return &r.peers.Recent }),
		slower("hold among nodes that boot", "all boot", func(r *rules) *time.Duration { return &r.peers.ShortHold }),
		{"looking for peers once a second while all are dead", "a node that was cut off", func(r *rules) { r.rhythms.Close.New.Silent = time.Second }},
		{"no node is cut off", "a link is back", func(r *rules) { r.peers.CutOff = 100 }},
		{"times by the wall clock", "a clock jumps", func(r *rules) { r.wall = true }},
	}
}

func weakerTests() []weakening {
	const gone, away = "the rules of the owner are gone", "the rules of a node are gone whose"
	return []weakening{
		slower("test of who forwards", gone, func(r *rules) *time.Duration { return &r.tests.Every }),
		slower("test of who forwards while its speaker is away", away, func(r *rules) *time.Duration { return &r.tests.Absent }),
		slower("wait for an answer", gone, func(r *rules) *time.Duration { return &r.tests.Wait }),
		more("answers until a node forwards again", gone, func(r *rules) *int { return &r.tests.Again }),
		none("memory of reports", gone, func(r *rules) *time.Duration { return &r.peers.DropMemory }),
	}
}

func weakerRefusals() []weakening {
	return []weakening{
		slower("asking an elected node that is not heard", "the first 1 of five", func(r *rules) *time.Duration { return &r.unheard.Elected }),
		none("the time for an elected node to be heard", "the elected node hears of", func(r *rules) *time.Duration { return &r.unheard.Elected }),
		slower("asking who comes next", "the first 2 of five", func(r *rules) *time.Duration { return &r.unheard.Next }),
		none("the time for who comes next to be heard", "who comes next", func(r *rules) *time.Duration { return &r.unheard.Next }),
	}
}

func weakerClaims() []weakening {
	return []weakening{
		slower("grace", "a neighbor believed the lower", func(r *rules) *time.Duration { return &r.claims.Timing.Grace }),
		slower("pause between defenses", "a member claims it twice", func(r *rules) *time.Duration { return &r.claims.Timing.Pause }),
		slower("longest pause between defenses", "a member claims it again", func(r *rules) *time.Duration { return &r.claims.Timing.MaxPause }),
		more("defenses before a conflict is shown", "a member claims it again", func(r *rules) *int { return &r.claims.Timing.Insists }),
		slower("end of a conflict with a member", "a member claims it again", func(r *rules) *time.Duration { return &r.claims.Timing.Over }),
		none("the pause between defenses against strangers", "a stranger claims it", func(r *rules) *time.Duration { return &r.claims.Timing.DefendInterval }),
		slower("pause between defenses against strangers", "a stranger claims it", func(r *rules) *time.Duration { return &r.claims.Timing.DefendInterval }),
		none("memory of conflicts", "a stranger claims it", func(r *rules) *time.Duration { return &r.claims.Timing.Memory }),
		slower("memory of conflicts", "a stranger claims it", func(r *rules) *time.Duration { return &r.claims.Timing.Memory }),
		none("asking on who was lost", "the higher one", func(r *rules) *time.Duration { return &r.claims.Timing.Lost }),
		slower("limit of a hand-over", "the successor cannot", func(r *rules) *time.Duration { return &r.claims.Timing.Limit }),
		slower("limit of a hand-over by a node that leaves", "a node leaves that", func(r *rules) *time.Duration { return &r.claims.Timing.Drain }),
		none("the rest of a crossing", "an address moves back", func(r *rules) *time.Duration { return &r.claims.Timing.Crossing }),
		slower("asking the successor", "the successor was not heard", func(r *rules) *time.Duration { return &r.claims.Timing.AskHeir }),
		none("the memory of a claim that was faster", "the successor is faster", func(r *rules) *time.Duration { return &r.claims.Timing.Fresh }),
		slower("a stop", "a process is stopped for half", func(r *rules) *time.Duration { return &r.claims.Timing.Stop }),
		slower("look at a tentative address", "a station comes", func(r *rules) *time.Duration { return &r.claims.Timing.ProbeAgain }),
		more("looks that must find nobody", "a station comes", func(r *rules) *int { return &r.claims.Timing.Free }),
		slower("recheck of a young address", "a silent station took it a moment", func(r *rules) *time.Duration { return &r.claims.Recheck.Soon }),
		slower("recheck", "a silent station took it after", func(r *rules) *time.Duration { return &r.claims.Recheck.Every }),
	}
}

func weakerTable() []weakening {
	const l, h, x = claims.Lower, claims.Higher, claims.Stranger
	return []weakening{
		idle(claims.Owner, l, claims.Defend, "defense", "a neighbor believed the lower"),
		idle(claims.Owner, h, claims.Defend, "defense", "a neighbor believed the higher"),
		idle(claims.Owner, h, claims.Ask, "asking", "two elect"),
		idle(claims.Owner, x, claims.Report, "report", "a stranger claims it"),
		idle(claims.Deputy, l, claims.Ask, "asking", "a member sees it otherwise"),
		idle(claims.Deputy, h, claims.Ask, "asking", "a member of higher rank sees it"),
		idle(claims.Deputy, x, claims.Report, "report", "a stranger claims it while"),
		idle(claims.Owner, l, claims.Remember, "memory", "who announces it"),
		idle(claims.Owner, x, claims.Remember, "memory", "who announces it"),
		idle(claims.Owner, h, claims.Remember, "memory", "who announces it is known, whatever"),
		idle(claims.HandingOver, l, claims.Remember, "memory", "who announces it is known, whatever"),
		idle(claims.HandingOver, h, claims.Remember, "memory", "who announces it is known, whatever"),
		idle(claims.HandingOver, x, claims.Remember, "memory", "who announces it is known, whatever"),
		idle(claims.Tentative, l, claims.Again, "asking again", "a member announces a tentative"),
		idle(claims.Tentative, h, claims.Again, "asking again", "a member announces a tentative"),
		idle(claims.HandingOver, l, claims.Ask, "asking", "an address is handed over"),
		idle(claims.HandingOver, h, claims.Ask, "asking", "an address is handed over"),
		idle(claims.HandingOver, l, claims.Deputized, "a deputy's word", "a link is back while gossip"),
		idle(claims.HandingOver, h, claims.Deputized, "a deputy's word", "a link is back while gossip"),
		idle(claims.Watching, l, claims.Remember, "memory", "who announces it"),
		idle(claims.Watching, h, claims.Remember, "memory", "who announces it"),
		idle(claims.Watching, x, claims.Remember, "memory", "who announces it"),
		idle(claims.Tentative, x, claims.Taken, "notice", "a station comes"),
	}
}

func weakerAnnouncements() (all []weakening) {
	for i := range 4 {
		all = append(all, slower(fmt.Sprint("announcement ", i+2), "a neighbor is deaf", func(r *rules) *time.Duration {
			r.announce.Gaps = slices.Clone(r.announce.Gaps)
			return &r.announce.Gaps[i]
		}))
	}
	return append(all, slower("announcements without end", "a neighbor is deaf", func(r *rules) *time.Duration { return &r.announce.Refresh }))
}

// noticed returns the scenario that notices a weaker rule, the likely ones first; "" if none does.
func (w weakening) noticed(t *testing.T) string {
	r := standard()
	w.do(&r)
	all := scenarios()
	slices.SortStableFunc(all, func(a, b scenario) int { return w.rank(a) - w.rank(b) })
	for _, x := range all {
		if len(x.play(t, r)) > 0 {
			return x.name
		}
	}
	return ""
}

func (w weakening) rank(x scenario) int {
	if strings.HasPrefix(x.name, w.by) {
		return 0
	}
	return 1
}

// TestNecessity weakens each rule: by a weaker one something must go wrong, or the rule is not
// needed.
func TestNecessity(t *testing.T) {
	all, seen := weakenings(), 0
	for _, w := range all {
		if !slices.ContainsFunc(scenarios(), func(x scenario) bool { return w.rank(x) == 0 }) {
			t.Errorf("%s: there is no scenario %q", w.name, w.by)
		}
	}
	if !*necessityFlag { // it takes half a minute: make necessity
		return
	}
	var mu sync.Mutex
	t.Run("weaker", func(t *testing.T) {
		for _, w := range all {
			t.Run(w.name, func(t *testing.T) {
				t.Parallel()
				by := w.noticed(t)
				mu.Lock()
				defer mu.Unlock()
				if by == "" {
					t.Error("nobody notices it: give it a scenario, or delete the rule")
					return
				}
				seen++
				fmt.Printf("%-60s noticed by: %s\n", w.name, by)
			})
		}
	})
	fmt.Printf("%d rules weakened, %d noticed\n", len(all), seen)
}
