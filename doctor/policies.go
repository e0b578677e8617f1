package doctor

import (
	"fmt"
	"slices"
	"strings"
)

// Policy is an admission policy of the cluster that limits what speakers may write.
type Policy struct {
	Name  string
	Users []string // to whom it applies
}

// Policies reports whether the admission policies apply to the users that the speakers are: their
// match conditions name a namespace, which a kustomization with a namespace of its own does not
// change. No policies at all is allowed, and worth to know.
func Policies(list []Policy, speakers []string) []Check {
	if len(list) == 0 {
		return []Check{{
			"policies", Info, "no admission policy limits what speakers may write",
			"apply the manifest as a whole, or set the chart's `admission.enabled`; see docs/security.md", "",
		}}
	}
	var all []Check
	for _, user := range slices.Compact(slices.Sorted(slices.Values(speakers))) {
		var without []string
		for _, p := range list {
			if !slices.Contains(p.Users, user) {
				without = append(without, p.Name)
			}
		}
		if len(without) > 0 {
			all = append(all, Check{
				"policies", Warn, fmt.Sprintf("admission policies do not apply to the speakers, whose user is %s: %s", user, strings.Join(without, ", ")),
				"write that user name into their `matchConditions`; docs/install.md has the lines for a kustomization with a namespace of its own", "",
			})
		}
	}
	if len(all) == 0 {
		return []Check{{"policies", OK, fmt.Sprintf("%d admission policies limit what speakers may write", len(list)), "", ""}}
	}
	return all
}
