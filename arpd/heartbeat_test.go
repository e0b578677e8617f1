package arpd

import (
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/starling-lb/starling/claims"
	"github.com/starling-lb/starling/lantest"
)

func TestHeartbeat(t *testing.T) {
	p := newHeartbeat(epoch)
	for _, step := range []struct {
		at    time.Duration
		gap   time.Duration
		stops uint32
	}{
		{50 * time.Millisecond, 0, 0},
		{100 * time.Millisecond, 0, 0},
		{500 * time.Millisecond, 0, 0},
		{901 * time.Millisecond, 401 * time.Millisecond, 1},
		{950 * time.Millisecond, 0, 1},
		{time.Minute, time.Minute - 950*time.Millisecond, 2},
	} {
		if gap := p.tick(epoch.Add(step.at)); gap != step.gap || p.stops.Load() != step.stops {
			t.Errorf("after %v: stopped for %v, %d times; want %v, %d times", step.at, gap, p.stops.Load(), step.gap, step.stops)
		}
	}
}

// TestQueuedFramesAreDropped: what the kernel kept while the process was stopped
// is not answered, and what comes afterwards is.
func TestQueuedFramesAreDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, arp, _ := owning(t)
		before := n.heartbeat.beat.Load()
		n.heartbeat.beat.Store(before - int64(time.Second)) // stopped a second ago, and nobody has noticed
		arp.deliver(t, request(t, peer4, vip4))
		synctest.Wait()
		n.heartbeat.stops.Add(1) // noticed
		n.heartbeat.beat.Store(before)
		for range 3 {
			arp.in <- request(t, peer4, vip4)
		}
		synctest.Wait()
		if got := arp.take(); len(got) != 0 {
			t.Errorf("answered: %v", arpSent(time.Now(), got))
		}
		if got := n.counter(t, "dropped_total", "stale"); got != 4 {
			t.Errorf("%v frames dropped", got)
		}
		arp.deliver(t, request(t, peer4, vip4))
		synctest.Wait()
		if got := arp.take(); len(got) != 1 {
			t.Errorf("%d answers afterwards", len(got))
		}
	})
}

func TestAfterAStop(t *testing.T) {
	for name, tc := range map[string]struct {
		gap                 time.Duration
		announced, answered bool
	}{
		"short": {claims.Times().Muted - 1, true, true},
		"long":  {claims.Times().Muted, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, arp, _ := owning(t)
				n.resume(tc.gap, time.Now())
				<-n.Changed()
				time.Sleep(time.Second)
				if diff := cmp.Diff(Stop{End: time.Now().Add(-time.Second), Length: tc.gap}, n.State().Stop); diff != "" {
					t.Errorf("stop (-want +got):\n%s", diff)
				}
				if got := arp.take(); (len(got) > 0) != tc.announced {
					t.Errorf("announced: %v", arpSent(time.Now(), got))
				}
				arp.deliver(t, request(t, peer4, vip4))
				synctest.Wait()
				if got := arp.take(); (len(got) > 0) != tc.answered {
					t.Errorf("answered: %v", arpSent(time.Now(), got))
				}
				n.Set([]netip.Addr{vip4, vip6}) // the same as before
				arp.deliver(t, request(t, peer4, vip4))
				synctest.Wait()
				if got := arp.take(); len(got) == 0 {
					t.Error("not answered after the caller said again what is ours")
				}
			})
		})
	}
}

// childNamespace tells the child process of TestStoppedProcess where to answer.
const childNamespace = "ARPD_TEST_NAMESPACE"

// TestStoppedProcess stops a real process, asks it, lets it go on, and asks for
// something else: the reader works in order, so what was asked first is never
// answered.
func TestStoppedProcess(t *testing.T) {
	if path := os.Getenv(childNamespace); path != "" {
		child(t, path)
		return
	}
	lantest.Privileged(t)
	p := &pair{lan: newLAN(t), node: newHost(t), peer: newHost(t)}
	p.plug(p.node, "eth0", "198.18.0.1/24")
	p.plug(p.peer, "eth0", "198.18.0.2/24")
	p.mac, p.wire = p.node.mac("eth0"), p.peer.station("eth0")
	p.peer.reach(netip.MustParseAddr("198.18.0.1"), p.mac)

	file := os.NewFile(uintptr(mustDup(t, int(p.node.NS))), "namespace")
	defer file.Close()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^TestStoppedProcess$")
	cmd.Env = append(os.Environ(), childNamespace+"=/proc/self/fd/3")
	cmd.ExtraFiles = []*os.File{file}
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	p.Must("start", cmd.Start())
	defer func() {
		p.Must("end", cmd.Process.Kill())
		_ = cmd.Wait() // it was killed
	}()
	p.answeredSoon(vip4)

	p.Must("stop", cmd.Process.Signal(syscall.SIGSTOP))
	p.until("the process is stopped", func() bool {
		state, err := os.ReadFile("/proc/" + strconv.Itoa(cmd.Process.Pid) + "/stat")
		return err == nil && strings.Contains(string(state), ") T ")
	})
	for p.wire.within(2*claims.Times().Stop, p.toPeer(vip4)) { // announcements and answers that were on their way
		continue
	}
	p.ask(vip4)
	p.Must("continue", cmd.Process.Signal(syscall.SIGCONT))
	if p.wire.within(claims.Times().Stop/2, p.toPeer(vip4)) {
		t.Errorf("a question of the time of the stop is answered\n%s", out.String())
	}
	p.answeredSoon(vip4)
}

// child answers for vip4, and says so again whenever it was stopped.
func child(t *testing.T, path string) {
	ns, err := netns.GetFromPath(path)
	if err != nil {
		t.Fatal(err)
	}
	h := &host{&lantest.Host{T: t, NS: ns}}
	s := h.speak(1)
	for {
		s.Set([]netip.Addr{vip4})
		<-s.Changed()
	}
}

func mustDup(t *testing.T, fd int) int {
	t.Helper()
	n, err := unix.Dup(fd)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
