// Package netspace makes places where parts of a test cluster live apart from the machine.
//
// A Space is a named network namespace, pinned in a folder of its own. After Boot it also has a
// first process with PID, mount and UTS namespaces of its own; whatever is started in the space
// dies with that process, and its mounts vanish, so that nothing needs to be tracked to be removed.
//
// Namespaces belong to threads. Do therefore runs its function on a thread of its own, moves this
// thread into the space and lets it end with the goroutine. Sockets made there stay in the space
// and can be used anywhere; processes started there are born there.
package netspace

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Dir is where network namespaces are pinned. It is not that of "ip netns": the first "ip netns
// add" on a machine mounts /run/netns onto itself, and what was pinned there before cannot be
// unpinned beneath that mount.
const Dir = "/run/starling-e2e"

// Space is one place. Its methods are not meant for concurrent Boot and Remove.
type Space struct {
	Name string // Name of the network namespace, unique on the machine.
	Init int    // Process number of the first process, 0 before Boot.

	owner *os.File // Closed by the kernel when we die: the first process waits for it.
	first *exec.Cmd
}

// New makes the network namespace and pins it; its loopback is down and nothing else is in it.
func New(name string) (*Space, error) {
	if err := os.MkdirAll(Dir, 0o755); err != nil {
		return nil, err
	}
	s := &Space{Name: name}
	file, err := os.OpenFile(s.Path(), os.O_CREATE|os.O_EXCL|os.O_RDONLY, 0o444)
	if err != nil {
		return nil, fmt.Errorf("pin network namespace: %w", err)
	}
	file.Close()
	err = onThread(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return err
		}
		self := fmt.Sprintf("/proc/self/task/%d/ns/net", unix.Gettid())
		return unix.Mount(self, s.Path(), "", unix.MS_BIND, "")
	})
	if err != nil {
		os.Remove(s.Path())
		return nil, fmt.Errorf("make network namespace %s: %w", name, err)
	}
	return s, nil
}

// Open finds a space that was made before; the first process is looked up among the processes in
// it.
func Open(name string) (*Space, error) {
	s := &Space{Name: name}
	if _, err := os.Stat(s.Path()); err != nil {
		return nil, err
	}
	return s, nil
}

// Names returns the pinned namespaces whose name begins with prefix, sorted.
func Names(prefix string) ([]string, error) {
	entries, err := os.ReadDir(Dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	var names []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), prefix) {
			names = append(names, e.Name())
		}
	}
	return names, err
}

// Path is the file of the network namespace.
func (s *Space) Path() string { return filepath.Join(Dir, s.Name) }

// Do runs f inside the network namespace only.
func (s *Space) Do(f func() error) error {
	return onThread(func() error {
		if err := s.enterNet(); err != nil {
			return err
		}
		return f()
	})
}

// Inside runs f inside all namespaces of a booted space; processes that f starts are processes of
// the space.
func (s *Space) Inside(f func() error) error {
	if s.Init == 0 {
		return fmt.Errorf("space %s has no first process", s.Name)
	}
	return onThread(func() error {
		if err := s.enterNet(); err != nil {
			return err
		}
		// A thread shares root and working directory with its process until it says otherwise; only
		// then may it change its mount namespace.
		if err := unix.Unshare(unix.CLONE_FS); err != nil {
			return fmt.Errorf("leave the file system of the process: %w", err)
		}
		handle, err := unix.PidfdOpen(s.Init, 0)
		if err != nil {
			return fmt.Errorf("open first process of %s: %w", s.Name, err)
		}
		defer unix.Close(handle)
		if err := unix.Setns(handle, unix.CLONE_NEWNS|unix.CLONE_NEWPID|unix.CLONE_NEWUTS); err != nil {
			return fmt.Errorf("enter %s: %w", s.Name, err)
		}
		return f()
	})
}

func (s *Space) enterNet() error {
	file, err := os.Open(s.Path())
	if err != nil {
		return err
	}
	defer file.Close()
	if err := unix.Setns(int(file.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("enter network namespace %s: %w", s.Name, err)
	}
	return nil
}

// onThread runs f on a thread that is thrown away afterwards. f must not set a parent death signal:
// that would be delivered when the thread ends.
func onThread(f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // Never unlocked: the runtime then ends the thread with the goroutine.
		if unix.Gettid() == os.Getpid() {
			// The first thread is not ended but put aside, and all the world takes its namespaces
			// for those of the process. It is held here, so that the next attempt runs elsewhere.
			defer runtime.UnlockOSThread()
			done <- onThread(f)
			return
		}
		done <- f()
	}()
	return <-done
}

// Processes returns the numbers of all processes whose network namespace is this one, ascending.
func (s *Space) Processes() ([]int, error) {
	var want unix.Stat_t
	if err := unix.Stat(s.Path(), &want); err != nil {
		return nil, fmt.Errorf("namespace %s: %w", s.Name, err)
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		var got unix.Stat_t
		if unix.Stat(fmt.Sprintf("/proc/%d/ns/net", pid), &got) == nil && got.Ino == want.Ino && got.Dev == want.Dev {
			pids = append(pids, pid)
		}
	}
	slices.Sort(pids)
	return pids, nil
}
