package lease

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// inconsistent builds every index of a table anew from its Services and says which one differs.
func (t *Table) inconsistent() string {
	holds, flying := map[netip.Addr][]string{}, map[netip.Addr][]string{}
	keys := map[string]map[netip.Addr]int{}
	waiting := map[string]uint64{}
	count := func(key string, ip netip.Addr) {
		if key == "" {
			return
		}
		if keys[key] == nil {
			keys[key] = map[netip.Addr]int{}
		}
		keys[key][ip]++
	}
	for _, e := range t.entries {
		for _, h := range e.holds {
			if h.void {
				continue
			}
			holds[h.ip] = append(holds[h.ip], e.s.Name)
			count(e.req.share, h.ip)
		}
		if e.flight != nil {
			for _, ip := range e.flight.picks {
				flying[ip] = append(flying[ip], e.s.Name)
				count(e.flight.share, ip)
			}
		}
		if e.wait != nil && e.wait.pool != "" {
			waiting[e.wait.pool]++
		}
	}
	for _, q := range t.queues {
		if len(q.list) == 0 || !slices.IsSortedFunc(q.list, older) {
			return fmt.Sprintf("queue %q is empty or not in order", q.name)
		}
		for _, e := range q.list {
			if t.entries[e.s.Key()] != e || e.wait == nil || e.wait.queue != q {
				return fmt.Sprintf("%s is in a queue and does not know", e.s.Key())
			}
		}
	}
	for ip, es := range t.holds {
		slices.Sort(holds[ip])
		if !slices.IsSortedFunc(es, older) {
			return fmt.Sprintf("those who hold %s are not in order", ip)
		}
	}
	for ip := range flying {
		slices.Sort(flying[ip])
	}
	externals := map[netip.Addr][]string{}
	for _, e := range t.entries {
		for _, ip := range e.external {
			externals[ip] = append(externals[ip], e.s.Name)
		}
	}
	for ip := range externals {
		slices.Sort(externals[ip])
	}
	if diff := cmp.Diff(externals, names(t.externals)); diff != "" {
		return diff
	}
	diff := cmp.Diff(holds, names(t.holds)) + cmp.Diff(flying, names(t.flying)) + cmp.Diff(keys, t.keys)
	for pool, n := range t.waiting {
		if n != waiting[pool] {
			diff += fmt.Sprintf("%d wait for %s, want %d", n, pool, waiting[pool])
		}
	}
	return diff + t.miscounted()
}

// miscounted counts the addresses of each announcer and says which count differs.
func (t *Table) miscounted() string {
	if !t.loads.counted {
		return ""
	}
	busy := maps.Clone(t.holds)
	maps.Copy(busy, t.flying)
	want := make([]int, len(t.loads.n))
	for ip := range busy {
		if t.poolName(ip) != "" {
			want[t.loads.announcer(ip)]++
		}
	}
	return cmp.Diff(want, t.loads.n)
}

func names(index map[netip.Addr][]*entry) map[netip.Addr][]string {
	all := map[netip.Addr][]string{}
	for ip, es := range index {
		for _, e := range es {
			all[ip] = append(all[ip], e.s.Name)
		}
		slices.Sort(all[ip])
	}
	return all
}

// TestOneWaiterSetsTheTimer makes sure that a resting address wakes only the first that waits for
// it.
func TestOneWaiterSetsTheTimer(t *testing.T) {
	v := View{Now: epoch, Installation: "here", Pools: mustPools(t, Pool{Name: "p", Ranges: []string{"198.18.0.0/32"}})}
	table := NewTable()
	list := boundServices(1, netip.MustParseAddr("198.18.0.0"))
	for i := range 100 {
		list = append(list, plainService(i+1))
	}
	table.Apply(true, refs(list...), nil, v.Now)
	table.Steps(v)
	var late []Service
	for i := range 100 {
		late = append(late, plainService(i+200))
	}
	table.Apply(false, refs(late...), []Key{list[0].Key()}, v.Now)
	steps, wake := table.Steps(v)
	if writes := slices.DeleteFunc(steps, func(s Step) bool { return s.Kind == Tell }); len(writes) != 0 || !wake.Equal(v.Now.Add(Rest)) {
		t.Errorf("%d writes, wakes at %v", len(writes), wake)
	}
	set := 0
	for _, e := range table.entries {
		set += btoi(e.agenda != nil && !e.timer.IsZero())
	}
	if set != 1 {
		t.Errorf("%d timers are set", set)
	}
	v.Now = v.Now.Add(Rest)
	if steps, _ := table.Steps(v); len(steps) != 1 || steps[0].Service != list[1].Key() {
		t.Errorf("%+v", steps)
	}
}

// TestProgressDoesNotStarve makes sure that a step is overdue in the end even if others never stop.
func TestProgressDoesNotStarve(t *testing.T) {
	v := View{Now: epoch, Installation: "here", Pools: mustPools(t, Pool{Name: "p", Ranges: []string{"198.18.0.0/16"}}), Rank: func(string) int { return 1 }}
	table := NewTable()
	other := boundServices(1, netip.MustParseAddr("198.18.0.0"))[0]
	other.Name = "other"
	table.Apply(true, refs(plainService(0)), nil, v.Now)
	for i := 0; ; i++ {
		steps, wake := table.Steps(v)
		if len(steps) == 1 {
			break
		}
		if wake.IsZero() || i > 1000 {
			t.Fatal("it is never overdue")
		}
		v.Now = v.Now.Add(interval / 2)
		other.Version = fmt.Sprint(i + 2)
		other.annotate(LeaseAnnotation, Lease{V: 1, By: "here", Holder: fmt.Sprint(i), IPs: []Item{{IP: netip.MustParseAddr("198.18.0.0"), State: stateBound}}}.Encode())
		table.Apply(false, refs(other), nil, v.Now)
	}
	if waited := v.Now.Sub(epoch); waited < slack*interval || waited > (slack+1)*interval {
		t.Errorf("overdue after %v", waited)
	}
}

func TestVIPs(t *testing.T) {
	pools := mustPools(t, Pool{Name: "one", Ranges: []string{"198.18.0.0/24"}})
	v := View{Now: epoch, Installation: "here", Pools: pools}
	table := NewTable()
	list := boundServices(3, netip.MustParseAddr("198.18.0.254"))
	table.Apply(true, refs(list...), nil, epoch)
	addr := func(i byte) netip.Addr { return netip.AddrFrom4([4]byte{198, 18, i / 2, 254 + i%2}) }
	before := []VIP{
		{IP: addr(0), Pool: "one", Services: []Key{list[0].Key()}},
		{IP: addr(1), Pool: "one", Services: []Key{list[1].Key()}},
		{IP: netip.MustParseAddr("198.18.1.0"), Services: []Key{list[2].Key()}},
	}
	first := table.VIPs(v)
	if diff := cmp.Diff(before, first, compareAddrs); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if again := table.VIPs(v); &again[0] != &first[0] {
		t.Error("built again without need")
	}
	// The names of pools follow the configuration.
	v.Pools = mustPools(t, Pool{Name: "two", Ranges: []string{"198.18.1.0/24"}})
	got := table.VIPs(v)
	if got[0].Pool != "" || got[2].Pool != "two" {
		t.Errorf("%+v", got)
	}
	if diff := cmp.Diff(before, first, compareAddrs); diff != "" {
		t.Errorf("the old list has changed (-want +got):\n%s", diff)
	}
	// Addresses of another installation are not ours.
	v.Installation = "there"
	if got := table.VIPs(v); len(got) != 0 {
		t.Errorf("%+v", got)
	}
	v.Installation = "here"
	table.Apply(false, nil, []Key{list[1].Key()}, epoch)
	if got := table.VIPs(v); len(got) != 2 {
		t.Errorf("%+v", got)
	}
}

// TestVIPsLeaveStepsAlone: what VIPs is not told is no news for Steps, which would look at
// everything.
func TestVIPsLeaveStepsAlone(t *testing.T) {
	v := View{
		Now: epoch, Installation: "here", Classes: "example.com/ours", Freeze: true, Spread: hashed(3),
		Pools: mustPools(t, Pool{Name: "p", Ranges: []string{"198.18.0.0/24"}}), Rank: func(string) int { return 1 },
	}
	table := NewTable()
	list := boundServices(3, netip.MustParseAddr("198.18.0.0"))
	for i := range list {
		list[i].Class = string(v.Classes)
	}
	waiting := plainService(9)
	waiting.Class = string(v.Classes)
	table.Apply(true, refs(append(list, waiting)...), nil, v.Now)
	table.Steps(v)
	spread := table.loads
	if n := len(table.VIPs(View{Now: epoch, Installation: "here", Pools: v.Pools})); n != len(list) {
		t.Errorf("%d VIPs, want %d", n, len(list))
	}
	table.see(&v)
	if len(table.dirty) > 0 || table.loads != spread {
		t.Errorf("%d Services are to be looked at again, and the spread is the same: %t", len(table.dirty), table.loads == spread)
	}
}

func TestUsage(t *testing.T) {
	table := NewTable()
	table.Apply(true, refs(boundServices(3, netip.MustParseAddr("198.18.0.1"))...), nil, epoch)
	one := mustPools(t, Pool{Name: "one", Ranges: []string{"198.18.0.0/24"}}, Pool{Name: "two", Ranges: []string{"2001:db8::/32"}})
	want := []Usage{{Pool: "one", Size: 256, Used: 3, Free: 253, Families: []FamilyUsage{{"IPv4", 256, 3, 253}}}, {Pool: "two", Size: 1<<64 - 1, Free: 1<<64 - 1, Families: []FamilyUsage{{"IPv6", 1<<64 - 1, 0, 1<<64 - 1}}}}
	if diff := cmp.Diff(want, table.Usage(one)); diff != "" {
		t.Errorf("before any View (-want +got):\n%s", diff)
	}
	table.Steps(View{Now: epoch, Pools: one})
	if diff := cmp.Diff(want, table.Usage(one)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	other := mustPools(t, Pool{Name: "other", Ranges: []string{"198.18.0.2-198.18.0.9"}})
	if diff := cmp.Diff([]Usage{{Pool: "other", Size: 8, Used: 2, Free: 6, Families: []FamilyUsage{{"IPv4", 8, 2, 6}}}}, table.Usage(other)); diff != "" {
		t.Errorf("of pools that are not in use yet (-want +got):\n%s", diff)
	}
}

func TestGet(t *testing.T) {
	table := NewTable()
	list := boundServices(2, netip.MustParseAddr("198.18.0.1"))
	table.Apply(false, refs(list...), nil, epoch)
	if s, ok := table.Get(list[1].Key()); !ok || s.UID != list[1].UID || table.Len() != 2 {
		t.Errorf("%+v %t of %d", s, ok, table.Len())
	}
	table.Apply(true, refs(list[:1]...), nil, epoch)
	if s, ok := table.Get(list[1].Key()); ok || s.UID != "" || table.Len() != 1 {
		t.Errorf("%+v %t of %d", s, ok, table.Len())
	}
}

// TestSilence makes sure that a caller who never says how a write ended does not lose the Service.
func TestSilence(t *testing.T) {
	v := View{Now: epoch, Installation: "here", Pools: mustPools(t, Pool{Name: "p", Ranges: []string{"198.18.0.0/16"}})}
	table := NewTable()
	table.Apply(true, refs(plainService(0)), nil, v.Now)
	first, wake := table.Steps(v)
	if len(first) != 1 || wake.Sub(v.Now) != answer {
		t.Fatalf("%d steps, next look in %v", len(first), wake.Sub(v.Now))
	}
	table.Done(first[0], v.Now, nil) // accepted, but the stream stands still
	for _, after := range []time.Duration{0, echo - 1, 1} {
		v.Now = v.Now.Add(after)
		steps, _ := table.Steps(v)
		if got, want := len(steps), btoi(after == 1); got != want {
			t.Errorf("after %v: %d steps, want %d", v.Now.Sub(epoch), got, want)
		}
	}
	if steps, wake := table.Steps(v); len(steps) != 0 || wake.Sub(v.Now) != answer {
		t.Errorf("%d steps, next look in %v", len(steps), wake.Sub(v.Now))
	}
}
