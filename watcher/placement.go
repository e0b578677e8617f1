package watcher

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"

	"github.com/starling-lb/starling/watcher/kube"
)

// daemonSet is the name of the DaemonSet of the speakers, in every installation.
const daemonSet = "starling"

// Placement says which Nodes the DaemonSet of the speakers selects.
type Placement struct {
	NodeSelector map[string]string   `json:"nodeSelector"`
	Affinity     *corev1.Affinity    `json:"affinity"`
	Tolerations  []corev1.Toleration `json:"tolerations"`
}

// Selects reports whether the DaemonSet puts a speaker on the Node, by the rules of its controller:
// the node selector, the required node affinity, and the taints. Those that Kubernetes itself sets
// say that something is wrong with the Node, and pods of DaemonSets tolerate them.
func (p *Placement) Selects(n Node) bool {
	for key, value := range p.NodeSelector {
		if got, has := n.Labels[key]; !has || got != value {
			return false
		}
	}
	if p.Affinity != nil && p.Affinity.NodeAffinity != nil {
		required := p.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution
		if required != nil && !slices.ContainsFunc(required.NodeSelectorTerms, func(t corev1.NodeSelectorTerm) bool { return matches(t, n) }) {
			return false
		}
	}
	return !slices.ContainsFunc(n.Taints, func(t Taint) bool { return !p.tolerates(t) })
}

// matches reports whether a term selects the Node; one without any requirement selects none.
func matches(t corev1.NodeSelectorTerm, n Node) bool {
	if len(t.MatchExpressions)+len(t.MatchFields) == 0 {
		return false
	}
	for _, r := range t.MatchExpressions {
		if !holds(r, n.Labels) {
			return false
		}
	}
	for _, r := range t.MatchFields { // only the name is allowed there
		if !holds(r, map[string]string{"metadata.name": n.Name}) {
			return false
		}
	}
	return true
}

// operators of requirements on Nodes, as those on labels are called.
var operators = map[corev1.NodeSelectorOperator]selection.Operator{
	corev1.NodeSelectorOpIn: selection.In, corev1.NodeSelectorOpNotIn: selection.NotIn,
	corev1.NodeSelectorOpExists: selection.Exists, corev1.NodeSelectorOpDoesNotExist: selection.DoesNotExist,
	corev1.NodeSelectorOpGt: selection.GreaterThan, corev1.NodeSelectorOpLt: selection.LessThan,
}

func holds(r corev1.NodeSelectorRequirement, of map[string]string) bool {
	q, err := labels.NewRequirement(r.Key, operators[r.Operator], r.Values)
	return err == nil && q.Matches(labels.Set(of)) // the API server takes no other ones
}

// tolerates reports whether pods of the DaemonSet may be on a Node with the taint.
func (p *Placement) tolerates(t Taint) bool {
	return slices.ContainsFunc(p.Tolerations, func(o corev1.Toleration) bool {
		return (o.Key == "" || o.Key == t.Key) && (o.Effect == "" || string(o.Effect) == t.Effect) &&
			(o.Operator == corev1.TolerationOpExists || o.Value == t.Value)
	})
}

// Taint keeps pods that do not tolerate it from a Node.
type Taint struct{ Key, Value, Effect string }

// taints are those of a Node that keep pods of a DaemonSet away.
func taints(all []corev1.Taint) []Taint {
	var out []Taint
	for _, t := range all {
		if t.Effect != corev1.TaintEffectPreferNoSchedule && !strings.HasPrefix(t.Key, "node.kubernetes.io/") {
			out = append(out, Taint{intern(t.Key), intern(t.Value), intern(string(t.Effect))})
		}
	}
	return out
}

// Times between two looks at the DaemonSet. Who edits where it puts speakers changes the pods'
// template, so all are started anew, and look; the rest is for what is restored or made again.
const (
	placementEvery = 10 * time.Minute
	placementRetry = 15 * time.Second
	placementLimit = 5 * time.Second // for one answer
)

// A placer keeps the placement.
type placer struct {
	mu      sync.Mutex // guards the following
	current *Placement // nil: not known
}

func (p *placer) get() *Placement {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.current
}

// set reports whether the placement is another one.
func (p *placer) set(next *Placement) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if reflect.DeepEqual(p.current, next) {
		return false
	}
	p.current = next
	return true
}

// followPlacement reads the DaemonSet now and then. Without the right to, or without a DaemonSet of
// that name, the placement is not known, which is no fault: it only explains why a Node has no
// speaker.
func (w *Watcher) followPlacement(ctx context.Context) error {
	if w.setSpace == "" {
		return nil
	}
	for said := ""; ; {
		next, err := placement(ctx, w.client, w.setSpace)
		rest := placementEvery
		switch {
		case ctx.Err() != nil:
			return nil
		case err == nil:
		case kube.Refused(err), apierrors.IsNotFound(err):
			if said != err.Error() {
				said = err.Error()
				w.log.Info().Err(err).Msg("cannot read which nodes the DaemonSet selects")
			}
		default:
			rest = placementRetry
			next = w.placement.get()
		}
		if w.placement.set(next) {
			w.changed()
		}
		if !kube.Sleep(ctx, rest*3/4+rand.N(rest/2)) {
			return nil
		}
	}
}

// placement reads the DaemonSet. The client does not know the group apps: what is needed of it are
// types of core.
func placement(ctx context.Context, c *kube.Client, namespace string) (*Placement, error) {
	ctx, cancel := context.WithTimeout(ctx, placementLimit)
	defer cancel()
	body, err := c.Core.Get().AbsPath("/apis/apps/v1/namespaces", namespace, "daemonsets", daemonSet).
		SetHeader("Accept", "application/json").MaxRetries(0).Do(ctx).Raw()
	if err != nil {
		return nil, fmt.Errorf("read DaemonSet %s/%s: %w", namespace, daemonSet, err)
	}
	var set struct {
		Spec struct {
			Template struct{ Spec Placement }
		}
	}
	if err := json.Unmarshal(body, &set); err != nil {
		return nil, fmt.Errorf("read DaemonSet %s/%s: %w", namespace, daemonSet, err)
	}
	return &set.Spec.Template.Spec, nil
}
