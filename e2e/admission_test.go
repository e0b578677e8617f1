package e2e

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	authentication "k8s.io/api/authentication/v1"
	core "k8s.io/api/core/v1"
	rbac "k8s.io/api/rbac/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/starling-lb/starling/e2e/starling"
	"github.com/starling-lb/starling/e2e/workload"
)

// thief has the token of the speakers. What it tries is refused or not, and never done.
type thief struct{ kubernetes.Interface }

func newThief(t *testing.T) thief {
	t.Helper()
	token, err := shared.Kube.CoreV1().ServiceAccounts(starling.Namespace).CreateToken(t.Context(), starling.Name, &authentication.TokenRequest{}, meta.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	config, err := clientcmd.BuildConfigFromFlags("", shared.Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	config = rest.AnonymousClientConfig(config)
	config.BearerToken = token.Status.Token
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return thief{client}
}

// patch tries a merge patch of a Service, or of its status.
func (k thief) patch(name, body string, sub ...string) func(context.Context) error {
	return func(ctx context.Context) error {
		_, err := k.CoreV1().Services(workload.Namespace).Patch(ctx, name, types.MergePatchType, []byte(body), meta.PatchOptions{DryRun: []string{meta.DryRunAll}}, sub...)
		return err
	}
}

func (k thief) status(name, body string) func(context.Context) error {
	return k.patch(name, body, "status")
}

// tell tries to make an Event.
func (k thief) tell(component string, about core.ObjectReference) func(context.Context) error {
	return func(ctx context.Context) error {
		e := &core.Event{
			ObjectMeta:     meta.ObjectMeta{Name: "told", Namespace: workload.Namespace},
			InvolvedObject: about, Source: core.EventSource{Component: component}, Reason: "Test",
		}
		_, err := k.CoreV1().Events(workload.Namespace).Create(ctx, e, meta.CreateOptions{DryRun: []string{meta.DryRunAll}})
		return err
	}
}

// hide tries to make a Secret.
func (k thief) hide(name string, kind core.SecretType) func(context.Context) error {
	return func(ctx context.Context) error {
		s := &core.Secret{ObjectMeta: meta.ObjectMeta{Name: name, Annotations: map[string]string{core.ServiceAccountNameKey: starling.Name}}, Type: kind}
		_, err := k.CoreV1().Secrets(starling.Namespace).Create(ctx, s, meta.CreateOptions{DryRun: []string{meta.DryRunAll}})
		return err
	}
}

// attempt is one write; it is refused with these words, or accepted if there are none.
type attempt struct {
	name string
	do   func(context.Context) error
	want string
}

func (a attempt) check(ctx context.Context) error {
	err := a.do(ctx)
	switch {
	case a.want == "" && err != nil:
		return fmt.Errorf("%s: refused: %w", a.name, err)
	case a.want != "" && err == nil:
		return fmt.Errorf("%s: accepted", a.name)
	case a.want != "" && !strings.Contains(err.Error(), a.want):
		return fmt.Errorf("%s: want %q in: %w", a.name, a.want, err)
	}
	return nil
}

// TestStolenToken: with the token of the speakers one can write what a speaker writes, and no more.
// All other tests show that speakers can work.
func TestStolenToken(t *testing.T) {
	ip := expose(t, "robbed", func(s *core.Service) { s.Annotations = map[string]string{"mine": "x"} })
	create(t, "inner", func(s *core.Service) { s.Spec.Type = core.ServiceTypeClusterIP })
	k := newThief(t)
	other := tellAsAdmin(t)
	service := core.ObjectReference{APIVersion: "v1", Kind: "Service", Namespace: workload.Namespace, Name: "robbed"}
	for _, a := range []attempt{
		{"an address of a Service", k.status("robbed", `{"status": {"loadBalancer": {"ingress": [{"ip": "198.18.64.77", "ipMode": "VIP"}]}}}`), ""},
		{"a lease", k.status("robbed", `{"metadata": {"annotations": {"starling-lb.io/lease": "{}", "starling-lb.io/ip-allocated-from-pool": "x"}}}`), ""},
		{"a release", k.status("robbed", `{"metadata": {"annotations": {"starling-lb.io/lease": null, "starling-lb.io/ip-allocated-from-pool": null}}, "status": {"loadBalancer": {"ingress": null}}}`), ""},
		{"annotations of others", k.status("robbed", `{"metadata": {"annotations": {"external-dns.alpha.kubernetes.io/hostname": "bank.example"}}}`), "a speaker changes no annotations but"},
		{"what its owner asks for", k.status("robbed", `{"metadata": {"annotations": {"starling-lb.io/loadBalancerIPs": "198.18.64.9"}}}`), "a speaker changes no annotations but"},
		{"an annotation of its owner is taken away", k.status("robbed", `{"metadata": {"annotations": {"mine": null}}}`), "a speaker changes no annotations but"},
		{"labels", k.status("robbed", `{"metadata": {"labels": {"a": "b"}}}`), "a speaker changes no labels"},
		{"finalizers", k.status("robbed", `{"metadata": {"finalizers": ["example.com/held"]}}`), "a speaker changes no labels, finalizers"},
		{"owners", k.status("robbed", `{"metadata": {"ownerReferences": [{"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": "y"}]}}`), "a speaker changes no labels, finalizers and owners"},
		{"conditions", k.status("robbed", `{"status": {"conditions": [{"type": "Programmed", "status": "True", "reason": "x", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}]}}`), "nothing of a status but loadBalancer"},
		{"a name", k.status("robbed", `{"status": {"loadBalancer": {"ingress": [{"hostname": "bank.example"}]}}}`), "addresses into the ingress and no names"},
		{"an address of a ClusterIP Service", k.status("inner", `{"status": {"loadBalancer": {"ingress": [{"ip": "198.18.64.77"}]}}}`), "may only be used when `spec.type` is 'LoadBalancer'"}, // Says the API server itself.
		{"a lease of a ClusterIP Service", k.status("inner", `{"metadata": {"annotations": {"starling-lb.io/lease": "{}"}}}`), "not of type LoadBalancer"},
		{"nothing of a ClusterIP Service", k.status("inner", `{"metadata": {"annotations": {"starling-lb.io/lease": null}}, "status": {"loadBalancer": {"ingress": null}}}`), ""},
		{"a spec", k.patch("robbed", `{"spec": {"externalIPs": ["203.0.113.9"]}}`), "cannot patch resource"},
		{"an Event", k.tell("starling", service), ""},
		{"an Event of somebody else", k.tell("kubelet", service), "only Events of starling"},
		{"an Event on a Pod", k.tell("starling", core.ObjectReference{Kind: "Pod", Namespace: workload.Namespace, Name: "x"}), "only Events on Services"},
		{"somebody else's Event", func(ctx context.Context) error {
			_, err := k.CoreV1().Events(workload.Namespace).Patch(ctx, other, types.MergePatchType, []byte(`{"message": "all is well", "source": {"component": "starling"}}`), meta.PatchOptions{DryRun: []string{meta.DryRunAll}})
			return err
		}, "only Events of starling"},
		{"another Secret", k.hide("mine", core.SecretTypeOpaque), "no Secret but starling-gossip"},
		{"a token that does not end", k.hide("starling-gossip", core.SecretTypeServiceAccountToken), "no Secret but starling-gossip"},
	} {
		if err := a.check(t.Context()); err != nil {
			t.Error(err)
		}
	}
	mayEditServices(t)
	for _, a := range []attempt{
		{"a spec, with the right to edit Services", k.patch("robbed", `{"spec": {"externalIPs": ["203.0.113.9"]}}`), "a speaker changes no spec"},
		{"the type, with that right", k.patch("inner", `{"spec": {"type": "LoadBalancer"}}`), "a speaker changes no spec"},
	} {
		until(t, 10*time.Second, a.want, a.check) // The right takes a moment.
	}
	if got := addresses(t, "robbed", 1)[0]; got != ip {
		t.Errorf("it has %v and had %v", got, ip)
	}
}

// tellAsAdmin makes an Event that is not of starling, for the time of the test, and returns its
// name.
func tellAsAdmin(t *testing.T) string {
	t.Helper()
	events := shared.Kube.CoreV1().Events(workload.Namespace)
	e := &core.Event{
		ObjectMeta:     meta.ObjectMeta{Name: "robbed.other"},
		InvolvedObject: core.ObjectReference{APIVersion: "v1", Kind: "Service", Namespace: workload.Namespace, Name: "robbed"},
		Source:         core.EventSource{Component: "other"}, Message: "all is lost", Reason: "Test",
	}
	if _, err := events.Create(t.Context(), e, meta.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = events.Delete(context.WithoutCancel(t.Context()), e.Name, meta.DeleteOptions{}) })
	return e.Name
}

// mayEditServices gives speakers the right to, for the time of the test, as somebody may by
// mistake.
func mayEditServices(t *testing.T) {
	t.Helper()
	const name = "starling-e2e-editor"
	roles, bindings := shared.Kube.RbacV1().ClusterRoles(), shared.Kube.RbacV1().ClusterRoleBindings()
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		if err := errors.Join(bindings.Delete(ctx, name, meta.DeleteOptions{}), roles.Delete(ctx, name, meta.DeleteOptions{})); err != nil {
			t.Error(err)
		}
	})
	_, err := roles.Create(t.Context(), &rbac.ClusterRole{
		ObjectMeta: meta.ObjectMeta{Name: name},
		Rules:      []rbac.PolicyRule{{APIGroups: []string{""}, Resources: []string{"services"}, Verbs: []string{"patch"}}},
	}, meta.CreateOptions{})
	if err == nil {
		_, err = bindings.Create(t.Context(), &rbac.ClusterRoleBinding{
			ObjectMeta: meta.ObjectMeta{Name: name},
			RoleRef:    rbac.RoleRef{APIGroup: rbac.GroupName, Kind: "ClusterRole", Name: name},
			Subjects:   []rbac.Subject{{Kind: rbac.ServiceAccountKind, Name: starling.Name, Namespace: starling.Namespace}},
		}, meta.CreateOptions{})
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestClusterWithoutPolicies: kubectl applies all else of the manifest to a cluster that does not
// know the policies' kind, and says so.
func TestClusterWithoutPolicies(t *testing.T) {
	text, err := product.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	older := strings.ReplaceAll(text, "kind: ValidatingAdmission", "kind: NotYet")
	out, err := shared.Kubectl(t.Context(), older, "apply", "--dry-run=server", "-f", "-")
	if err == nil {
		t.Errorf("nothing is missing:\n%s", out)
	}
	told := out + fmt.Sprint(err)
	for _, want := range []string{`no matches for kind "NotYetPolicy"`, "clusterrole.rbac.authorization.k8s.io/starling", "daemonset.apps/starling"} {
		if !strings.Contains(told, want) {
			t.Errorf("no %q in:\n%s", want, told)
		}
	}
}

// TestAdmissionRanges: the chart's value admission.ranges keeps other addresses out of every
// status.
func TestAdmissionRanges(t *testing.T) {
	expose(t, "ranged")
	k := newThief(t)
	ingress := func(ip string) func(context.Context) error {
		return k.status("ranged", `{"status": {"loadBalancer": {"ingress": [{"ip": "`+ip+`"}]}}}`)
	}
	out, err := exec.CommandContext(t.Context(), "go", "-C", "../checks", "tool", "helm", "template", "starling", "../charts/starling", "--namespace", starling.Namespace,
		"--kube-version", "1.31", "--show-only", "templates/admission.yaml", "--set", "admission.ranges={198.18.64.0/24,2001:db8:18::/48}").Output()
	if err != nil {
		t.Fatalf("helm template: %v", err)
	}
	t.Cleanup(func() {
		text, err := product.Manifest()
		if err == nil {
			_, err = shared.Kubectl(context.WithoutCancel(t.Context()), text, "apply", "-f", "-")
		}
		if err != nil {
			t.Errorf("apply the manifest again: %v", err)
		}
	})
	if told, err := shared.Kubectl(t.Context(), string(out), "apply", "-f", "-"); err != nil {
		t.Fatalf("%v\n%s", err, told)
	}
	const words = "a speaker writes only addresses of 198.18.64.0/24, 2001:db8:18::/48 (admission.ranges)"
	until(t, 20*time.Second, "a policy with ranges", attempt{"a foreign address", ingress("203.0.113.9"), words}.check)
	for _, a := range []attempt{
		{"an address of the ranges", ingress("198.18.64.77"), ""},
		{"an address of the other family", ingress("2001:db8:18::77"), ""},
		{"a foreign one of the other family", ingress("2001:db9::1"), words},
	} {
		if err := a.check(t.Context()); err != nil {
			t.Error(err)
		}
	}
	expose(t, "ranged-after") // Speakers go on.
	create(t, "ranged-out", annotate("address-pool", tiny))
	until(t, 10*time.Second, "a speaker that says why it cannot bind", func(ctx context.Context) error {
		var all []string
		for _, n := range shared.Nodes {
			s, err := starling.StatusOf(ctx, shared, n)
			if err != nil {
				return err
			}
			all = append(all, s.Problems...)
		}
		return contains(strings.Join(all, "\n"), words)
	})
}
