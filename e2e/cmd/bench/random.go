package main

import (
	"context"
	"time"

	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/starling-lb/starling/e2e/chaos"
	"github.com/starling-lb/starling/e2e/cluster"
	"github.com/starling-lb/starling/e2e/step"
	"github.com/starling-lb/starling/e2e/workload"
)

// What a client may notice of one fault.
const (
	gapMost    = 1500 * time.Millisecond
	doubleMost = time.Second
)

// random does many faults in a row.
func (o *options) random(ctx context.Context, p *step.Printer, c *cluster.Cluster) error {
	f, err := newFaulter(ctx, p, c)
	if err != nil {
		return err
	}
	defer f.watcher.Close()
	if err := f.healthy(ctx); err != nil {
		return err
	}
	// Of a node that was cut off for long Kubernetes says that its backends are gone, and for a while after it is back: one more
	// cut would then leave a client without a backend, whoever announces. And the announcer must not hand connections to the backend of
	// a node that is cut, because no speaker could help that.
	patch := []byte(`{"spec": {"publishNotReadyAddresses": true, "externalTrafficPolicy": "Local"}}`)
	if _, err := c.Kube.CoreV1().Services(workload.Namespace).Patch(ctx, backend, types.MergePatchType, patch, meta.PatchOptions{}); err != nil {
		return err
	}
	p.Say("\n  %d random faults in a row, -seed %d: those after which a client waited longer than %v,\n"+
		"  or two hosts answered for longer than %v", o.count, o.seed, gapMost, doubleMost)
	var t tally
	r := chaos.Runner{Cluster: c, Watcher: f.watcher, IP: f.ip}
	err = r.Run(ctx, chaos.Plan(o.seed, len(c.Nodes), o.count), func(out chaos.Outcome) {
		if t.add(out) {
			p.Say("    %4d  %-36s %6.0f ms without answer, %6.0f ms with two", t.faults, out.Fault, ms(out.Gap), ms(out.Double))
		}
	})
	p.Say("    %d faults, %d questions: %d long gaps, %d long double answers; longest %.0f ms and %.0f ms; %d lost",
		t.faults, t.asked, t.gaps, t.doubles, ms(t.gap), ms(t.double), t.lost)
	return err
}

// tally sums up outcomes.
type tally struct {
	faults, asked, lost, gaps, doubles int
	gap, double                        time.Duration
}

// add tells whether the outcome is worth a line.
func (t *tally) add(o chaos.Outcome) bool {
	t.faults++
	t.asked += o.Asked
	t.lost += o.Lost
	t.gap, t.double = max(t.gap, o.Gap), max(t.double, o.Double)
	gap, double := o.Gap > gapMost, o.Double > doubleMost
	if gap {
		t.gaps++
	}
	if double {
		t.doubles++
	}
	return gap || double
}
