package attack

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/starling-lb/starling/e2e/cluster"
)

// memory of a speaker.
type memory struct{ pid int }

func pids(t *testing.T, n *cluster.Node) []int {
	t.Helper()
	all, err := n.Pids("starling")
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// watchMemory begins to watch the memory of a node's speaker: its kernel forgets the worst moment
// so far.
func watchMemory(t *testing.T, n *cluster.Node) memory {
	t.Helper()
	all := pids(t, n)
	if len(all) != 1 {
		t.Fatalf("%s runs %d speakers", n.Name, len(all))
	}
	const forget = "5" // See proc_pid_clear_refs(5).
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", all[0]), []byte(forget), 0); err != nil {
		t.Fatal(err)
	}
	return memory{all[0]}
}

var highWater = regexp.MustCompile(`(?m)^VmHWM:\s+(\d+) kB$`)

// peak is the memory at the worst moment since, in KiB.
func (m memory) peak(t *testing.T) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", m.pid))
	if err != nil {
		t.Fatalf("the speaker is dead: %v", err)
	}
	found := highWater.FindSubmatch(text)
	if found == nil {
		t.Fatal("its memory is not known")
	}
	kib, err := strconv.Atoi(string(found[1]))
	if err != nil {
		t.Fatal(err)
	}
	return kib
}

// prober asks a speaker whether it is ready, as kubelet does, and from another node.
type prober struct {
	stop context.CancelFunc
	done sync.WaitGroup

	mu sync.Mutex // Guards seen.
	probed
}

// probed is what a prober has seen.
type probed struct {
	asked, failed int
	longest       time.Duration
	last          error
}

// String is for logs.
func (p probed) String() string {
	return fmt.Sprintf("%d readiness probes, %d failed (%v), the longest took %v", p.asked, p.failed, p.last, p.longest.Round(time.Millisecond))
}

// readiness begins to ask.
func readiness(t *testing.T, n *cluster.Node) *prober {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	p := &prober{stop: stop}
	for _, from := range []*cluster.Node{n, witness()} {
		p.done.Go(func() { every(ctx, 100*time.Millisecond, func() { p.ask(t.Context(), from, n) }) })
	}
	t.Cleanup(func() { p.finish() })
	return p
}

func (p *prober) ask(ctx context.Context, from, n *cluster.Node) {
	begun := time.Now()
	_, err := get(ctx, from, n, "/readyz")
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked++
	p.longest = max(p.longest, time.Since(begun))
	if err != nil {
		p.failed++
		p.last = err
	}
}

func (p *prober) finish() probed {
	p.stop()
	p.done.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.probed
}
