package report

import (
	"fmt"
	"slices"
	"strings"

	"github.com/starling-lb/starling/health"
	"github.com/starling-lb/starling/lease"
)

// across says which addresses Services of different namespaces share although the pool does not
// allow it: since before it did not, or since another implementation gave them out.
func across(vips []lease.VIP, pools *lease.Pools) []health.Condition {
	count, examples := 0, []string(nil)
	for _, v := range vips {
		if len(v.Services) < 2 || v.Services[0].Namespace == v.Services[len(v.Services)-1].Namespace || pools.Shares(v.Pool) {
			continue
		}
		if count++; len(examples) == most {
			continue
		}
		i := slices.IndexFunc(v.Services, func(k lease.Key) bool { return k.Namespace != v.Services[0].Namespace })
		examples = append(examples, fmt.Sprintf("%s of pool %q by %s and %s", v.IP, v.Pool, v.Services[0], v.Services[i]))
	}
	if count == 0 {
		return nil
	}
	return []health.Condition{health.New(health.SharedAcross, health.Cluster(), fmt.Sprintf("%d addresses are shared across namespaces, and their pools have no shareAcrossNamespaces: true, such as %s", count, strings.Join(examples, ", ")))}
}
