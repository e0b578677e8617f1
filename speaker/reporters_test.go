package speaker

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/starling-lb/starling/health"
	"github.com/starling-lb/starling/lease"
	"github.com/starling-lb/starling/owner"
	"github.com/starling-lb/starling/report"
)

// Who reports, see package report.
const (
	reporters = 3
	standIns  = 5
	standFor  = 30 * time.Second
)

// byRank are the nodes n1 and so on in the order in which they report what has this name.
func byRank(once string, count int) []string {
	var names []string
	for i := range count {
		names = append(names, fmt.Sprint("n", i+1))
	}
	slices.SortFunc(names, func(a, b string) int {
		if owner.ScoreKey(a, once) > owner.ScoreKey(b, once) {
			return -1
		}
		return 1
	})
	return names
}

// sorted is a sorted copy.
func sorted(names []string) []string { return slices.Sorted(slices.Values(names)) }

// faultFor is how long the conditions of these tests must last until they are reported.
const faultFor = 3 * time.Second

// TestFewReport: what everybody sees is reported by three, and by five more if it lasts, however
// many speakers there are and however long it lasts.
func TestFewReport(t *testing.T) {
	long(t)
	const count = 12
	hall(t, count, func(m *model) {
		rank := byRank("PoolOverlapsNodes default", count)
		for _, step := range []struct {
			after time.Duration // the last step
			tell  int
		}{{faultFor, reporters}, {faultFor, reporters + 1}, {2 * time.Minute, reporters + standIns}, {5 * time.Minute, reporters + standIns}} {
			m.pass(step.after)
			want := map[string][]string{"n1 PoolOverlapsNodes": sorted(rank[:step.tell])}
			if diff := cmp.Diff(want, m.onNodes()); diff != "" {
				t.Errorf("%s later (-want +got):\n%s", step.after, diff)
			}
		}
	}, "default=198.18.0.0/24,198.18.64.0/28")
}

// TestFewReportMany: when half of the members go at once, each is reported by three of those that
// are left.
func TestFewReportMany(t *testing.T) {
	const count, lost = 12, 6
	hall(t, count, func(m *model) {
		m.pass(10 * time.Second)
		for i := range lost {
			m.dies(fmt.Sprint("n", i+1), 500*time.Millisecond)
		}
		m.pass(500*time.Millisecond + faultFor + time.Second)
		want := map[string][]string{}
		for i := range lost {
			name := fmt.Sprint("n", i+1)
			left := slices.DeleteFunc(byRank("SpeakerLost "+name, count), func(n string) bool { return !m.speakers[n].up })
			want[name+" SpeakerLost"] = sorted(left[:reporters])
		}
		if diff := cmp.Diff(want, m.onNodes()); diff != "" {
			t.Errorf("soon (-want +got):\n%s", diff)
		}
		m.pass(2 * time.Minute)
		for what, by := range m.onNodes() {
			if diff := cmp.Diff(slices.Compact(slices.Clone(by)), by); diff != "" {
				t.Errorf("%s is reported twice by one (-want +got):\n%s", what, diff)
			}
		}
	}, tenAddresses)
}

// TestLastReports: what only the last in rank sees is reported, though later in a large cluster.
func TestLastReports(t *testing.T) {
	const count = 12
	for _, tt := range []struct {
		name, once string
		see        func(m *model, n string)
		soon       bool
	}{
		{"its file has a mistake", "ConfigRejected overlaps", func(m *model, n string) {
			m.set(n, func(b *node) { b.mistakes = []string{"overlaps"} })
		}, false},
		{"a peer with another key knocks there", "GossipKeyMismatch peers", func(m *model, n string) {
			m.set(n, func(b *node) {
				b.peers = []health.Condition{health.New(health.GossipKeyMismatch, health.Address("198.18.0.70"), "another key")}
			})
		}, false},
		{"it has another pool than the others", "PoolOverlapsNodes default", func(m *model, n string) {
			m.configure(compiled(m.t, lease.Pool{Name: "default", Ranges: []string{"198.18.0.0/24"}}), n)
		}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			hall(t, count, func(m *model) {
				m.pass(10 * time.Second)
				rank := byRank(tt.once, count)
				tt.see(m, rank[count-1])
				for _, step := range []struct {
					after time.Duration // the last step
					told  bool
				}{{faultFor + time.Second, tt.soon}, {standFor, true}} {
					m.pass(step.after)
					want := []string(nil)
					if step.told {
						want = []string{tt.once}
					}
					if diff := cmp.Diff(want, m.onces()); diff != "" {
						t.Errorf("%s later (-want +got):\n%s", step.after, diff)
					}
				}
			}, tenAddresses)
		})
	}
}

// TestTellsAreLimited: one speaker that sees very much tells all of it, but not at once.
func TestTellsAreLimited(t *testing.T) {
	const count = reportBurst + 20
	lab(t, func(m *model) {
		m.pass(10 * time.Second)
		m.set("n1", func(b *node) {
			for i := range count {
				b.mistakes = append(b.mistakes, fmt.Sprint("mistake ", i))
			}
		})
		for _, step := range []struct {
			after time.Duration // the last step
			most  int
		}{{report.ReportEvery / 2, reportBurst}, {5 * report.ReportEvery, reportBurst + 5}, {time.Minute, count}} {
			m.pass(step.after)
			if got := len(m.told(report.ConfigRejected)); got != step.most {
				t.Errorf("%s later %d events, want %d", step.after, got, step.most)
			}
		}
	}, tenAddresses)
}
