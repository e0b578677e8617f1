package lease

import (
	"fmt"
	"net/netip"
	"testing"
	"time"
)

func TestFormerAddress(t *testing.T) {
	runScripts(t, []scriptTest{
		{"deleted and made again: the Service has the address that it had", `
			pool default 198.18.64.1-198.18.64.9
			create a
			create b
			create c
			settle
			b 198.18.64.2
			delete b
			create b
			step claim b
			step bind b
			b 198.18.64.2
		`},
		{"replaced within one step of the stream", `
			pool default 198.18.64.1-198.18.64.9
			create a
			create b
			settle
			recreate a
			settle
			a 198.18.64.1
		`},
		{"nine minutes later, with others made meanwhile", `
			pool default 198.18.64.1-198.18.64.9
			create a
			settle
			delete a
			create b
			create c
			settle
			wait 9m
			create d
			settle
			create a
			settle
			a 198.18.64.1
			d 198.18.64.4
		`},
		{"ten minutes later it is like any other", `
			pool default 198.18.64.1-198.18.64.9
			create a
			settle
			delete a
			wait 10m
			create a
			settle
			a 198.18.64.2
		`},
		{"somebody asked for that very address meanwhile", `
			pool default 198.18.64.1-198.18.64.9
			create a
			settle
			delete a
			create b ips=198.18.64.1
			settle
			create a
			settle
			a 198.18.64.2
			b 198.18.64.1
		`},
		{"somebody waits for that very address", `
			pool default 198.18.64.1-198.18.64.9
			create a
			settle
			create b ips=198.18.64.1
			settle
			recreate a
			settle
			b 198.18.64.1
			a 198.18.64.2
		`},
		{"the pool was used up meanwhile", `
			pool default 198.18.64.1-198.18.64.2
			create a
			create b
			settle
			delete a
			create c
			settle
			wait 5s
			settle
			c 198.18.64.1
			create a
			settle
			a -
		`},
		{"flips of the type", `
			pool default 198.18.64.1-198.18.64.9
			create a
			create b
			settle
			edit a type=ClusterIP
			settle
			holds a -
			create c
			settle
			edit a type=LoadBalancer
			settle
			a 198.18.64.1
			edit a type=NodePort
			settle
			edit a type=LoadBalancer
			settle
			a 198.18.64.1
		`},
		{"another class for a while", `
			pool default 198.18.64.1-198.18.64.9
			create a
			settle
			edit a class=example.com/other
			settle
			create b
			settle
			edit a class=
			settle
			a 198.18.64.1
		`},
		{"the one that it had last", `
			pool default 198.18.64.1-198.18.64.9
			create a
			settle
			edit a ips=198.18.64.5
			settle
			edit a ips=
			recreate a
			settle
			a 198.18.64.5
		`},
		{"one that was never bound is not remembered", `
			pool default 198.18.64.1-198.18.64.9
			create a
			step claim a
			recreate a
			create b
			settle
			a 198.18.64.2
			b 198.18.64.3
		`},
		{"another request", `
			pool default 198.18.64.1-198.18.64.9
			pool other noauto 198.18.65.1-198.18.65.9
			create a
			settle
			delete a
			create a ips=198.18.64.7
			settle
			a 198.18.64.7
			delete a
			create a pool=other
			settle
			a 198.18.65.1
			delete a
			create a
			settle
			a 198.18.64.2
		`},
		{"an address that it may not have any more", `
			pool default 198.18.64.1-198.18.64.9
			pool team namespaces=ns priority=0 198.18.65.1-198.18.65.9
			create a
			create b
			settle
			a 198.18.65.1
			delete a
			delete b
			pools
			pool default 198.18.64.1-198.18.64.9
			pool team namespaces=other priority=0 198.18.65.1-198.18.65.9
			create a
			settle
			a 198.18.64.1
		`},
		{"an address that is reserved now", `
			pool default 198.18.64.1-198.18.64.9
			create a
			settle
			delete a
			reserve 198.18.64.1 node n3's address
			create a
			settle
			a 198.18.64.2
		`},
		{"of a pool that is not the first one", `
			pool first 198.18.64.1/32
			pool second 198.18.65.1-198.18.65.9
			create a
			create b
			settle
			b 198.18.65.1
			delete a
			wait 5s
			recreate b
			settle
			b 198.18.65.1
		`},
		{"both families", `
			pool both 198.18.65.1-198.18.65.9,2001:db8::1-2001:db8::9
			create a families=46 policy=RequireDualStack
			create b families=46 policy=PreferDualStack
			create c families=46 policy=RequireDualStack
			settle
			recreate a
			recreate b
			settle
			a 198.18.65.1,2001:db8::1
			b 198.18.65.2,2001:db8::2
			delete a
			create a
			settle
			a 198.18.65.1
		`},
		{"an address that others share", `
			pool default 198.18.64.1-198.18.64.9
			create a share=k ports=TCP/80
			create b share=k ports=TCP/81
			create c share=k ports=TCP/80
			create d share=k ports=TCP/81
			settle
			d 198.18.64.2
			delete d
			create d share=k ports=TCP/81
			settle
			d 198.18.64.2
			delete d
			create d share=k ports=TCP/80
			settle
			d 198.18.64.3
		`},
		{"a list after a lost watch", `
			pool default 198.18.64.1-198.18.64.9
			create a
			create b
			settle
			delete a
			create c
			settle
			create a
			settle
			a 198.18.64.1
		`},
		{"a speaker that starts meanwhile does not know it", `
			pool default 198.18.64.1-198.18.64.9
			create a
			create b
			settle
			delete b
			restart
			create c
			settle
			create b
			settle
			b 198.18.64.3
		`},
		{"what another installation had is its own", `
			pool default 198.18.64.1-198.18.64.9
			create a
			lease a {"v":1,"by":"there","ips":[{"ip":"198.18.64.7","state":"bound"}]}
			ingress a 198.18.64.7
			settle
			delete a
			create a
			settle
			a 198.18.64.1
		`},
	})
}

// TestFormerOfWhatTheStreamNeverShowed: a Service is deleted, or becomes another type, so soon that
// the stream shows the speaker that bound it only that.
func TestFormerOfWhatTheStreamNeverShowed(t *testing.T) {
	for _, after := range []string{"deleted", "another type", "deleted before the write is answered"} {
		s := &script{t: t, api: newServer(), table: NewTable(), reserved: map[netip.Addr]string{}, events: map[string][]string{}}
		s.view = View{Now: epoch, Installation: "here", Self: "n1", Rank: func(string) int { return 0 }}
		for _, line := range []string{"pool default 198.18.64.1-198.18.64.9", "create a", "step claim a"} {
			if diff := s.do(line); diff != "" {
				t.Fatalf("%s: %s", line, diff)
			}
		}
		steps, _ := s.table.Steps(s.view)
		if len(steps) != 1 || steps[0].Kind != Bind {
			t.Fatalf("steps %+v, want one that binds", steps)
		}
		written := s.api.write(steps[0])
		if after != "deleted before the write is answered" {
			s.table.Done(steps[0], s.view.Now, written)
		}
		last := []string{"create b", "settle", "create a", "settle", "a 198.18.64.1", "b 198.18.64.2"}
		if after == "another type" {
			s.api.edit(key("a"), func(svc *Service) {
				svc.Type = "ClusterIP"
				svc.strip(LeaseAnnotation)
			})
			last[2] = "edit a type=LoadBalancer"
		} else {
			delete(s.api.services, key("a"))
		}
		s.watch()
		s.table.Done(steps[0], s.view.Now, written)
		for _, line := range last {
			if diff := s.do(line); diff != "" {
				t.Errorf("%s: %s: %s", after, line, diff)
			}
		}
	}
}

// TestFormersAreBounded: neither many names nor one that comes and goes fill the memory.
func TestFormersAreBounded(t *testing.T) {
	var f formers
	held := []hold{{ip: netip.MustParseAddr("198.18.64.1"), leased: true, said: true}}
	now := epoch
	for i := range 3 * maxFormer {
		now = now.Add(time.Millisecond)
		f.leave(Key{"ns", fmt.Sprint(i)}, held, now, formerFor)
		f.leave(Key{"ns", "flips"}, held, now, formerFor)
	}
	if len(f.of) > maxFormer || len(f.order) > maxFormer || f.of[Key{"ns", "flips"}].at != now {
		t.Errorf("%d names, %d in order", len(f.of), len(f.order))
	}
	f.leave(Key{"ns", "last"}, held, now.Add(formerFor), formerFor)
	if len(f.of) != 1 || len(f.order) != 1 {
		t.Errorf("%d names, %d in order after all have grown old", len(f.of), len(f.order))
	}
}
