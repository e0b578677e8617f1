package speaker

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/starling-lb/starling/flows"
	"github.com/starling-lb/starling/health"
	"github.com/starling-lb/starling/watcher"
)

// modelKernel is what the kernel of a node passes. It outlives the node's speakers.
type modelKernel struct {
	mu     sync.Mutex // guards all following fields
	passes []flows.Pass
	writes int
	fault  error
	late   []netip.Addr // were answered for before they were passed
	// answers reports whether the node's speaker answers for an address.
	answers func(netip.Addr) bool
}

func (k *modelKernel) Passed() ([]flows.Pass, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.passes), k.fault
}

func (k *modelKernel) Pass(all []flows.Pass) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, p := range all {
		known := slices.ContainsFunc(k.passes, func(q flows.Pass) bool { return p.VIP == q.VIP })
		if !p.Brief && !known && k.answers(p.VIP) {
			k.late = append(k.late, p.VIP)
		}
	}
	k.writes++
	if k.fault == nil {
		k.passes = slices.Clone(all)
	}
	return k.fault
}

// does makes the kernel refuse, or not.
func (k *modelKernel) does(fault error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.fault = fault
}

// kept is a model whose speakers keep connections.
type kept struct {
	*model
	kernels map[string]*modelKernel
	ip      string
}

// keep runs a story with n1 to n3 and a Service web.
func keep(t *testing.T, story func(k *kept)) {
	synctest.Test(t, func(t *testing.T) {
		k := &kept{model: newModel(t, tenAddresses), kernels: map[string]*modelKernel{}}
		k.rules.grace = time.Minute
		for i := range 3 {
			name := fmt.Sprint("n", i+1)
			k.kernels[name] = &modelKernel{answers: func(ip netip.Addr) bool { return slices.Contains(k.owners(ip.String()), name) }}
			k.starts(name)
		}
		defer k.end()
		k.create("web", nil, "n1", "n2", "n3")
		k.ip = k.bound("web")
		k.model.pass(10 * time.Second)
		story(k)
	})
}

// starts begins a speaker that finds its interface a moment later.
func (k *kept) starts(name string) {
	b := k.start(name, func(b *node) { b.flows, b.nics = k.kernels[name], []string{} })
	k.after(50*time.Millisecond, func() {
		b.nics = nil
		poke(b.wired)
	})
}

// passed is what the kernel of a node passes.
func (k *kept) passed(name string) string {
	passes, _ := k.kernels[name].Passed()
	var words []string
	for _, p := range passes {
		words = append(words, fmt.Sprintf("%s to n%d not from %s", p.VIP, p.To.As4()[3], strings.Join(p.MACs, " ")))
	}
	return strings.Join(words, ", ")
}

// wants fails unless the kernel of a node passes the address to another one, "" for none.
func (k *kept) wants(name, to string) {
	k.t.Helper()
	want := ""
	if to != "" {
		want = k.ip + " to " + to + " not from " + macOf(to)
	}
	if got := k.passed(name); got != want {
		k.t.Errorf("%s passes %q, want %q", name, got, want)
	}
	if late := k.kernels[name].late; len(late) > 0 {
		k.t.Errorf("%s answered for %v before it passed", name, late)
	}
}

// goes has Kubernetes say that a node is about to go, or that it is not, and returns who has the
// address then.
func (k *kept) goes(name, condition string) string {
	k.setNode(name, func(n *watcher.Node) { n.Going = condition })
	k.model.pass(5 * time.Second)
	return k.one(k.ip)
}

// TestPlannedMoveAndReturn: who takes the address of a live node passes to it, before answering;
// and so does that node when it takes the address back, while the other one passes what comes late.
func TestPlannedMoveAndReturn(t *testing.T) {
	keep(t, func(k *kept) {
		first := k.one(k.ip)
		for name := range k.kernels {
			k.wants(name, "")
		}
		second := k.goes(first, "DrainInProgress")
		k.wants(second, first)
		k.wants(first, second)
		k.model.pass(10 * time.Second)
		k.wants(second, first)
		k.wants(first, "")
		if got := k.goes(first, ""); got != first {
			t.Fatalf("%s has it after the return of %s", got, first)
		}
		k.wants(first, second)
		k.wants(second, first)
		k.model.pass(10 * time.Second)
		k.wants(first, second)
		k.wants(second, "")
	})
}

// TestPassingSpeakerRestarts: what the kernel passes outlives the speaker, and the next one goes on
// with it. What was for a moment only does not.
func TestPassingSpeakerRestarts(t *testing.T) {
	keep(t, func(k *kept) {
		first := k.one(k.ip)
		second := k.goes(first, "DrainInProgress")
		k.leaves(first) // drained: what it passed was for a moment
		k.wants(first, "")
		k.starts(first)
		k.model.pass(20 * time.Second)
		k.leaves(second) // away
		k.wants(second, first)
		k.starts(second)
		k.model.pass(20 * time.Second)
		if now := k.one(k.ip); now != second {
			t.Fatalf("%s has the address after a restart of %s", now, second)
		}
		k.wants(second, first)
		k.wants(first, "")
	})
}

// TestDeathIsNoMoveToKeep: a node that died is not passed to, whether it died with the address or
// later.
func TestDeathIsNoMoveToKeep(t *testing.T) {
	keep(t, func(k *kept) {
		first := k.one(k.ip)
		second := k.goes(first, "DrainInProgress")
		k.wants(second, first)
		k.dies(first, 100*time.Millisecond)
		k.model.pass(5 * time.Second)
		k.wants(second, "")
		k.dies(second, 100*time.Millisecond)
		k.model.pass(5 * time.Second)
		k.wants(k.one(k.ip), "")
	})
}

// TestRefusedFromTheStart: a kernel that takes no rules is asked now and then, and nothing is said
// to be passed on.
func TestRefusedFromTheStart(t *testing.T) {
	keep(t, func(k *kept) {
		for name, kernel := range k.kernels {
			kernel.does(errors.New("missing NET_ADMIN"))
			k.leaves(name)
			k.starts(name)
			k.model.pass(10 * time.Second)
		}
		first := k.one(k.ip)
		second := k.goes(first, "DrainInProgress")
		before := k.kernels[second].writes
		for range 60 {
			k.create("other", nil, first)
			k.model.pass(time.Second)
			k.remove("other")
		}
		if writes := k.kernels[second].writes - before; second == first || writes > 3 {
			t.Errorf("%s has it, %d writes in a minute", second, writes)
		}
		if lines := k.speakers[second].log.since(t, 0, "passing on packets of connections that began on other nodes"); len(lines) > 0 {
			t.Errorf("logged %q", lines)
		}
	})
}

// TestNotKept: a kernel that refuses is a condition of this node, it is asked again, and all else
// goes on.
func TestNotKept(t *testing.T) {
	keep(t, func(k *kept) {
		first := k.one(k.ip)
		for _, kernel := range k.kernels {
			kernel.does(errors.New("missing NET_ADMIN"))
		}
		second := k.goes(first, "DrainInProgress")
		conditions := func() (found []health.Condition) {
			for _, c := range k.speakers[second].speaker.Conditions() {
				if c.Code == health.ConnectionsNotKept {
					found = append(found, c)
				}
			}
			return found
		}
		if found := conditions(); second == first || len(found) != 1 || !strings.Contains(found[0].Words, "missing NET_ADMIN") {
			t.Errorf("%s has it, conditions %v", second, found)
		}
		k.kernels[second].does(nil)
		k.model.pass(31 * time.Second)
		if found := conditions(); len(found) > 0 {
			t.Errorf("conditions %v after the kernel takes rules", found)
		}
		k.kernels[second].late = nil // it answered all the time
		k.wants(second, first)
	})
}

// TestPassesAreWrittenAgain: what somebody empties is there again soon, and where nothing is passed
// nothing is written.
func TestPassesAreWrittenAgain(t *testing.T) {
	keep(t, func(k *kept) {
		first := k.one(k.ip)
		idle := k.kernels[first].writes
		k.model.pass(2 * time.Minute)
		if n := k.kernels[first].writes; idle != 1 || n != idle {
			t.Errorf("%d writes at the start, %d later, without anything to pass", idle, n)
		}
		second := k.goes(first, "DrainInProgress")
		kernel := k.kernels[second]
		kernel.mu.Lock()
		kernel.passes = nil
		kernel.mu.Unlock()
		k.model.pass(31 * time.Second)
		kernel.late = nil // it answered all the time
		k.wants(second, first)
	})
}
