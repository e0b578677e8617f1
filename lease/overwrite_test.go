package lease

import (
	"fmt"
	"net/netip"
	"testing"
	"time"
)

func TestOverwritten(t *testing.T) {
	runScripts(t, []scriptTest{
		{"another address of the pool is written over a bound one: it is put right, and told who did it", `
			pool default 198.18.64.1-198.18.64.9
			create a
			settle
			events a IPAllocated: 198.18.64.1 from pool "default"
			ingress a 198.18.64.7 kubectl-patch
			step bind a
			a 198.18.64.1
			holds a 198.18.64.1(bound)
			events a StatusOverwritten: status.loadBalancer.ingress was set to 198.18.64.7 by "kubectl-patch": set back to 198.18.64.1
			writes 3
			step
		`},
		{"an address of no pool", `
			pool default 198.18.64.1-198.18.64.9
			create a
			settle
			events a IPAllocated: 198.18.64.1 from pool "default"
			ingress a 203.0.113.7
			step bind a
			a 198.18.64.1
			events a StatusOverwritten: status.loadBalancer.ingress was set to 203.0.113.7: set back to 198.18.64.1
		`},
		{"the address of another Service", `
			pool default 198.18.64.1-198.18.64.9
			create a
			create b
			settle
			ingress a 198.18.64.2 other
			settle
			a 198.18.64.1
			b 198.18.64.2
			ingress b 198.18.64.1 other
			settle
			a 198.18.64.1
			b 198.18.64.2
		`},
		{"two Services have their addresses exchanged", `
			pool default 198.18.64.1-198.18.64.9
			create a
			create b
			settle
			ingress a 198.18.64.2 other
			ingress b 198.18.64.1 other
			settle
			wait 1s
			settle
			a 198.18.64.1
			b 198.18.64.2
			writes 8
		`},
		{"a hostname in place of the address, and beside it", `
			pool default 198.18.64.1-198.18.64.9
			create a
			settle
			events a IPAllocated: 198.18.64.1 from pool "default"
			ingress a lb.example other
			step bind a
			a 198.18.64.1
			events a StatusOverwritten: status.loadBalancer.ingress was set to lb.example by "other": set back to 198.18.64.1
			ingress a 198.18.64.1,lb.example other
			step
		`},
		{"further addresses beside the bound one are taken off, without a word about an address that the Service never had", `
			pool default 198.18.64.1-198.18.64.9
			create a
			settle
			events a IPAllocated: 198.18.64.1 from pool "default"
			ingress a 198.18.64.1,198.18.64.7,203.0.113.7 other
			step release a
			a 198.18.64.1
			events a StatusOverwritten: status.loadBalancer.ingress was set to 198.18.64.1, 198.18.64.7, 203.0.113.7 by "other": set back to 198.18.64.1
		`},
		{"an emptied status is put right without a word, and the second time with one", `
			pool default 198.18.64.1-198.18.64.9
			create a
			settle
			events a IPAllocated: 198.18.64.1 from pool "default"
			ingress a -
			step bind a
			events a
			ingress a -
			step
			wait 200ms
			step bind a
			a 198.18.64.1
			events a StatusOverwritten: status.loadBalancer.ingress was set to nothing: set back to 198.18.64.1
		`},
		{"both families, and one of two", `
			pool both 198.18.65.1-198.18.65.9,2001:db8::1-2001:db8::9
			create a families=46 policy=RequireDualStack
			create b families=46 policy=PreferDualStack
			settle
			ingress a 198.18.65.7,2001:db8::7 other
			ingress b 198.18.65.2 other
			step bind a bind b
			a 198.18.65.1,2001:db8::1
			b 198.18.65.2,2001:db8::2
			wait 1s
			ingress a 2001:db8::1,198.18.65.9
			wait 1s
			settle
			a 198.18.65.1,2001:db8::1
		`},
		{"an address that is shared", `
			pool default 198.18.64.1-198.18.64.9
			create a share=k ports=TCP/80
			create b share=k ports=TCP/81
			settle
			ingress b 198.18.64.7 other
			settle
			a 198.18.64.1
			b 198.18.64.1
		`},
		{"a lease of before that is applied again, as with a manifest that was exported", `
			pool default 198.18.64.1-198.18.64.9
			create a
			settle
			edit a ips=198.18.64.5
			settle
			edit a ips=
			events a IPAllocated: 198.18.64.1 from pool "default"; IPAllocated: 198.18.64.5 from pool "default"; IPReleased: 198.18.64.1: replaced by 198.18.64.5
			lease a {"v":1,"by":"here","ips":[{"ip":"198.18.64.1","state":"bound"}]}
			settle
			a 198.18.64.5
			holds a 198.18.64.5(bound)
		`},
		{"a speaker that has just started goes by the lease", `
			pool default 198.18.64.1-198.18.64.9
			create a
			settle
			ingress a 198.18.64.7 other
			restart
			settle
			a 198.18.64.1
		`},
		{"what nobody here has bound is adopted, also beside a claim", `
			pool default 198.18.64.1-198.18.64.9
			create a
			step claim a
			ingress a 198.18.64.7 other
			settle
			a 198.18.64.7
			create b
			ingress b 198.18.64.6 other
			settle
			b 198.18.64.6
		`},
		{"after a flip of the type what is found there is restored, too", `
			pool default 198.18.64.1-198.18.64.9
			create a
			settle
			edit a type=ClusterIP
			edit a type=LoadBalancer
			ingress a 198.18.64.7 other
			settle
			a 198.18.64.1
		`},
		{"an address that the Service may not have any more is not put back", `
			pool default 198.18.64.1-198.18.64.9
			create a
			settle
			pools
			pool default 198.18.64.5-198.18.64.9
			ingress a 198.18.64.7 other
			settle
			a 198.18.64.7
		`},
		{"a request that was changed at the same time is granted", `
			pool default 198.18.64.1-198.18.64.9
			create a
			settle
			ingress a 198.18.64.7 other
			edit a ips=198.18.64.7
			wait 1s
			settle
			a 198.18.64.7
		`},
		{"a node's address is not put back", `
			pool default 198.18.64.1-198.18.64.9
			create a
			settle
			reserve 198.18.64.1 node n3's address
			ingress a 198.18.64.7 other
			settle
			a 198.18.64.7
		`},
		{"what was put right is reported again after ten minutes of peace, and another writer at once", `
			pool default 198.18.64.1-198.18.64.9
			create a
			settle
			events a IPAllocated: 198.18.64.1 from pool "default"
			ingress a 198.18.64.7 one
			settle
			events a StatusOverwritten: status.loadBalancer.ingress was set to 198.18.64.7 by "one": set back to 198.18.64.1
			wait 1s
			ingress a 198.18.64.7 one
			wait 1s
			settle
			events a
			ingress a 198.18.64.7 two
			wait 1s
			settle
			events a StatusOverwritten: status.loadBalancer.ingress was set to 198.18.64.7 by "two": set back to 198.18.64.1
			wait 10m
			ingress a 198.18.64.7 one
			settle
			events a StatusOverwritten: status.loadBalancer.ingress was set to 198.18.64.7 by "one": set back to 198.18.64.1
		`},
	})
}

// TestRivalWriter has another load balancer that writes its own address whenever it sees ours, at
// once and for an hour, for many Services. Several speakers answer with few writes and one event,
// and the Service is told to wait.
func TestRivalWriter(t *testing.T) {
	const services, speakers = 10, 3
	api, pools := newServer(), mustPools(t, Pool{Name: "p", Ranges: []string{"198.18.64.0/24"}})
	for i := range services {
		api.create(plainService(i))
	}
	var tables []*Table
	for range speakers {
		tables = append(tables, NewTable())
	}
	events, waiting := map[string]int{}, 0
	round := func(now time.Time) {
		for i, table := range tables {
			table.Apply(true, refs(api.list()...), nil, now)
			v := View{Now: now, Installation: "here", Self: fmt.Sprint("n", i), Pools: pools, Rank: func(string) int { return i }}
			steps, _ := table.Steps(v)
			for _, st := range steps {
				if st.Kind == Tell {
					t.Errorf("%+v", st.Events)
					continue
				}
				err := api.write(st)
				if table.Done(st, now, err); err != nil {
					continue
				}
				for _, e := range st.Events {
					events[e.Reason]++
				}
			}
			waiting = max(waiting, len(table.Waiting(100)))
		}
	}
	rival := func() {
		for i := range services {
			k := plainService(i).Key()
			theirs := fmt.Sprintf("198.18.64.%d", 100+i)
			if s := api.services[k]; len(s.Ingress) != 1 || s.Ingress[0] != theirs {
				api.edit(k, func(s *Service) { s.Ingress, s.Writer = []string{theirs}, "controller" })
			}
		}
	}
	now := epoch
	for ; now.Before(epoch.Add(10 * time.Second)); now = now.Add(100 * time.Millisecond) {
		round(now)
	}
	before := api.writes
	for ; now.Before(epoch.Add(time.Hour)); now = now.Add(100 * time.Millisecond) {
		rival()
		round(now)
	}
	writes := float64(api.writes-before) / services
	t.Logf("%.0f writes for each Service in an hour, events %v", writes, events)
	if writes > 3600/lastRetry.Seconds()+10 || writes < 100 {
		t.Errorf("%.0f writes for each Service", writes)
	}
	if events[StatusOverwritten] != services || events[IPReleased] > 0 || waiting != services {
		t.Errorf("events %v, %d wait", events, waiting)
	}
	for i := range services { // the rival ends
		api.edit(plainService(i).Key(), func(*Service) {})
	}
	for end := now.Add(2 * lastRetry); now.Before(end); now = now.Add(100 * time.Millisecond) {
		round(now)
	}
	for i := range services {
		if s := api.services[plainService(i).Key()]; !boundTo(s, netip.MustParseAddr(fmt.Sprintf("198.18.64.%d", i))) {
			t.Errorf("%s has %v", s.Name, s.Ingress)
		}
	}
}
