package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/starling-lb/starling/e2e/workload"
)

// intruder is another load balancer, as the API server knows who writes.
const intruder = "intruder"

// overwrite has the intruder write into status.loadBalancer.ingress.
func overwrite(ctx context.Context, name string, ingress string) error {
	patch := fmt.Sprintf(`{"status": {"loadBalancer": {"ingress": %s}}}`, ingress)
	_, err := services().Patch(ctx, name, types.MergePatchType, []byte(patch), meta.PatchOptions{FieldManager: intruder}, "status")
	return err
}

// TestStatusIsPutRight: what somebody else writes into the status of a Service that has its address
// stays there for a moment, and an event names who it was. One who goes on is answered a few times
// and no more.
func TestStatusIsPutRight(t *testing.T) {
	w := watch(t)
	ip := expose(t, "overwritten")
	shows := func(ctx context.Context, want string) error {
		s, err := services().Get(ctx, "overwritten", meta.GetOptions{})
		if err != nil {
			return err
		}
		var got []string
		for _, i := range s.Status.LoadBalancer.Ingress {
			got = append(got, i.IP+i.Hostname)
		}
		if len(got) != 1 || got[0] != want {
			return fmt.Errorf("it shows %q", got)
		}
		return nil
	}
	right := func(ctx context.Context) error { return shows(ctx, ip.String()) }
	for _, ingress := range []string{`[{"ip": "198.18.64.99"}]`, `[{"hostname": "lb.example"}]`, `null`} {
		if err := overwrite(t.Context(), "overwritten", ingress); err != nil {
			t.Fatal(err)
		}
		until(t, 5*time.Second, "the status as it was", right)
	}
	if message := event(t, "overwritten", "StatusOverwritten"); !strings.Contains(message, `by "`+intruder+`": set back to `+ip.String()) {
		t.Errorf("event StatusOverwritten does not name who wrote: %s", message)
	}
	owner(t, w, ip)
	reach(t, "tcp", ip)

	changes, err := services().Watch(t.Context(), meta.ListOptions{FieldSelector: "metadata.name=overwritten"})
	if err != nil {
		t.Fatal(err)
	}
	defer changes.Stop()
	answers := 0
	for end := time.After(5 * time.Second); end != nil; {
		select {
		case <-end:
			end = nil
		case c := <-changes.ResultChan():
			s, ok := c.Object.(*core.Service)
			if !ok || len(s.Status.LoadBalancer.Ingress) != 1 || s.Status.LoadBalancer.Ingress[0].IP != ip.String() {
				continue
			}
			answers++
			if err := overwrite(t.Context(), "overwritten", `[{"ip": "198.18.64.99"}]`); err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Logf("an intruder that never stops was answered %d times in 5 s", answers)
	if answers > 8 {
		t.Errorf("an intruder that never stops was answered %d times in 5 s", answers)
	}
	s, err := services().Get(t.Context(), "overwritten", meta.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	events, err := shared.Kube.CoreV1().Events(workload.Namespace).List(t.Context(), meta.ListOptions{FieldSelector: "reason=StatusOverwritten,involvedObject.uid=" + string(s.UID)})
	if err != nil {
		t.Fatal(err)
	}
	told := 0
	for _, e := range events.Items {
		if strings.Contains(e.Message, intruder) {
			told += int(max(e.Count, 1))
		}
	}
	if told != 1 {
		t.Errorf("the intruder is named %d times", told)
	}
	until(t, 35*time.Second, "the status as it was", right)
	reach(t, "tcp", ip)
}
