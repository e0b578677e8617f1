package main

import (
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"
)

// TestBury leaves a child uncollected, as orphans are, and wants it gone.
func TestBury(t *testing.T) {
	cmd := exec.Command("true")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var info unix.Siginfo
	if err := unix.Waitid(unix.P_PID, cmd.Process.Pid, &info, unix.WEXITED|unix.WNOWAIT, nil); err != nil {
		t.Fatal(err)
	}
	bury()
	if err := unix.Kill(cmd.Process.Pid, 0); err != unix.ESRCH {
		t.Errorf("the child is still there: %v", err)
	}
	bury() // Must return when there are no children.
}
