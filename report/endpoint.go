package report

import (
	"fmt"
	"slices"

	"github.com/starling-lb/starling/elect"
	"github.com/starling-lb/starling/health"
	"github.com/starling-lb/starling/lease"
	"github.com/starling-lb/starling/owner"
	"github.com/starling-lb/starling/watcher"
)

// shortageWords says in words what is short of the address's Services.
func shortageWords(code health.Code, v lease.VIP) string {
	of, other := "its Service", "IPv6"
	if len(v.Services) > 1 {
		of = "its Services"
	}
	if v.IP.Is6() {
		other = "IPv4"
	}
	switch code {
	case health.NoEndpointSlice:
		return "no EndpointSlice belongs to " + of
	case health.NoEndpoint:
		return "the EndpointSlices of " + of + " are empty"
	case health.EndpointsOfOtherFamily:
		return fmt.Sprintf("all endpoints of %s are of %s", of, other)
	case health.NoServingEndpoint:
		return "no endpoint of " + of + " is ready"
	case health.EndpointsWithoutNode:
		return "the endpoints of " + of + " name no node"
	}
	return ""
}

// Todo is what to do about an address that nobody announces, "" if that depends on the node.
func Todo(code health.Code) string {
	switch code {
	case "", health.NoReadyNode, health.NoEligibleNode, health.NoLocalEndpoint:
		return ""
	}
	return code.Rule().Advice
}

// shortage finds out which want of endpoints leaves an address without an owner, "" if it is
// something else. Of several Services on it that one counts whose endpoints have come furthest,
// since those without any have no say (see candidate).
func (w *World) shortage(v lease.VIP, candidate owner.VIP, result owner.Result) health.Code {
	switch result.Code {
	case health.NoLocalEndpoint:
		if slices.ContainsFunc(candidate.Local, func(nodes []string) bool { return slices.Equal(nodes, []string{""}) }) {
			return health.EndpointsWithoutNode
		}
	case health.NoServingEndpoint:
		var here, anywhere watcher.Found
		for _, k := range v.Services {
			e := w.Cluster.Endpoints[k]
			here, anywhere = max(here, e.Of(v.IP).Found), max(anywhere, e.V4.Found, e.V6.Found)
		}
		switch {
		case here == watcher.NotServing:
			return health.NoServingEndpoint
		case anywhere >= watcher.NotServing:
			return health.EndpointsOfOtherFamily
		case here == watcher.NoEndpoint:
			return health.NoEndpoint
		}
		return health.NoEndpointSlice
	}
	return ""
}

// Why is the reason of a result, in words that help where the members' health does not explain it.
// The code is of the rule that left nobody, "" with an owner.
func (w *World) Why(v lease.VIP, candidate owner.VIP, result owner.Result) (health.Code, string) {
	switch {
	case result.Owner != "":
		return "", result.Reason
	case result.Code == health.NoReadyNode && w.Candidates.Unfit(elect.ExcludedByLabel):
		return health.AllNodesExcluded, allExcluded
	}
	if code := w.shortage(v, candidate, result); code != "" {
		return code, result.Reason + ": " + shortageWords(code, v)
	}
	return result.Code, result.Reason
}

// allExcluded is why nobody announces where all nodes are excluded, as in small clusters whose
// nodes are all of the control plane.
const allExcluded = "all nodes that are ready are excluded by the label node.kubernetes.io/exclude-from-external-load-balancers"
