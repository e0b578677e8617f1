package arpd

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/starling-lb/starling/lantest"
)

// childVariable makes the test binary play the process without NET_RAW.
const childVariable = "STARLING_TEST_WITHOUT_NET_RAW"

// TestWithoutNetRaw runs a responder in a process of root that lacks NET_RAW, in
// a namespace with a good interface: it must say what is missing and go on.
func TestWithoutNetRaw(t *testing.T) {
	if path := os.Getenv(childVariable); path != "" {
		withoutNetRaw(t, path)
		return
	}
	lantest.Privileged(t)
	l, node := newLAN(t), newHost(t)
	l.plug(node, "eth0", "198.18.0.1/24")
	var out bytes.Buffer
	cmd := exec.Command(os.Args[0], "-test.run=^TestWithoutNetRaw$", "-test.v")
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=/proc/%d/fd/%d", childVariable, os.Getpid(), int(node.NS)))
	cmd.Stdout, cmd.Stderr = &out, &out
	result := make(chan error)
	go func() {
		runtime.LockOSThread() // the thread, which has lost a capability, ends here
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, unix.CAP_NET_RAW, 0, 0, 0); err != nil {
			result <- fmt.Errorf("drop NET_RAW: %w", err)
			return
		}
		result <- cmd.Run()
	}()
	if err := <-result; err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	if want := "missing NET_RAW: open packet socket: operation not permitted"; !strings.Contains(out.String(), want) {
		t.Errorf("output lacks %q:\n%s", want, out.String())
	}
}

func withoutNetRaw(t *testing.T, path string) {
	r, err := New(Config{Namespace: path})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	late := time.After(patience)
	for !strings.Contains(strings.Join(r.words(), ""), "NET_RAW") {
		select {
		case <-r.Changed():
		case err := <-done:
			t.Fatalf("Run ended: %v", err)
		case <-late:
			t.Fatalf("problems %v", r.words())
		}
	}
	if err := Permitted(); !refused(err) {
		t.Errorf("permitted: %v", err)
	}
	fmt.Println(strings.Join(r.words(), "\n"))
	for _, i := range r.Interfaces() {
		fmt.Printf("%s: used %v, reason %q\n", i.Name, i.Used, i.Reason)
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Run: %v", err)
	}
}

func TestPermitted(t *testing.T) {
	lantest.Privileged(t)
	if err := Permitted(); err != nil {
		t.Error(err)
	}
}
