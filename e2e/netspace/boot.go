package netspace

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Boot starts the first process (the program of cmd/pause) in new PID, mount and UTS namespaces.
// Unless keep is set it ends, with all that runs in the space, when the calling process ends in any
// way.
func (s *Space) Boot(program, hostname string, keep bool) error {
	cmd := exec.Command(program)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWNS | unix.CLONE_NEWUTS, Setsid: true}
	if !keep {
		read, write, err := os.Pipe()
		if err != nil {
			return err
		}
		defer read.Close()
		cmd.Args, cmd.Stdin, s.owner = append(cmd.Args, "-owner"), read, write
	}
	if err := s.Do(cmd.Start); err != nil {
		return fmt.Errorf("boot %s: %w", s.Name, err)
	}
	s.Init, s.first = cmd.Process.Pid, cmd
	return s.Inside(func() error { return furnish(hostname) })
}

// furnish gives the space its host name, and a /proc that shows its own processes.
func furnish(hostname string) error {
	if err := unix.Sethostname([]byte(hostname)); err != nil {
		return fmt.Errorf("set host name %s: %w", hostname, err)
	}
	// Slave, not private: what the machine unmounts later goes away here too.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SLAVE, ""); err != nil {
		return fmt.Errorf("detach mounts: %w", err)
	}
	// By a process, because the kernel takes the PID namespace that the caller lives in, which for
	// us is another.
	if out, err := exec.Command("mount", "-t", "proc", "-o", "nosuid,nodev,noexec", "proc", "/proc").CombinedOutput(); err != nil {
		return fmt.Errorf("mount /proc: %w: %s", err, out)
	}
	return nil
}

// Bind shows the file or directory from at the place of another, to, within the space only.
func (s *Space) Bind(from, to string) error {
	return s.Inside(func() error {
		if err := unix.Mount(from, to, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
			return fmt.Errorf("show %s at %s: %w", from, to, err)
		}
		return nil
	})
}

// Remove kills everything in the space, waits until it is gone, and unpins the network namespace.
func (s *Space) Remove(ctx context.Context) error {
	if err := s.killAll(ctx); err != nil {
		return err
	}
	if s.first != nil {
		_ = s.first.Wait()
		s.first, s.Init = nil, 0
	}
	if s.owner != nil {
		s.owner.Close()
	}
	if err := unix.Unmount(s.Path(), unix.MNT_DETACH); err != nil && err != unix.EINVAL {
		return fmt.Errorf("unpin %s: %w", s.Path(), err)
	}
	return os.Remove(s.Path())
}

// killAll ends the processes until none is left; first the first one, which takes the others along.
func (s *Space) killAll(ctx context.Context) error {
	self := os.Getpid()
	for {
		pids, err := s.Processes()
		if err != nil {
			return err
		}
		pids = slices.DeleteFunc(pids, func(pid int) bool { return pid == self || zombie(pid) })
		if len(pids) == 0 {
			return nil
		}
		for _, pid := range pids {
			_ = unix.Kill(pid, unix.SIGKILL)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("end processes %v of %s: %w", pids, s.Name, context.Cause(ctx))
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// zombie reports whether the process has ended already and waits to be collected by its parent.
func zombie(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return true
	}
	for i := len(b) - 1; i > 0; i-- {
		if b[i] == ')' {
			return i+2 < len(b) && (b[i+2] == 'Z' || b[i+2] == 'X')
		}
	}
	return false
}
