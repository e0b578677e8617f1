package watcher

import (
	"errors"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/starling-lb/starling/watcher/apitest"
)

// TestSelects holds which Nodes a DaemonSet selects, by the rules of its controller.
func TestSelects(t *testing.T) {
	t.Parallel()
	required := func(terms ...corev1.NodeSelectorTerm) Placement {
		return Placement{Affinity: &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{
			RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{NodeSelectorTerms: terms},
		}}}
	}
	expression := func(key string, op corev1.NodeSelectorOperator, values ...string) corev1.NodeSelectorTerm {
		return corev1.NodeSelectorTerm{MatchExpressions: []corev1.NodeSelectorRequirement{{Key: key, Operator: op, Values: values}}}
	}
	named := func(op corev1.NodeSelectorOperator, values ...string) corev1.NodeSelectorTerm {
		return corev1.NodeSelectorTerm{MatchFields: []corev1.NodeSelectorRequirement{{Key: "metadata.name", Operator: op, Values: values}}}
	}
	tolerating := func(all ...corev1.Toleration) Placement { return Placement{Tolerations: all} }
	edge := Node{Name: "n1", Labels: map[string]string{"edge": "yes", "cores": "8"}}
	plain := Node{Name: "n2"}
	tainted := Node{Name: "n3", Taints: []Taint{{"dedicated", "db", "NoSchedule"}, {"gpu", "", "NoExecute"}}}
	for _, tt := range []struct {
		name string
		p    Placement
		n    Node
		want bool
	}{
		{"all", Placement{}, plain, true},
		{"by label", Placement{NodeSelector: map[string]string{"edge": "yes"}}, edge, true},
		{"another value", Placement{NodeSelector: map[string]string{"edge": "no"}}, edge, false},
		{"no such label", Placement{NodeSelector: map[string]string{"edge": ""}}, plain, false},
		{"one of two labels", Placement{NodeSelector: map[string]string{"edge": "yes", "far": "yes"}}, edge, false},
		{"no requirement on nodes", Placement{Affinity: &corev1.Affinity{}}, plain, true},
		{"only preferred", Placement{Affinity: &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{}}}, plain, true},
		{"in", required(expression("edge", corev1.NodeSelectorOpIn, "no", "yes")), edge, true},
		{"in, and has none", required(expression("edge", corev1.NodeSelectorOpIn, "no", "yes")), plain, false},
		{"not in", required(expression("edge", corev1.NodeSelectorOpNotIn, "yes")), edge, false},
		{"not in, and has none", required(expression("edge", corev1.NodeSelectorOpNotIn, "yes")), plain, true},
		{"exists", required(expression("edge", corev1.NodeSelectorOpExists)), edge, true},
		{"does not exist", required(expression("edge", corev1.NodeSelectorOpDoesNotExist)), edge, false},
		{"greater", required(expression("cores", corev1.NodeSelectorOpGt, "4")), edge, true},
		{"lower", required(expression("cores", corev1.NodeSelectorOpLt, "4")), edge, false},
		{"one of two terms", required(expression("edge", corev1.NodeSelectorOpDoesNotExist), expression("cores", corev1.NodeSelectorOpExists)), edge, true},
		{"an empty term", required(corev1.NodeSelectorTerm{}), edge, false},
		{"no term", required(), edge, false},
		{"by name", required(named(corev1.NodeSelectorOpIn, "n2")), plain, true},
		{"not by this name", required(named(corev1.NodeSelectorOpNotIn, "n2")), plain, false},
		{"an operator of a later release", required(expression("edge", "Near")), edge, false},
		{"tainted", Placement{}, tainted, false},
		{"all is tolerated", tolerating(corev1.Toleration{Operator: corev1.TolerationOpExists}), tainted, true},
		{
			"each is tolerated",
			tolerating(corev1.Toleration{Key: "dedicated", Value: "db"}, corev1.Toleration{Key: "gpu", Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute}),
			tainted, true,
		},
		{"one is tolerated", tolerating(corev1.Toleration{Key: "dedicated", Value: "db"}), tainted, false},
		{
			"another value is tolerated",
			tolerating(corev1.Toleration{Key: "dedicated", Value: "web"}, corev1.Toleration{Key: "gpu", Operator: corev1.TolerationOpExists}),
			tainted, false,
		},
		{
			"another effect is tolerated",
			tolerating(corev1.Toleration{Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoSchedule}),
			tainted, false,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.p.Selects(tt.n); got != tt.want {
				t.Errorf("selects: %v", got)
			}
		})
	}
}

func speakerSet(selector map[string]string) *appsv1.DaemonSet {
	return &appsv1.DaemonSet{
		ObjectMeta: metav1.ObjectMeta{Namespace: "s", Name: daemonSet},
		Spec: appsv1.DaemonSetSpec{Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{
			NodeSelector: selector, Tolerations: []corev1.Toleration{{Operator: corev1.TolerationOpExists}},
		}}},
	}
}

func inSet(c *Config) { c.SetNamespace = "s" }

// TestPlacementIsFollowed: the DaemonSet is read at the start, and now and then; it may be missing,
// and what was known stays while the API server does not answer.
func TestPlacementIsFollowed(t *testing.T) {
	virtual(t, func(t *testing.T, srv *apitest.Server, config *rest.Config) {
		edge, plain := Node{Name: "n1", Labels: map[string]string{"edge": "yes"}, Taints: []Taint{{"a", "b", "NoSchedule"}}}, Node{Name: "n2"}
		w := start(t, config, inSet)
		w.awaitSynced()
		time.Sleep(time.Second)
		if w.State().Placement != nil {
			t.Error("known without a DaemonSet")
		}
		srv.Create(speakerSet(map[string]string{"edge": "yes"}))
		time.Sleep(2 * placementEvery)
		p := w.State().Placement
		if p == nil || !p.Selects(edge) || p.Selects(plain) {
			t.Fatalf("placement %+v", p)
		}
		var broken atomic.Bool
		broken.Store(true)
		srv.Before(func(_ *http.Request, r apitest.Request) error {
			if broken.Load() && r.Resource == "daemonsets" {
				return apierrors.NewInternalError(errors.New("no"))
			}
			return nil
		})
		apitest.Edit(srv, speakerSet(nil), "", func(s *appsv1.DaemonSet) { s.Spec.Template.Spec.NodeSelector = nil })
		time.Sleep(2 * placementEvery)
		if got := w.State().Placement; got != p {
			t.Errorf("placement %+v while it cannot be read", got)
		}
		if problems := w.State().words(); len(problems) > 0 {
			t.Errorf("problems %q", problems)
		}
		broken.Store(false)
		time.Sleep(2 * placementRetry)
		if p := w.State().Placement; p == nil || !p.Selects(plain) {
			t.Errorf("placement %+v after an edit", p)
		}
	})
}

// TestPlacementNeedsNoRight: without the right to read the DaemonSet all else works, and nothing is
// complained of.
func TestPlacementNeedsNoRight(t *testing.T) {
	virtual(t, func(t *testing.T, srv *apitest.Server, config *rest.Config) {
		srv.Create(speakerSet(nil))
		srv.Forbid("get daemonsets")
		w := start(t, config, inSet)
		w.awaitSynced()
		time.Sleep(time.Hour)
		if s := w.State(); s.Placement != nil || len(s.words()) > 0 {
			t.Errorf("placement %+v, problems %q", s.Placement, s.words())
		}
		asked := 0
		for _, r := range srv.Requests() {
			if r.Resource == "daemonsets" {
				asked++
			}
		}
		if asked < 4 || asked > 8 {
			t.Errorf("asked %d times in an hour", asked)
		}
	})
}

// TestPlacementIsNotAskedFor where the speakers' namespace is not known.
func TestPlacementIsNotAskedFor(t *testing.T) {
	virtual(t, func(t *testing.T, srv *apitest.Server, config *rest.Config) {
		w := start(t, config)
		w.awaitSynced()
		time.Sleep(time.Hour)
		for _, r := range srv.Requests() {
			if r.Resource == "daemonsets" {
				t.Fatalf("asked for %s", r)
			}
		}
	})
}
