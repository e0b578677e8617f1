package lease

import (
	"fmt"
	"strings"
)

const (
	// EndpointsAnnotation says by "ignore" that an address is announced whatever endpoints
	// Kubernetes knows, since something else than kube-proxy serves the Service.
	EndpointsAnnotation = Prefix + "endpoints"

	ignoreEndpoints = "ignore"
)

// IgnoresEndpoints reports whether the Service says that its endpoints do not matter.
func (s *Service) IgnoresEndpoints() bool {
	return strings.TrimSpace(s.note(EndpointsAnnotation)) == ignoreEndpoints
}

// IgnoresEndpoints reports whether a pool says so of all of its Services, and whether there is such
// a pool.
func (p *Pools) IgnoresEndpoints(name string) (ignores, known bool) {
	q := p.byName[name]
	return q != nil && q.Endpoints == ignoreEndpoints, q != nil
}

func checkEndpoints(text string) []error {
	if text == "" || text == ignoreEndpoints {
		return nil
	}
	return []error{wrongAt(fmt.Errorf("endpoints %q: want %s, or no such key", clip(text), ignoreEndpoints), "endpoints")}
}
