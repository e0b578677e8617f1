package netspace

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// space makes one for the test, with a first process if program is set.
func space(t *testing.T, program string) *Space {
	t.Helper()
	if os.Geteuid() != 0 {
		if os.Getenv("CI") != "" {
			t.Fatal("needs root")
		}
		t.Skip("needs root")
	}
	s, err := New(fmt.Sprintf("starling-test-%d-%s", os.Getpid(), strings.ToLower(t.Name())))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Remove(context.WithoutCancel(t.Context())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Error(err)
		}
	})
	if program != "" {
		if err := s.Boot(program, "inner", false); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// pause builds the first process.
func pause(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "pause")
	cmd := exec.Command("go", "build", "-o", program, "../cmd/pause")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build pause: %v: %s", err, out)
	}
	return program
}

func TestDoIsApart(t *testing.T) {
	before := ownNetwork(t)
	s := space(t, "")
	var inside []net.Interface
	if err := s.Do(func() (err error) { inside, err = net.Interfaces(); return err }); err != nil {
		t.Fatal(err)
	}
	if len(inside) != 1 || inside[0].Name != "lo" {
		t.Errorf("the space has %v, want only lo", inside)
	}
	for range 100 { // Whatever thread runs us next.
		if after := ownNetwork(t); after != before {
			t.Fatalf("the test itself has moved from %s to %s", before, after)
		}
		runtime.Gosched()
	}
}

// TestFirstThreadStays enters the space from goroutines that happen to run on the first thread of
// the process, where the next goroutine is likely to run as well. What /proc shows of a process is
// what its first thread has.
func TestFirstThreadStays(t *testing.T) {
	s := space(t, "")
	before, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	entered := 0
	for tries := 0; entered < 10 && tries < 500_000; tries++ {
		done := make(chan struct{})
		go func() {
			defer close(done)
			if unix.Gettid() != os.Getpid() {
				return
			}
			entered++
			if err := s.Do(func() error { return nil }); err != nil {
				t.Error(err)
			}
		}()
		<-done
	}
	if after, err := os.Readlink("/proc/self/ns/net"); err != nil || after != before || entered == 0 {
		t.Errorf("the process has moved from %s to %s (%v), entering %d times", before, after, err, entered)
	}
}

func ownNetwork(t *testing.T) string {
	t.Helper()
	name, err := os.Readlink("/proc/thread-self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	return name
}

func TestNewTwice(t *testing.T) {
	s := space(t, "")
	if _, err := New(s.Name); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a second space of the same name: %v", err)
	}
}

func TestNamesAndOpen(t *testing.T) {
	s := space(t, "")
	names, err := Names("starling-test-")
	if err != nil || !slices.Contains(names, s.Name) {
		t.Errorf("Names: %v, %v; want %s among them", names, err, s.Name)
	}
	if opened, err := Open(s.Name); err != nil || opened.Name != s.Name {
		t.Errorf("Open: %v, %v", opened, err)
	}
	if _, err := Open("starling-test-none"); !os.IsNotExist(err) {
		t.Errorf("Open of what does not exist: %v", err)
	}
}

func TestInside(t *testing.T) {
	s := space(t, pause(t))
	out := output(t, s, "sh", "-c", "hostname; echo $$; cat /proc/1/comm; cat /proc/net/dev | grep -c :")
	lines := strings.Fields(out)
	if len(lines) != 4 || lines[0] != "inner" || lines[2] != "pause" || lines[3] != "1" {
		t.Fatalf("inside: %q", lines)
	}
	if lines[1] == fmt.Sprint(os.Getpid()) || len(lines[1]) > 2 {
		t.Errorf("number of the process is %s, want a small one", lines[1])
	}
	if host, _ := os.Hostname(); host == "inner" {
		t.Error("the machine's own name has changed")
	}
}

func output(t *testing.T, s *Space, argv ...string) string {
	t.Helper()
	var out strings.Builder
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdout = &out
	if err := s.Inside(cmd.Start); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestBindIsSeenInsideOnly(t *testing.T) {
	s := space(t, pause(t))
	from, to := t.TempDir(), t.TempDir()
	if err := os.WriteFile(from+"/file", []byte("shown"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := s.Bind(from, to); err != nil {
		t.Fatal(err)
	}
	if got := output(t, s, "cat", to+"/file"); got != "shown" {
		t.Errorf("inside: %q", got)
	}
	if _, err := os.Stat(to + "/file"); !os.IsNotExist(err) {
		t.Errorf("outside: %v", err)
	}
	if err := s.Bind(from+"/none", to); err == nil || !strings.Contains(err.Error(), from+"/none") {
		t.Errorf("error %v does not say what failed", err)
	}
}

func TestInsideNeedsBoot(t *testing.T) {
	s := &Space{Name: "x"}
	if err := s.Inside(func() error { return nil }); err == nil {
		t.Error("entered a space without a first process")
	}
}

func TestRemoveEndsEverything(t *testing.T) {
	s := space(t, pause(t))
	cmd := exec.Command("sh", "-c", "trap '' TERM; setsid sleep 1000 & setsid sleep 1000 & wait")
	if err := s.Inside(cmd.Start); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	pids, err := s.Processes()
	if err != nil || !slices.Contains(pids, cmd.Process.Pid) || !slices.Contains(pids, s.Init) {
		t.Fatalf("processes are %v, %v; want %d and %d among them", pids, err, cmd.Process.Pid, s.Init)
	}
	if err := s.Remove(t.Context()); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		if err == nil {
			t.Error("a process that was killed ended well")
		}
	case <-time.After(10 * time.Second):
		t.Fatal("a process has survived")
	}
	for _, pid := range pids {
		if unix.Kill(pid, 0) == nil && !zombie(pid) {
			t.Errorf("process %d has survived", pid)
		}
	}
	if _, err := os.Stat(s.Path()); !os.IsNotExist(err) {
		t.Errorf("the name is still there: %v", err)
	}
}

func TestZombie(t *testing.T) {
	if zombie(os.Getpid()) {
		t.Error("the test itself is not one")
	}
	if !zombie(1 << 30) {
		t.Error("a process that does not exist has ended")
	}
	cmd := exec.Command("true")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var info unix.Siginfo
	if err := unix.Waitid(unix.P_PID, cmd.Process.Pid, &info, unix.WEXITED|unix.WNOWAIT, nil); err != nil {
		t.Fatal(err)
	}
	if !zombie(cmd.Process.Pid) {
		t.Error("a process that nobody has collected is one")
	}
	_ = cmd.Wait()
}
