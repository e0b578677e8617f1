package lease

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"net/netip"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestChoice(t *testing.T) {
	runScripts(t, []scriptTest{
		{"the first address first, then the lowest of a node that has fewest", `
			pool default 198.18.64.1-198.18.64.9
			spread n1=198.18.64.1,198.18.64.2,198.18.64.4,198.18.64.5 n2=198.18.64.6,198.18.64.8 n3=198.18.64.3,198.18.64.7
			create a
			create b
			create c
			create d
			create e
			create f
			settle
			a 198.18.64.1
			b 198.18.64.3
			c 198.18.64.6
			d 198.18.64.2
			e 198.18.64.7
			f 198.18.64.8
		`},
		{"when the nodes with fewest have no free address, the next ones", `
			pool default 198.18.64.1-198.18.64.4
			spread n1=198.18.64.1 n2=198.18.64.2,198.18.64.3,198.18.64.4 n3=
			create a
			create b
			create c
			create d
			settle
			a 198.18.64.1
			b 198.18.64.2
			c 198.18.64.3
			d 198.18.64.4
		`},
		{"addresses that were asked for count, and those of every pool", `
			pool default 198.18.64.1-198.18.64.4
			pool other noauto 198.18.65.1-198.18.65.4
			spread n1=198.18.64.1,198.18.64.2,198.18.65.1 n2=198.18.64.3,198.18.64.4
			create a ips=198.18.65.1
			create b
			create c
			settle
			b 198.18.64.3
			c 198.18.64.1
		`},
		{"addresses that are in no pool do not count", `
			pool default 198.18.64.1-198.18.64.4
			spread n1=198.18.64.1,203.0.113.1,203.0.113.2 n2=198.18.64.3
			create a class=example.com/other
			ingress a 203.0.113.1,203.0.113.2
			create b
			settle
			b 198.18.64.1
		`},
		{"an address that is shared counts once", `
			pool default 198.18.64.1-198.18.64.4
			spread n1=198.18.64.1,198.18.64.2 n2=198.18.64.3,198.18.64.4
			create a share=k ports=TCP/80
			create b share=k ports=TCP/81
			create c
			create d
			settle
			a 198.18.64.1
			b 198.18.64.1
			c 198.18.64.3
			d 198.18.64.2
		`},
		{"a pick that is under way counts, and a deleted Service does not", `
			pool default 198.18.64.1-198.18.64.6
			spread n1=198.18.64.1,198.18.64.2,198.18.64.3 n2=198.18.64.4,198.18.64.5,198.18.64.6
			create a
			create b
			step claim a claim b
			holds a 198.18.64.1(claimed)
			holds b 198.18.64.4(claimed)
			delete b
			create c
			settle
			c 198.18.64.5
		`},
		{"released addresses come last even for a node that has none", `
			pool default 198.18.64.1-198.18.64.3
			spread n1=198.18.64.1,198.18.64.2 n2=198.18.64.3
			create a
			create b
			settle
			b 198.18.64.3
			delete b
			wait 5s
			create c
			settle
			c 198.18.64.2
			create d
			settle
			d 198.18.64.3
		`},
		{"of released addresses one of a node that has fewest, then the one released longest ago", `
			pool default 198.18.64.1-198.18.64.4
			spread n1=198.18.64.1,198.18.64.2 n2=198.18.64.3,198.18.64.4
			create a ips=198.18.64.1
			create b ips=198.18.64.2
			create c ips=198.18.64.3
			create d ips=198.18.64.4
			settle
			delete a
			wait 1s
			delete d
			wait 1s
			delete c
			wait 5s
			create e
			create f
			create g
			settle
			e 198.18.64.4
			f 198.18.64.1
			g 198.18.64.3
		`},
		{"both families of one Service go to two nodes", `
			pool default 198.18.64.1-198.18.64.2,2001:db8::1-2001:db8::2
			spread n1=198.18.64.1,2001:db8::1 n2=198.18.64.2,2001:db8::2
			create a families=46 policy=RequireDualStack
			create b families=46 policy=RequireDualStack
			settle
			a 198.18.64.1,2001:db8::2
			b 198.18.64.2,2001:db8::1
		`},
		{"other members are another choice, and everything is counted anew", `
			pool default 198.18.64.1-198.18.64.6
			spread n1=198.18.64.1,198.18.64.2,198.18.64.3,198.18.64.4,198.18.64.5,198.18.64.6
			create a
			create b
			settle
			a 198.18.64.1
			b 198.18.64.2
			spread n1=198.18.64.1,198.18.64.2,198.18.64.3 n2=198.18.64.4,198.18.64.5,198.18.64.6
			create c
			create d
			settle
			c 198.18.64.4
			d 198.18.64.5
			spread
			create e
			settle
			e 198.18.64.3
		`},
		{"an address that nobody would announce comes last", `
			pool default 198.18.64.1-198.18.64.2
			spread n1=198.18.64.2
			create a
			create b
			settle
			a 198.18.64.2
			b 198.18.64.1
		`},
		{"another configuration is counted anew", `
			pool default 198.18.64.1-198.18.64.4
			spread n1=198.18.64.1,198.18.64.2,198.18.65.1 n2=198.18.64.3,198.18.64.4
			create a class=example.com/other
			ingress a 198.18.65.1
			create b
			settle
			b 198.18.64.1
			pool more 198.18.65.1/32
			create c
			create d
			create e
			settle
			c 198.18.64.3
			d 198.18.64.4
			e 198.18.64.2
		`},
	})
}

// hashed spreads addresses over nodes as rendezvous hashing does: evenly, and without any order.
func hashed(nodes int) *Spread {
	names := make([]string, nodes)
	for i := range names {
		names[i] = fmt.Sprintf("n%03d", i)
	}
	return &Spread{Nodes: names, Announcer: func(ip netip.Addr) string {
		h := fnv.New64a()
		raw := ip.As16()
		h.Write(raw[:])
		return names[(h.Sum64()^h.Sum64()>>29)%uint64(nodes)]
	}}
}

// TestChoiceAgainstNaive compares the choice of a free list with a look at every address: the first
// of all that were never held, else of all that have rested, by announcer's count, release and
// address.
func TestChoiceAgainstNaive(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		b := newBench(t, Pool{Name: "a", Ranges: []string{"192.0.2.250-192.0.3.20", "192.0.3.30-192.0.3.40"}}, 0)
		var all []netip.Addr
		for _, s := range b.pool.spans[0] {
			for ip := s.first; ip.Compare(s.last) <= 0; ip = ip.Next() {
				all = append(all, ip)
			}
		}
		b.loads = newLoads(hashed(rapid.IntRange(1, 6).Draw(r, "nodes")))
		releasedAt := map[netip.Addr]time.Time{}
		for range rapid.IntRange(1, 150).Draw(r, "length") {
			b.now = b.now.Add(time.Duration(rapid.IntRange(1, 3000).Draw(r, "ms")) * time.Millisecond)
			ip := rapid.SampledFrom(all).Draw(r, "ip")
			switch action := rapid.IntRange(0, 9).Draw(r, "action"); {
			case action < 6:
				want := b.naive(all, releasedAt)
				if got, _, _ := b.ask(); got != want {
					r.Fatalf("picked %v, want %v", got, want)
				}
				b.occupy(want)
				delete(releasedAt, want)
			case action == 6:
				b.relabel(rapid.IntRange(1, 6).Draw(r, "other nodes"))
			case action == 7:
				b.occupy(ip) // asked for by name
				delete(releasedAt, ip)
			case b.taken[ip]:
				b.vacate(ip)
				releasedAt[ip] = b.now
			}
		}
	})
}

func (b *bench) occupy(ip netip.Addr) {
	if ip.IsValid() {
		b.taken[ip] = true
		b.loads.set(ip, true)
	}
}

func (b *bench) vacate(ip netip.Addr) {
	b.give(ip.String())
	b.loads.set(ip, false)
}

// relabel has the addresses announced by others.
func (b *bench) relabel(nodes int) {
	b.loads = newLoads(hashed(nodes))
	for ip := range b.taken {
		b.loads.set(ip, true)
	}
}

func (b *bench) naive(all []netip.Addr, releasedAt map[netip.Addr]time.Time) netip.Addr {
	var best netip.Addr
	order := func(x, y netip.Addr) int {
		_, used := releasedAt[x]
		_, other := releasedAt[y]
		return cmp.Or(btoi(used)-btoi(other), b.loads.count(b.loads.announcer(x))-b.loads.count(b.loads.announcer(y)),
			releasedAt[x].Compare(releasedAt[y]), x.Compare(y))
	}
	for _, ip := range all {
		at, used := releasedAt[ip]
		if b.taken[ip] || used && at.Add(Rest).After(b.now) {
			continue
		}
		if !best.IsValid() || order(ip, best) < 0 {
			best = ip
		}
	}
	return best
}

// TestChoiceLooksAhead makes sure that as many addresses are looked at as it takes, and no more.
func TestChoiceLooksAhead(t *testing.T) {
	b := newBench(t, Pool{Name: "a", Ranges: []string{"2001:db8::/64"}}, 1)
	asked := 0
	const lonely = "2001:db8::20"
	b.loads = newLoads(&Spread{Nodes: []string{"n1", "n2"}, Announcer: func(ip netip.Addr) string {
		asked++
		if ip.String() == lonely {
			return "n2"
		}
		return "n1"
	}})
	for _, tt := range []struct {
		want string
		asks int
		why  string
	}{
		{"2001:db8::", 1, "it is of a node that has fewest, as all have none"},
		{lonely, 32, "the only one of the other node is found behind 31 of the first"},
		{"2001:db8::1", 0, "both have one, and this one was seen before"},
		{"2001:db8::2", leastWindow - 30, "n2 has fewest, and the window is filled in search of another of its addresses"},
		{"2001:db8::3", 1, "one more is looked at for the one that was taken"},
		{"2001:db8::4", 1, "and again"},
	} {
		asked = 0
		got, _, _ := b.ask()
		if got != netip.MustParseAddr(tt.want) || asked != tt.asks {
			t.Errorf("picked %v and asked for %d, want %s and %d: %s", got, asked, tt.want, tt.asks, tt.why)
		}
		b.taken[got] = true
		b.loads.n[b.loads.index[b.loads.spread.Announcer(got)]]++
	}
}

// TestChoiceSpreads holds what choosing is for: no node has more than one above the mean.
func TestChoiceSpreads(t *testing.T) {
	for _, tt := range []struct{ nodes, services int }{{1, 10}, {3, 60}, {7, 3}, {50, 1000}, {200, 1000}} {
		t.Run(fmt.Sprintf("%d nodes, %d Services", tt.nodes, tt.services), func(t *testing.T) {
			spread := hashed(tt.nodes)
			v := View{Now: epoch, Installation: "here", Pools: mustPools(t, Pool{Name: "p", Ranges: []string{"198.18.0.0/16"}}), Spread: spread}
			table := NewTable()
			var list []Service
			for i := range tt.services {
				list = append(list, plainService(i))
			}
			table.Apply(true, refs(list...), nil, epoch)
			steps, _ := table.Steps(v)
			by := map[string]int{}
			for _, st := range steps {
				l, err := DecodeLease(st.Annotations[LeaseAnnotation])
				if err != nil {
					t.Fatal(err)
				}
				by[spread.Announcer(l.IPs[0].IP)]++
			}
			var counts []int
			for _, name := range spread.Nodes {
				counts = append(counts, by[name])
			}
			mean := (tt.services + tt.nodes - 1) / tt.nodes
			most := slices.Max(counts)
			t.Logf("the fullest of %d nodes announces %d of %d addresses, the mean is %.1f", tt.nodes, most, tt.services, float64(tt.services)/float64(tt.nodes))
			if len(steps) != tt.services || most > mean {
				t.Errorf("%d steps; the fullest node has %d, the mean rounded up is %d", len(steps), most, mean)
			}
			if diff := gocmp.Diff("", table.inconsistent()); diff != "" {
				t.Error(diff)
			}
		})
	}
}
