package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/starling-lb/starling/e2e/cluster"
	"github.com/starling-lb/starling/e2e/starling"
	"github.com/starling-lb/starling/e2e/workload"
)

// readyz asks the speaker of the node for its readiness, as kubelet does.
func readyz(ctx context.Context, n *cluster.Node) (code int, body string, err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, starling.URL(n)+"/readyz", nil)
	if err != nil {
		return 0, "", err
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: shared.Client.Dial}}
	answer, err := client.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	return answer.StatusCode, string(text), err
}

// readiness returns nil when all speakers answer with the code, and these words.
func readiness(ctx context.Context, want int, words string) error {
	var errs []error
	for _, n := range shared.Nodes {
		code, body, err := readyz(ctx, n)
		if err == nil && (code != want || !strings.Contains(body, words)) {
			err = fmt.Errorf("%s: code %d: %s", n.Name, code, strings.TrimSpace(body))
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// TestTokensRefusedForAWhile: the API server does not accept the tokens of the speakers for six
// seconds. Clients notice nothing, and soon after that all speakers are ready and hand out
// addresses.
func TestTokensRefusedForAWhile(t *testing.T) {
	s := watchService(t, "token", "tcp")
	trust, err := shared.DistrustTokens(t.Context())
	t.Cleanup(func() {
		if err := cluster.Until(context.WithoutCancel(t.Context()), cluster.PodTime, "speakers", everybodyReady); err != nil {
			t.Error(err)
		}
	})
	if err != nil {
		t.Fatal(errors.Join(err, trust(context.WithoutCancel(t.Context()))))
	}
	until(t, 20*time.Second, "speakers that say why they are not ready", func(ctx context.Context) error {
		return readiness(ctx, http.StatusServiceUnavailable, "does not accept our credentials")
	})
	begun := time.Now()
	until(t, 20*time.Second, "six seconds without accepted tokens", func(ctx context.Context) error {
		if err := readiness(ctx, http.StatusServiceUnavailable, "does not accept our credentials"); err != nil {
			return cluster.Final(err)
		}
		if time.Since(begun) < 6*time.Second {
			return errors.New("not yet")
		}
		return nil
	})
	if err := trust(context.WithoutCancel(t.Context())); err != nil {
		t.Fatal(err)
	}
	begun = time.Now()
	until(t, 10*time.Second, "ready speakers", func(ctx context.Context) error { return readiness(ctx, http.StatusOK, "") })
	t.Logf("all ready %v after the API server", time.Since(begun).Round(time.Millisecond))
	until(t, 10*time.Second, "speakers without problems", withoutProblems)
	caughtUp(t, expose(t, "token-after"))
	s.undisturbed(t, "the tokens were refused")
}

// space makes a namespace until the test ends.
func space(t *testing.T, name string) {
	t.Helper()
	spaces := shared.Kube.CoreV1().Namespaces()
	if _, err := spaces.Create(t.Context(), &core.Namespace{ObjectMeta: meta.ObjectMeta{Name: name, Labels: map[string]string{"space": name}}}, meta.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		if err := spaces.Delete(ctx, name, meta.DeleteOptions{}); err != nil {
			t.Error(err)
		}
		err := cluster.Until(ctx, time.Minute, "end of namespace "+name, func(ctx context.Context) error {
			if _, err := spaces.Get(ctx, name, meta.GetOptions{}); err == nil {
				return errors.New("it is still there")
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
}

// shown returns nil once the Service shows an address.
func shown(ctx context.Context, namespace, name string) error {
	s, err := shared.Kube.CoreV1().Services(namespace).Get(ctx, name, meta.GetOptions{})
	if err == nil && len(s.Status.LoadBalancer.Ingress) == 0 {
		err = errors.New("it shows no address")
	}
	return err
}

// eventsFailed is how many Events all speakers could not write.
func eventsFailed(ctx context.Context) (sum int, err error) {
	for _, n := range shared.Nodes {
		text, err := starling.MetricsOf(ctx, shared, n)
		if err != nil {
			return 0, err
		}
		for line := range strings.Lines(text) {
			var count int
			if _, err := fmt.Sscanf(line, `starling_watcher_events_total{result="failed"} %d`, &count); err == nil {
				sum += count
			}
		}
	}
	return sum, nil
}

// TestNamespaceTakesNoEvents: a policy lets no Event into a namespace, as a full quota does. Its
// Services are served, and no node is unready for a moment.
func TestNamespaceTakesNoEvents(t *testing.T) {
	const name = "mute"
	saveLogsOnFailure(t)
	space(t, name)
	refuse(t, name, "CREATE", "events", func(ctx context.Context) error {
		e := &core.Event{ObjectMeta: meta.ObjectMeta{GenerateName: "try-"}, InvolvedObject: core.ObjectReference{Kind: "Service", Namespace: name, Name: "none"}}
		_, err := shared.Kube.CoreV1().Events(name).Create(ctx, e, meta.CreateOptions{})
		return err
	})
	before, err := eventsFailed(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, service := range []string{"a", "b", "c"} {
		if _, err := shared.Kube.CoreV1().Services(name).Create(t.Context(), workload.Service(service, backend), meta.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		until(t, 20*time.Second, "address of "+service, func(ctx context.Context) error {
			return errors.Join(shown(ctx, name, service), final(readiness(ctx, http.StatusOK, "")))
		})
	}
	until(t, 20*time.Second, "three Events that are refused", func(ctx context.Context) error {
		now, err := eventsFailed(ctx)
		if err == nil && now < before+3 {
			err = fmt.Errorf("%d are", now-before)
		}
		return errors.Join(err, final(readiness(ctx, http.StatusOK, "")))
	})
	if err := withoutProblems(t.Context()); err != nil {
		t.Error(err)
	}
}

// final ends a wait if there is an error.
func final(err error) error {
	if err == nil {
		return nil
	}
	return cluster.Final(err)
}

// policy lets nobody do something in the namespace of its name.
const policy = `
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: NAME}
spec:
  matchConstraints:
    namespaceSelector: {matchLabels: {space: NAME}}
    resourceRules: [{apiGroups: [""], apiVersions: [v1], operations: [VERB], resources: [RESOURCE]}]
  validations: [{expression: "false", message: "not during the audit"}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: NAME}
spec: {policyName: NAME, validationActions: [Deny]}
`

// refuse makes a policy until the test ends, or lift is called, and waits until it is in force,
// which try finds out.
func refuse(t *testing.T, name, verb, resource string, try func(context.Context) error) (lift func(context.Context) error) {
	t.Helper()
	text := strings.NewReplacer("NAME", name, "VERB", verb, "RESOURCE", resource).Replace(policy)
	lift = func(ctx context.Context) error {
		_, err := shared.Kubectl(ctx, text, "delete", "--ignore-not-found", "-f", "-")
		return err
	}
	t.Cleanup(func() {
		if err := lift(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	if out, err := shared.Kubectl(t.Context(), text, "apply", "-f", "-"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	until(t, 30*time.Second, "a policy in force", func(ctx context.Context) error {
		if err := try(ctx); err != nil {
			return contains(err.Error(), "not during the audit")
		}
		return errors.New("it lets a write in")
	})
	return lift
}

// TestPolicyRefusesStatus: a policy lets nobody write the status of the Services in one namespace.
// That is reported, no node is unready for it, others are served, and it is over once the policy
// is.
func TestPolicyRefusesStatus(t *testing.T) {
	const name = "frozen"
	saveLogsOnFailure(t)
	space(t, name)
	of := shared.Kube.CoreV1().Services(name)
	inside := workload.Service("inside", backend, func(s *core.Service) { s.Spec.Type = core.ServiceTypeClusterIP })
	if _, err := of.Create(t.Context(), inside, meta.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	at := 0
	lift := refuse(t, name, "UPDATE", "services/status", func(ctx context.Context) error {
		at++
		patch := fmt.Appendf(nil, `{"metadata": {"annotations": {"at": "%d"}}}`, at)
		_, err := of.Patch(ctx, "inside", types.MergePatchType, patch, meta.PatchOptions{}, "status")
		return err
	})
	if _, err := of.Create(t.Context(), workload.Service("web", backend), meta.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	until(t, 20*time.Second, "a speaker that tells it", func(ctx context.Context) error {
		var words []string
		for _, n := range shared.Nodes {
			s, err := starling.StatusOf(ctx, shared, n)
			if err != nil {
				return err
			}
			words = append(words, s.Problems...)
		}
		return errors.Join(contains(strings.Join(words, "\n"), "cannot patch services/status of frozen/web", "not during the audit"), final(readiness(ctx, http.StatusOK, "")))
	})
	reach(t, "tcp", expose(t, "not-frozen"))
	if err := readiness(t.Context(), http.StatusOK, ""); err != nil {
		t.Error(err)
	}
	if err := lift(t.Context()); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	until(t, 90*time.Second, "its address", func(ctx context.Context) error { return shown(ctx, name, "web") })
	t.Logf("its address %v after the policy", time.Since(begun).Round(time.Millisecond))
	until(t, 90*time.Second, "no problems", withoutProblems) // what one speaker was refused and another wrote is believed for a minute
}
