package lease

import (
	"fmt"
	"net/netip"
	"testing"
	"time"
)

func mustPools(t testing.TB, pools ...Pool) *Pools {
	t.Helper()
	p, err := NewPools(pools)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// boundServices returns n Services that are bound to n addresses from first on.
func boundServices(n int, first netip.Addr) []Service {
	var all []Service
	ip := first
	for i := range n {
		l := Lease{V: 1, By: "here", Holder: "n1", IPs: []Item{{IP: ip, Pool: "p", State: stateBound}}}
		s := plainService(i)
		s.Families = []string{familyName(family(ip))}
		s.annotate(LeaseAnnotation, l.Encode())
		s.annotate(PoolAnnotation, "p")
		s.Ingress = []string{ip.String()}
		all = append(all, s)
		ip = ip.Next()
	}
	return all
}

func plainService(i int) Service {
	return Service{
		Namespace: "ns", Name: fmt.Sprintf("s%05d", i), UID: fmt.Sprintf("uid-%05d", i), Version: "1", Type: typeLoadBalancer,
		Created: epoch.Add(time.Duration(i) * time.Millisecond), Families: []string{ipv4}, Ports: []string{"TCP/80"},
	}
}

// BenchmarkPick picks one address for a new Service, in pools as full as they may be, and gives it
// back.
func BenchmarkPick(b *testing.B) {
	for _, bb := range []struct {
		name, first, cidr string
		held              int
	}{
		{"v4_16_with_10000_held", "198.18.0.0", "198.18.0.0/16", 10000},
		{"v4_16_with_65000_held", "198.18.0.0", "198.18.0.0/16", 65000},
		{"v6_64_with_10000_held", "2001:db8::", "2001:db8::/64", 10000},
	} {
		b.Run(bb.name, func(b *testing.B) {
			t := NewTable()
			t.Apply(true, refs(boundServices(bb.held, netip.MustParseAddr(bb.first))...), nil, epoch)
			v := View{Now: epoch, Installation: "here", Pools: mustPools(b, Pool{Name: "p", Ranges: []string{bb.cidr}})}
			t.Steps(v)
			s := plainService(99999)
			s.Families = []string{familyName(family(netip.MustParseAddr(bb.first)))}
			for i := 0; b.Loop(); i++ {
				s.UID = fmt.Sprint("uid-", i)
				t.Apply(false, refs(s), nil, epoch)
				if steps, _ := t.Steps(v); len(steps) != 1 || steps[0].Kind != Claim {
					b.Fatal("no claim")
				}
			}
		})
	}
}

// BenchmarkPickWithChurn holds and releases every picked address.
func BenchmarkPickWithChurn(b *testing.B) {
	t := NewTable()
	t.Apply(true, refs(boundServices(60000, netip.MustParseAddr("198.18.0.0"))...), nil, epoch)
	v := View{Now: epoch, Installation: "here", Pools: mustPools(b, Pool{Name: "p", Ranges: []string{"198.18.0.0/16"}})}
	t.Steps(v)
	s := plainService(99999)
	for i := 0; b.Loop(); i++ {
		v.Now = v.Now.Add(time.Second)
		s.UID, s.Version = fmt.Sprint("uid-", i), "1"
		t.Apply(false, refs(s), nil, v.Now)
		steps, _ := t.Steps(v)
		if len(steps) != 1 {
			b.Fatal("no claim")
		}
		held := applyStep(s, steps[0])
		held.Version = "2"
		t.Apply(false, refs(held), nil, v.Now)
		t.Apply(false, nil, []Key{s.Key()}, v.Now)
	}
}

// BenchmarkRestart lists 10,000 bound Services and finds nothing to do.
func BenchmarkRestart(b *testing.B) {
	list := refs(boundServices(10000, netip.MustParseAddr("198.18.0.0"))...)
	v := View{Now: epoch, Installation: "here", Pools: mustPools(b, Pool{Name: "p", Ranges: []string{"198.18.0.0/16"}})}
	for b.Loop() {
		t := NewTable()
		t.Apply(true, list, nil, epoch)
		if steps, _ := t.Steps(v); len(steps) > 0 {
			b.Fatal("there is nothing to do")
		}
		if n := len(t.VIPs(v)); n != 10000 {
			b.Fatal(n)
		}
	}
}

// BenchmarkRelist lists 10,000 Services again in which nothing has changed.
func BenchmarkRelist(b *testing.B) {
	v := View{Now: epoch, Installation: "here", Pools: mustPools(b, Pool{Name: "p", Ranges: []string{"198.18.0.0/16"}})}
	t := NewTable()
	t.Apply(true, refs(boundServices(10000, netip.MustParseAddr("198.18.0.0"))...), nil, epoch)
	t.Steps(v)
	again := refs(boundServices(10000, netip.MustParseAddr("198.18.0.0"))...)
	for b.Loop() {
		t.Apply(true, again, nil, epoch)
		if len(t.dirty) > 0 {
			b.Fatal("something seems to have changed")
		}
	}
}

// BenchmarkEdit shows one changed Service among 10,000.
func BenchmarkEdit(b *testing.B) {
	list := boundServices(10000, netip.MustParseAddr("198.18.0.0"))
	v := View{Now: epoch, Installation: "here", Pools: mustPools(b, Pool{Name: "p", Ranges: []string{"198.18.0.0/16"}})}
	t := NewTable()
	t.Apply(true, refs(list...), nil, epoch)
	t.Steps(v)
	t.VIPs(v)
	for i := 0; b.Loop(); i++ {
		s := list[i%len(list)]
		s.Version = fmt.Sprint(i + 2)
		t.Apply(false, refs(s), nil, epoch)
		t.Steps(v)
		t.VIPs(v)
	}
}

// BenchmarkWaiting frees one address that 10,000 Services wait for.
func BenchmarkWaiting(b *testing.B) {
	v := View{Now: epoch, Installation: "here", Pools: mustPools(b, Pool{Name: "p", Ranges: []string{"198.18.0.0/32"}})}
	t := NewTable()
	holder := boundServices(1, netip.MustParseAddr("198.18.0.0"))[0]
	holder.Name, holder.UID = "holder", "holder"
	list := []Service{holder}
	for i := range 10000 {
		list = append(list, plainService(i))
	}
	t.Apply(true, refs(list...), nil, epoch)
	t.Steps(v)
	for i := 0; b.Loop(); i++ {
		t.Apply(false, nil, []Key{holder.Key()}, v.Now)
		v.Now = v.Now.Add(Rest)
		if steps, _ := t.Steps(v); len(steps) != 1 || steps[0].Service.Name != "s00000" {
			b.Fatal(steps)
		}
		holder.Version = fmt.Sprint(i + 2)
		back := plainService(0)
		back.Version = holder.Version
		t.Apply(false, refs(holder, back), nil, v.Now)
		t.Steps(v)
	}
}

// BenchmarkCrowd has 1,000 Services created at once, claimed and bound.
func BenchmarkCrowd(b *testing.B) {
	b.Run("strangers", func(b *testing.B) { crowd(b, "") })
	b.Run("one sharing key and one port", func(b *testing.B) { crowd(b, "k") })
}

func crowd(b *testing.B, key string) {
	v := View{Now: epoch, Installation: "here", Pools: mustPools(b, Pool{Name: "p", Ranges: []string{"198.18.0.0/16"}})}
	var list []Service
	for i := range 1000 {
		s := plainService(i)
		if key != "" {
			s.annotate(askShare[0], key)
		}
		list = append(list, s)
	}
	for b.Loop() {
		t := NewTable()
		now := list
		for round := range 2 {
			t.Apply(false, refs(now...), nil, epoch)
			steps, _ := t.Steps(v)
			next := make([]Service, 0, len(steps))
			for i, st := range steps {
				s := applyStep(now[i], st)
				s.Version = fmt.Sprint(round + 2)
				next = append(next, s)
			}
			now = next
		}
		t.Apply(false, refs(now...), nil, epoch)
		if n := len(t.VIPs(v)); n != 1000 {
			b.Fatal(n)
		}
	}
}

// BenchmarkFreeList is the choice of a free address alone, without and with announcers to choose
// among.
func BenchmarkFreeList(b *testing.B) {
	for _, bb := range []struct {
		cidr, first string
		held        int
	}{
		{"198.18.0.0/16", "198.18.0.0", 65000},
		{"2001:db8::/64", "2001:db8::", 10000},
	} {
		for _, nodes := range []int{0, 3, 50, 500} {
			b.Run(fmt.Sprintf("%d held of %s, %d nodes", bb.held, bb.cidr[len(bb.cidr)-2:], nodes), func(b *testing.B) {
				first := netip.MustParseAddr(bb.first)
				s := newBench(b, Pool{Name: "p", Ranges: []string{bb.cidr}}, family(first))
				if nodes > 0 {
					s.loads = newLoads(hashed(nodes))
				}
				for ip, i := first, 0; i < bb.held; ip, i = ip.Next(), i+1 {
					s.occupy(ip)
				}
				s.ask()
				for b.Loop() {
					s.now = s.now.Add(time.Second)
					ip, ok, _ := s.ask()
					if !ok {
						b.Fatal("none is free")
					}
					s.occupy(ip)
					s.vacate(ip)
				}
			})
		}
	}
}
