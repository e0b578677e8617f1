package report

import (
	"fmt"
	"strings"

	"github.com/starling-lb/starling/api"
	"github.com/starling-lb/starling/health"
	"github.com/starling-lb/starling/lease"
)

// waiting says for each pool that is used up that Services wait for it, for all of them that there
// is none, and of the others each by name.
func waiting(all []lease.Waiting) []health.Condition {
	var list []health.Condition
	var about []health.Subject // of the conditions for several Services
	names, why := map[health.Subject][]string{}, map[health.Subject]lease.Waiting{}
	for _, w := range all {
		var subject health.Subject
		switch w.Code {
		case health.PoolFull:
			subject = health.Pool(w.Pool)
		case health.NoPool:
			subject = health.Cluster()
		default:
			list = append(list, health.New(w.Code, health.Service(w.Service.String()), fmt.Sprintf("%s waits for an address: %s", w.Service, w.Reason)))
			continue
		}
		if names[subject] == nil {
			about = append(about, subject)
		}
		names[subject], why[subject] = append(names[subject], w.Service.String()), w
	}
	for _, subject := range about {
		of := ""
		if subject.Kind == health.KindPool {
			of = fmt.Sprintf(" of pool %q", subject.Name)
		}
		n, w := names[subject], why[subject]
		list = append(list, health.New(w.Code, subject, fmt.Sprintf("%d wait for an address%s (%s): %s", len(n), of, health.Some(n, 3), w.Reason)))
	}
	return list
}

// nearlyFull says of which pools little is left, of one family or both.
func nearlyFull(pools []api.Pool) []health.Condition {
	var list []health.Condition
	for _, p := range pools {
		var left []string
		full := "nearly full"
		for _, f := range p.NearlyFull() {
			if f.Free == 0 {
				full = "full"
				left = append(left, fmt.Sprintf("none of %d %s addresses is left", f.Size, f.Family))
				continue
			}
			left = append(left, fmt.Sprintf("%d of %d %s addresses are left", f.Free, f.Size, f.Family))
		}
		if len(left) > 0 {
			list = append(list, health.New(health.PoolNearlyFull, health.Pool(p.Name), fmt.Sprintf("pool %q is %s: %s", p.Name, full, strings.Join(left, ", "))))
		}
	}
	return list
}

// Words are the words of conditions.
func Words(all []health.Condition) []string {
	var words []string
	for _, c := range all {
		words = append(words, c.Words)
	}
	return words
}

// listWaiting lists the Services that wait, as status shows them.
func listWaiting(all []lease.Waiting) []api.Waiting {
	list := make([]api.Waiting, len(all))
	for i, w := range all {
		list[i] = api.Waiting{Service: w.Service.String(), Pool: w.Pool, Reason: w.Reason, Code: w.Code}
	}
	return list
}

// elsewhere says what leases of other installations hold of our pools.
func elsewhere(e lease.Foreign) []health.Condition {
	if e.Services == 0 {
		return nil
	}
	return []health.Condition{health.New(health.LeasesOfOthers, health.Cluster(), fmt.Sprintf("%d addresses of our pools are shown by %d Services whose leases another installation wrote, the oldest being %s (by %q), and are not handed out",
		e.Addresses, e.Services, e.First, e.By))}
}
