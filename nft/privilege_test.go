package nft

import (
	"errors"
	"io/fs"
	"math"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"golang.org/x/sys/unix"

	"github.com/starling-lb/starling/flows"
	"github.com/starling-lb/starling/lantest"
)

// TestWithoutNetAdmin: a process that lacks the capability learns which one.
func TestWithoutNetAdmin(t *testing.T) {
	t.Parallel()
	result := make(chan error)
	go func() {
		runtime.LockOSThread() // the thread, which has lost its capabilities, ends here
		header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var none [2]unix.CapUserData
		if err := unix.Capset(&header, &none[0]); err != nil {
			t.Error(err)
		}
		result <- New(time.Minute, nil).Pass(nil)
	}()
	if err := <-result; !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "missing NET_ADMIN: ") {
		t.Errorf("without capabilities: %v", err)
	}
}

// TestMetric: the metric is what the kernel counts, and no number where it cannot be asked.
func TestMetric(t *testing.T) {
	lantest.Privileged(t)
	k := newHost(t).kernel()
	if n := testutil.ToFloat64(k.metric()); n != 0 {
		t.Errorf("%v flows without any", n)
	}
	k.namespace = -1
	if n := testutil.ToFloat64(k.metric()); !math.IsNaN(n) {
		t.Errorf("%v flows in a namespace that does not exist", n)
	}
	registry := prometheus.NewRegistry()
	New(time.Minute, registry)
	if n, err := testutil.GatherAndCount(registry, "starling_forwarded_flows"); n != 1 || err != nil {
		t.Errorf("%d metrics, %v", n, err)
	}
}

// TestMalformed: a MAC that is none is an error, and nothing is written.
func TestMalformed(t *testing.T) {
	lantest.Privileged(t)
	k := newHost(t).kernel()
	all := many(2)
	all[0].MACs = []string{"mac"}
	if err := k.Pass(all); err == nil {
		t.Error("a MAC that is none is taken")
	}
	if got, err := k.Passed(); len(got) > 0 || err != nil {
		t.Errorf("passed %v, %v", got, err)
	}
	if err := k.Pass([]flows.Pass{many(2)[0]}); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}
