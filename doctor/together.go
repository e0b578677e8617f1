package doctor

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/starling-lb/starling/lease"
)

// Answer is a report, or why there is none, and when it was asked for.
type Answer struct {
	Name         string // node or URL that was asked
	Report       Report
	Err          error
	Begun, Ended time.Time // by the clock of who asks
}

// Found is a check with the nodes that it came out so on.
type Found struct {
	Check
	Nodes []string `json:"nodes"`
}

// skew is how far clocks may differ before somebody should look: nothing of ours depends on them
// but what people read, and the certificates of Kubernetes.
const skew = 2 * time.Second

// Together joins the reports of all speakers: what they found, the same findings in one, the worst
// first; and what only shows when they are compared. Dhcp are ranges that the user says a DHCP
// server hands out, cluster what was found about no node.
func Together(answers []Answer, dhcp []string, cluster ...Check) []Found {
	var all []Found
	for _, a := range answers {
		if a.Err != nil {
			all = add(all, a.Name, Check{
				"speaker", Fail, fmt.Sprintf("the speaker of %s did not answer: %s", a.Name, strings.ReplaceAll(a.Err.Error(), "\n", "; ")),
				"see its pod: `kubectl -n starling-system get pods -o wide`, `kubectl -n starling-system logs POD`", "",
			})
			continue
		}
		all = add(all, a.Report.Node, Check{"speaker", OK, "answers", "", ""})
		for _, c := range a.Report.Checks {
			all = add(all, a.Report.Node, c)
		}
	}
	good := slices.DeleteFunc(slices.Clone(answers), func(a Answer) bool { return a.Err != nil })
	for _, c := range slices.Concat(cluster, asked(answers), clocks(good), views(good), ranges(good, dhcp)) {
		all = add(all, "", c)
	}
	slices.SortStableFunc(all, func(a, b Found) int { return badness(b.Result) - badness(a.Result) })
	return all
}

// asked tells when there are nodes that were not asked, as from within one of them: of these
// nothing is known.
func asked(answers []Answer) []Check {
	var known, asked []string
	for _, a := range answers {
		known, asked = append(known, a.Report.Nodes...), append(asked, a.Name)
		if a.Err == nil {
			asked = append(asked, a.Report.Node)
		}
	}
	words := Unasked(known, asked)
	if words == "" {
		return nil
	}
	return []Check{{"speaker", Unknown, words, "ask all through the API server: `kubectl starling doctor`, or `starling doctor --kubeconfig FILE`", ""}}
}

// Unasked says how many of the known nodes were asked, and which were not; "" when all were. Asked
// may hold other names, too.
func Unasked(known, asked []string) string {
	known = slices.Compact(slices.Sorted(slices.Values(known)))
	missing := slices.DeleteFunc(slices.Clone(known), func(n string) bool { return slices.Contains(asked, n) })
	if len(missing) == 0 {
		return ""
	}
	return fmt.Sprintf("asked %d of %d nodes, and not %s", len(known)-len(missing), len(known), strings.Join(missing, ", "))
}

func add(all []Found, node string, c Check) []Found {
	i := slices.IndexFunc(all, func(f Found) bool { return f.Check == c })
	if i < 0 {
		i, all = len(all), append(all, Found{Check: c, Nodes: []string{}})
	}
	if node != "" {
		all[i].Nodes = append(all[i].Nodes, node)
	}
	return all
}

func badness(result string) int { return slices.Index([]string{OK, Info, Unknown, Warn, Fail}, result) }

// Wrong reports whether anything failed.
func Wrong(all []Found) bool {
	return slices.ContainsFunc(all, func(f Found) bool { return f.Result == Fail })
}

// clocks compares the clocks of the nodes, as exactly as the time that each took to answer allows.
func clocks(answers []Answer) []Check {
	if len(answers) < 2 {
		return nil
	}
	// The clock of a node is ahead of ours by something between these two.
	least := func(a Answer) time.Duration { return a.Report.At.Sub(a.Ended) }
	most := func(a Answer) time.Duration { return a.Report.At.Sub(a.Begun) }
	fast := slices.MaxFunc(answers, func(a, b Answer) int { return int(least(a) - least(b)) })
	slow := slices.MinFunc(answers, func(a, b Answer) int { return int(most(a) - most(b)) })
	if apart := least(fast) - most(slow); apart > skew {
		return []Check{{
			"clock", Warn, fmt.Sprintf("the clock of %s is at least %s ahead of that of %s", fast.Report.Node, apart.Round(100*time.Millisecond), slow.Report.Node),
			"synchronize the clocks of all nodes (chrony, systemd-timesyncd); starling works, but times in logs and status mislead", "",
		}}
	}
	return []Check{{"clock", OK, fmt.Sprintf("the clocks of all nodes agree within %s", skew), "", ""}}
}

// views compares who announces what in the eyes of each.
func views(answers []Answer) []Check {
	if len(answers) < 2 {
		return nil
	}
	sides := map[string][]string{}
	for _, a := range answers {
		sides[a.Report.View] = append(sides[a.Report.View], a.Report.Node)
	}
	if len(sides) == 1 {
		return []Check{{"views", OK, "all speakers name the same announcers", "", ""}}
	}
	var words []string
	for _, nodes := range sides {
		words = append(words, strings.Join(nodes, ", "))
	}
	slices.Sort(words)
	return []Check{{
		"views", Warn, "speakers name different announcers: " + strings.Join(words, " | "),
		"ask again: a move may be on its way; if it lasts, compare `starling status --node NODE` of both sides", "",
	}}
}

// ranges compares the pools with what a DHCP server hands out.
func ranges(answers []Answer, dhcp []string) []Check {
	if len(dhcp) == 0 {
		return nil
	}
	var list []Check
	seen := map[string]bool{}
	for _, a := range answers {
		for _, pool := range a.Report.Pools {
			for _, r := range dhcp {
				if both, err := lease.Overlap(pool, r); err == nil && both && !seen[pool+r] { // pools were read before
					seen[pool+r] = true
					list = append(list, Check{
						"dhcp", Fail, fmt.Sprintf("the pool range %s overlaps %s, which DHCP hands out", pool, r),
						"take the range out of the DHCP server or out of the pool", "",
					})
				}
			}
		}
	}
	if list == nil {
		list = append(list, Check{"dhcp", OK, "no pool overlaps " + strings.Join(dhcp, ", "), "", ""})
	}
	return list
}
