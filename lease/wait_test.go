package lease

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
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
		{"each with a sharing key of its own", func(i int, s *Service) { s.annotate(wishShare[0], fmt.Sprint(i)) }},
		{"all with one sharing key", func(_ int, s *Service) { s.annotate(wishShare[0], "k") }},
		{"for one of two reasons", func(i int, s *Service) {
			if i%2 == 0 {
				s.annotate(wishPool[0], "p")
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
				v.Now = v.Now.Add(rest)
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
		s.annotate(wishShare[0], fmt.Sprint(i/2))
		s.Ports = []string{fmt.Sprint("TCP/", i)}
	})
	holder.Version = "2"
	holder.annotate(wishShare[0], "250")
	holder.Ports = []string{"TCP/9999"}
	table.Apply(false, refs(holder), nil, v.Now)
	steps, _ := table.Steps(v)
	var served []string
	for _, s := range steps {
		served = append(served, s.Kind+" "+s.Service.Name)
	}
	if want := []string{"claim s00500", "claim s00501"}; !slices.Equal(served, want) {
		t.Errorf("%v, want %v", served, want)
	}
	if table.looks > 10 {
		t.Errorf("%d looks", table.looks)
	}
}
