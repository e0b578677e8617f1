package manifests

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/starling-lb/starling/lease"
	"github.com/starling-lb/starling/watcher/kube"
	"github.com/starling-lb/starling/watcher/record"
)

// policies are those of the manifest, by name.
func policies(t *testing.T) map[string]*admissionv1.ValidatingAdmissionPolicy {
	t.Helper()
	found := map[string]*admissionv1.ValidatingAdmissionPolicy{}
	for _, o := range objects(t) {
		if p, ok := o.value.(*admissionv1.ValidatingAdmissionPolicy); ok {
			found[p.Name] = p
		}
	}
	return found
}

// TestPoliciesAreInForce: each denies, is for the ServiceAccount alone, and a mistake in it denies
// as well.
func TestPoliciesAreInForce(t *testing.T) {
	t.Parallel()
	var bound []string
	for _, o := range objects(t) {
		b, ok := o.value.(*admissionv1.ValidatingAdmissionPolicyBinding)
		if !ok {
			continue
		}
		bound = append(bound, b.Spec.PolicyName)
		if diff := cmp.Diff([]admissionv1.ValidationAction{admissionv1.Deny}, b.Spec.ValidationActions); diff != "" || b.Spec.MatchResources != nil {
			t.Errorf("%s: matches %v, actions (-want +got):\n%s", b.Name, b.Spec.MatchResources, diff)
		}
	}
	account := find[*rbacv1.ClusterRoleBinding](t).Subjects[0]
	want := `request.userInfo.username == "system:serviceaccount:` + account.Namespace + ":" + account.Name + `"`
	for name, p := range policies(t) {
		if !slices.Contains(bound, name) {
			t.Errorf("%s has no binding", name)
		}
		if c := p.Spec.MatchConditions; len(c) != 1 || c[0].Expression != want {
			t.Errorf("%s is for %v, want %s", name, c, want)
		}
		if p.Spec.FailurePolicy == nil || *p.Spec.FailurePolicy != admissionv1.Fail {
			t.Errorf("%s allows what it cannot evaluate", name)
		}
		for _, v := range p.Spec.Validations {
			if !strings.HasPrefix(v.Message, "a speaker ") {
				t.Errorf("%s says %q", name, v.Message)
			}
		}
	}
}

// TestEveryWriteHasAPolicy: whatever a speaker may create or change is limited by one.
func TestEveryWriteHasAPolicy(t *testing.T) {
	t.Parallel()
	limited := map[string]bool{}
	verbs := map[admissionv1.OperationType][]string{admissionv1.Create: {"create"}, admissionv1.Update: {"patch", "update"}}
	for _, p := range policies(t) {
		for _, r := range p.Spec.MatchConstraints.ResourceRules {
			for _, op := range r.Operations {
				for _, verb := range verbs[op] {
					for _, resource := range r.Resources {
						limited[verb+" /"+resource] = true
					}
				}
			}
		}
	}
	all := slices.Concat(rights(find[*rbacv1.ClusterRole](t).Rules), rights(find[*rbacv1.Role](t).Rules))
	for _, right := range all {
		reads := slices.ContainsFunc([]string{"get ", "list ", "watch "}, func(verb string) bool { return strings.HasPrefix(right, verb) })
		if !reads && !limited[right] {
			t.Errorf("no policy limits %q", right)
		}
	}
}

// TestPoliciesKnowTheCode: the names in them are those that the code writes.
func TestPoliciesKnowTheCode(t *testing.T) {
	t.Parallel()
	all := policies(t)
	written := all["starling-services"].Spec.Variables[0]
	if want := `["` + lease.LeaseAnnotation + `", "` + lease.PoolAnnotation + `"]`; written.Expression != want {
		t.Errorf("speakers may write %s, want %s", written.Expression, want)
	}
	for policy, word := range map[string]string{"starling-events": record.Component, "starling-secrets": kube.GossipSecret} {
		if !strings.Contains(all[policy].Spec.Validations[0].Expression, `== "`+word+`"`) {
			t.Errorf("%s does not know %q", policy, word)
		}
	}
}
