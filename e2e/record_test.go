package e2e

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/starling-lb/starling/e2e/workload"
)

// statuses remembers the addresses that each Service has shown, state by state.
type statuses struct {
	mu   sync.Mutex // Guards seen.
	seen map[string][]string
}

// record watches the Services until the test ends.
func record(t *testing.T) *statuses {
	t.Helper()
	events, err := services().Watch(t.Context(), meta.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(events.Stop)
	r := &statuses{seen: map[string][]string{}}
	go func() {
		for e := range events.ResultChan() {
			if s, ok := e.Object.(*core.Service); ok {
				ips, err := workload.Ingress(s)
				r.mu.Lock()
				r.seen[s.Name] = append(r.seen[s.Name], fmt.Sprint(ips, err))
				r.mu.Unlock()
			}
		}
	}()
	return r
}

// besides returns what the Service has shown besides these addresses.
func (r *statuses) besides(name string, ips []string) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.seen[name]) == 0 {
		return []string{"nothing was seen of it"}
	}
	return slices.DeleteFunc(slices.Clone(r.seen[name]), func(s string) bool { return s == fmt.Sprint(ips, nil) })
}
