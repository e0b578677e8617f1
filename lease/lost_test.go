package lease

import (
	"net/netip"
	"testing"
	"time"
)

// TestLostClaims: of two speakers only the first knows that a station has the address that a
// Service asks for. It takes back what the second one claims, who does not do that forever at once;
// and all are served when the station is gone, or the Service asks for another address.
func TestLostClaims(t *testing.T) {
	const used, other = "198.18.64.1", "198.18.64.2"
	for _, tc := range []struct {
		name   string
		change func(api *server, taken map[string]bool, k Key)
		ip     string
		within time.Duration
	}{
		{"the station leaves", func(_ *server, taken map[string]bool, _ Key) { delete(taken, used) }, used, lastRetry + 2*interval},
		{"another request", func(api *server, _ map[string]bool, k Key) {
			api.edit(k, func(s *Service) { s.annotate(AskIPsAnnotation, other) })
		}, other, interval},
	} {
		t.Run(tc.name, func(t *testing.T) {
			api, taken := newServer(), map[string]bool{used: true}
			svc := plainService(0)
			svc.annotate(AskIPsAnnotation, used)
			api.create(svc)
			pools := mustPools(t, Pool{Name: "p", Ranges: []string{"198.18.64.0/24"}})
			knows := func(ip netip.Addr) string {
				if taken[ip.String()] {
					return "a station"
				}
				return ""
			}
			tables, views := [2]*Table{NewTable(), NewTable()}, [2]View{}
			for i := range views {
				views[i] = View{Installation: "here", Self: string(rune('a' + i)), Pools: pools, Rank: func(string) int { return i }}
			}
			views[0].Used = knows
			run := func(from time.Time, lasts time.Duration, until func() bool) time.Duration {
				for now := from; ; now = now.Add(100 * time.Millisecond) {
					for i, table := range tables {
						table.Apply(true, refs(api.list()...), nil, now)
						views[i].Now = now
						steps, _ := table.Steps(views[i])
						for _, st := range steps {
							if st.Kind != Tell {
								table.Done(st, now, api.write(st))
							}
						}
					}
					if now.Sub(from) >= lasts || until() {
						return now.Sub(from)
					}
				}
			}
			has := func() bool { return len(api.services[svc.Key()].Ingress) > 0 }
			run(epoch, 5*time.Minute, has)
			if has() || api.writes > 50 {
				t.Errorf("%d writes, address %v", api.writes, api.services[svc.Key()].Ingress)
			}
			tc.change(api, taken, svc.Key())
			if took := run(epoch.Add(5*time.Minute), time.Minute, has); took > tc.within || !has() || api.services[svc.Key()].Ingress[0] != tc.ip {
				t.Errorf("%v after %v", api.services[svc.Key()].Ingress, took)
			}
		})
	}
}
