package lease

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// crowded is a table of one address, its holder, and n Services that wait for it, the oldest first.
func crowded(t *testing.T, n int, change func(int, *Service)) (*Table, View, Service) {
	t.Helper()
	v := View{Now: epoch, Installation: "here", Pools: mustPools(t, Pool{Name: "p", Ranges: []string{"198.18.0.0/32"}})}
	holder := boundServices(1, netip.MustParseAddr("198.18.0.0"))[0]
	holder.Name, holder.UID = "holder", "holder"
	all := []Service{holder}
	for i := range n {
		s := plainService(i)
		change(i, &s)
		all = append(all, s)
	}
	slices.Reverse(all) // the order of creation counts, not that of the stream
	table := NewTable()
	table.Apply(true, refs(all...), nil, v.Now)
	table.Steps(v)
	if u := table.Usage(v.Pools); u[0].Waiting != uint64(n) {
		t.Fatalf("%d wait, want %d", u[0].Waiting, n)
	}
	table.looks = 0
	return table, v, holder
}

// TestWaitingIsNoWork counts the Services that are looked at when one address is freed for 10,000.
func TestWaitingIsNoWork(t *testing.T) {
	const crowd = 10000
	for _, tt := range []struct {
		name   string
		change func(int, *Service)
	}{
		{"alike", func(int, *Service) {}},
		{"each with a sharing key of its own", func(i int, s *Service) { s.annotate(askShare[0], fmt.Sprint(i)) }},
		{"all with one sharing key", func(_ int, s *Service) { s.annotate(askShare[0], "k") }},
		{"for one of two reasons", func(i int, s *Service) {
			if i%2 == 0 {
				s.annotate(askPool[0], "p")
			}
		}},
		{"for one family or the other", func(i int, s *Service) {
			if i%2 > 0 {
				s.Families, s.FamilyPolicy = []string{ipv4, ipv6}, preferDualStack
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			table, v, holder := crowded(t, crowd, tt.change)
			for served := range 5 {
				table.Apply(false, nil, []Key{holder.Key()}, v.Now)
				table.Steps(v) // it rests
				v.Now = v.Now.Add(Rest)
				steps, _ := table.Steps(v)
				if len(steps) != 1 || steps[0].Kind != Claim || steps[0].Service != plainService(served).Key() {
					t.Fatalf("%d is served: %+v", served, steps)
				}
				for steps[0].Kind == Claim {
					s, _ := table.Get(steps[0].Service)
					s = applyStep(s, steps[0])
					s.Version += "+"
					table.Apply(false, refs(s), nil, v.Now)
					steps, _ = table.Steps(v)
					holder = s
				}
			}
			if table.looks > 5*12 {
				t.Errorf("%d looks at Services to serve 5 of %d", table.looks, crowd)
			}
		})
	}
}

// TestWaitingForAPartner: an address that may be shared from now on is for those with its key only.
func TestWaitingForAPartner(t *testing.T) {
	table, v, holder := crowded(t, 1000, func(i int, s *Service) {
		s.annotate(askShare[0], fmt.Sprint(i/2))
		s.Ports = []string{fmt.Sprint("TCP/", i)}
	})
	holder.Version = "2"
	holder.annotate(askShare[0], "250")
	holder.Ports = []string{"TCP/9999"}
	table.Apply(false, refs(holder), nil, v.Now)
	steps, _ := table.Steps(v)
	var served []string
	for _, s := range steps {
		served = append(served, s.Kind+" "+s.Service.Name)
	}
	if want := []string{"note holder", "claim s00500", "claim s00501"}; !slices.Equal(served, want) {
		t.Errorf("%v, want %v", served, want)
	}
	if table.looks > 10 {
		t.Errorf("%d looks", table.looks)
	}
}

// TestTimersAreNoMoreThanServices: edits of a Service that waits leave one timer, and a Service
// that is gone none.
func TestTimersAreNoMoreThanServices(t *testing.T) {
	v := View{Now: epoch, Installation: "here", Pools: mustPools(t, Pool{Name: "p", Ranges: []string{"198.18.0.0/24"}, Namespaces: []string{"other"}, Keep: KeepNever, RevokeAfter: "24h"})}
	s := boundServices(1, netip.MustParseAddr("198.18.0.0"))[0]
	table := NewTable()
	for i := range 100 {
		s.Version = fmt.Sprint(i + 1)
		table.Apply(false, refs(s), nil, v.Now)
		steps, wake := table.Steps(v)
		if wake.IsZero() {
			t.Fatalf("edit %d: it waits for nothing: %+v", i, steps)
		}
		v.Now = v.Now.Add(time.Second)
	}
	if n := len(table.timers); n != 1 {
		t.Errorf("%d timers of one Service", n)
	}
	table.Apply(false, nil, []Key{s.Key()}, v.Now)
	if n := len(table.timers); n != 0 {
		t.Errorf("%d timers of no Service", n)
	}
}

// TestTimersFireInOrder sets, moves and takes back timers as it comes, and compares with a plain
// list of them.
func TestTimersFireInOrder(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		table, want := NewTable(), map[Key]time.Time{}
		var all []Service
		for i := range 5 {
			all = append(all, plainService(i))
		}
		table.Apply(true, refs(all...), nil, epoch)
		for range rapid.IntRange(1, 40).Draw(r, "length") {
			e := table.entries[rapid.SampledFrom(all).Draw(r, "service").Key()]
			at, known := want[e.s.Key()]
			if rapid.Bool().Draw(r, "silence") {
				table.stopTimer(e)
				delete(want, e.s.Key())
			} else {
				n := epoch.Add(time.Duration(rapid.IntRange(0, 20).Draw(r, "at")))
				table.setTimer(e, n)
				if !known || n.Before(at) {
					want[e.s.Key()] = n
				}
			}
			next := time.Time{}
			for _, at := range want {
				next = earliest(next, at)
			}
			if got := table.nextTimer(); !got.Equal(next) || len(table.timers) != len(want) {
				r.Fatalf("%d timers, the next at %s, want %d, at %s", len(table.timers), got, len(want), next)
			}
		}
	})
}
