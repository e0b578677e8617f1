package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/starling-lb/starling/e2e/workload"
)

// deleted deletes a Service and waits until nobody answers for its address.
func deleted(t *testing.T, name string) {
	t.Helper()
	w, ip := watch(t), addresses(t, name, 1)[0]
	remove(t, name)
	silent(t, w, ip)
}

// TestMadeAgain: a Service that is deleted and made anew, or of another type for a while, has the
// address that it had, although others are free and others were made meanwhile; unless somebody
// asked for that very one.
func TestMadeAgain(t *testing.T) {
	w := watch(t)
	old := expose(t, "again")
	same := func(what string, now netip.Addr) {
		t.Helper()
		if now != old {
			t.Errorf("%s: it had %s and has %s", what, old, now)
		}
		owner(t, w, now)
		reach(t, "tcp", now)
	}

	deleted(t, "again")
	for i := range 3 {
		expose(t, fmt.Sprintf("again-other-%d", i))
	}
	same("made anew", expose(t, "again"))

	remove(t, "again")
	same("replaced at once", expose(t, "again"))

	flip := func(kind core.ServiceType) {
		t.Helper()
		if _, err := services().Patch(t.Context(), "again", types.MergePatchType, fmt.Appendf(nil, `{"spec": {"type": %q}}`, kind), meta.PatchOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	flip(core.ServiceTypeClusterIP)
	silent(t, w, old)
	until(t, 10*time.Second, "a Service without a lease", func(ctx context.Context) error {
		s, err := services().Get(ctx, "again", meta.GetOptions{})
		if err == nil && (len(s.Status.LoadBalancer.Ingress) > 0 || s.Annotations["starling-lb.io/lease"] != "") {
			err = errors.New("it has one")
		}
		return err
	})
	expose(t, "again-other-flip")
	flip(core.ServiceTypeLoadBalancer)
	same("of another type for a while", addresses(t, "again", 1)[0])

	deleted(t, "again")
	if got := expose(t, "again-asks", annotate("loadBalancerIPs", old.String())); got != old {
		t.Fatalf("who asks for %s has %s", old, got)
	}
	if got := expose(t, "again"); got == old {
		t.Errorf("it has %s, which is another's", got)
	}
	if got := addresses(t, "again-asks", 1)[0]; got != old {
		t.Errorf("who asked for %s has %s", old, got)
	}
	owner(t, w, old)
}

// unknown are the messages of the events about unknown annotations of the Service, each as often as
// it was written.
func unknown(ctx context.Context, service string) (all []string, err error) {
	s, err := services().Get(ctx, service, meta.GetOptions{})
	if err != nil {
		return nil, err
	}
	list, err := shared.Kube.CoreV1().Events(workload.Namespace).List(ctx, meta.ListOptions{FieldSelector: "reason=UnknownAnnotation,involvedObject.uid=" + string(s.UID)})
	if err != nil {
		return nil, err
	}
	for _, e := range list.Items {
		if e.Type != core.EventTypeWarning {
			return nil, fmt.Errorf("an event of type %s", e.Type)
		}
		for range max(e.Count, 1) {
			all = append(all, e.Message)
		}
	}
	return all, nil
}

// TestUnknownAnnotations: annotations that look like ours and mean nothing are reported in a
// Warning, once for each edit of them.
func TestUnknownAnnotations(t *testing.T) {
	told := func(want int, words ...string) {
		t.Helper()
		until(t, 15*time.Second, fmt.Sprintf("%d warnings", want), func(ctx context.Context) error {
			all, err := unknown(ctx, "typo")
			if err == nil && len(all) != want {
				err = fmt.Errorf("%d: %q", len(all), all)
			}
			return errors.Join(err, contains(strings.Join(all, "\n"), words...))
		})
	}
	edit := func(metadata string) {
		t.Helper()
		if _, err := services().Patch(t.Context(), "typo", types.MergePatchType, []byte(`{"metadata": `+metadata+`}`), meta.PatchOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	pool := "unknown annotation starling-lb.io/adress-pool; did you mean starling-lb.io/address-pool?"
	ips := "unknown annotation starling-lb.io/loadBalancerIP; did you mean starling-lb.io/loadBalancerIPs?"
	expose(t, "typo", func(s *core.Service) {
		s.Annotations = map[string]string{"starling-lb.io/adress-pool": tiny, "starling-lb.io/loadBalancerIP": "198.18.66.1"}
	})
	told(1, pool, ips)
	edit(`{"labels": {"color": "red"}}`)
	edit(`{"annotations": {"starling-lb.io/poool": "lab"}}`)
	told(2, pool, ips, "unknown annotation starling-lb.io/poool; ")
	edit(`{"annotations": {"starling-lb.io/adress-pool": null, "starling-lb.io/loadBalancerIP": null, "starling-lb.io/poool": null, "starling-lb.io/address-pool": "` + tiny + `"}}`)
	movedInto(t, "typo", "198.18.66.0/24")
	told(2)
}
