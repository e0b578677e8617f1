package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/starling-lb/starling/e2e/netspace"
)

// process is a program that runs in a space until it is stopped; it can be started again.
type process struct {
	name  string
	space *netspace.Space
	log   string // File that its output is appended to.
	path  string // PATH of the program.
	argv  []string
	files []*os.File // Inherited from 3 on.

	cmd  *exec.Cmd
	done chan struct{} // Closed when it has ended.
}

func (p *process) start() error {
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(p.argv[0], p.argv[1:]...)
	cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = log, log, p.files
	cmd.Env = []string{"PATH=" + p.path, "HOME=/", "TMPDIR=/tmp"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := p.space.Inside(cmd.Start); err != nil {
		return fmt.Errorf("start %s: %w", p.name, err)
	}
	done := make(chan struct{})
	p.cmd, p.done = cmd, done
	go func() {
		_ = cmd.Wait()
		close(done)
	}()
	return nil
}

// stop sends the signal and waits for the end.
func (p *process) stop(ctx context.Context, signal syscall.Signal) error {
	if err := p.cmd.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop %s: %w", p.name, err)
	}
	select {
	case <-p.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("stop %s: %w", p.name, context.Cause(ctx))
	}
}

// alive returns an error with the last words of a process that has ended by itself.
func (p *process) alive() error {
	select {
	case <-p.done:
		return fmt.Errorf("%s ended (%s):\n%s", p.name, p.cmd.ProcessState, tail(p.log, 12))
	default:
		return nil
	}
}

// tail returns the last lines of a file, as far as it can be read.
func tail(file string, lines int) string {
	b, _ := os.ReadFile(file)
	all := bytes.Split(bytes.TrimSpace(b), []byte("\n"))
	return string(bytes.Join(all[max(0, len(all)-lines):], []byte("\n")))
}

// run executes a command in the space and returns its output, which is also in the error. The
// program is looked for inside the space, which may see other files than the machine.
func run(ctx context.Context, space *netspace.Space, path string, argv ...string) (string, error) {
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.Env = []string{"PATH=" + path, "HOME=/", "TMPDIR=/tmp"}
	err := space.Inside(func() (err error) {
		if cmd.Path, err = lookPath(argv[0], path); err != nil {
			return err
		}
		cmd.Err = nil // Of looking for it outside.
		return cmd.Start()
	})
	if err != nil {
		return "", fmt.Errorf("%s: %w", strings.Join(argv, " "), err)
	}
	if err := cmd.Wait(); err != nil {
		return out.String(), fmt.Errorf("%s: %w: %s", strings.Join(argv, " "), err, strings.TrimSpace(out.String()))
	}
	return out.String(), nil
}

// Until asks again and again until ok returns nil; the deadline's error contains the last answer.
func Until(ctx context.Context, limit time.Duration, what string, ok func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var last error
	for {
		err := ok(ctx)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil && last != nil {
			err = last // The better answer: this one was cut short.
		}
		last = err
		if _, final := errors.AsType[*finalError](err); final {
			return fmt.Errorf("%s: %w", what, err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: not within %v: %w", what, limit, err)
		case <-time.After(25 * time.Millisecond):
		}
	}
}

// Final marks an error that ends the waiting of Until at once: it cannot become better.
func Final(err error) error { return &finalError{err} }

type finalError struct{ error }

func (e *finalError) Unwrap() error { return e.error }

// inParallel runs all and returns their errors.
func inParallel(work ...func() error) error {
	errs := make([]error, len(work))
	var all sync.WaitGroup
	for i, f := range work {
		all.Go(func() { errs[i] = f() })
	}
	all.Wait()
	return errors.Join(errs...)
}

func eachNode(nodes []*Node, f func(*Node) error) error {
	work := make([]func() error, len(nodes))
	for i, n := range nodes {
		work[i] = func() error {
			if err := f(n); err != nil {
				return fmt.Errorf("node %s: %w", n.Name, err)
			}
			return nil
		}
	}
	return inParallel(work...)
}

// searchPath finds our programs first, then those of the machine (runc, nft, mount).
func searchPath(bin string) string {
	return strings.Join([]string{bin, "/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"}, string(filepath.ListSeparator))
}

// command runs a program in the namespaces of the calling thread and returns what it wrote to its
// output; what it wrote to its error output is in the error.
func command(ctx context.Context, input string, argv ...string) (string, error) {
	var out, problems bytes.Buffer
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(input), &out, &problems
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("%s: %w: %s", strings.Join(argv, " "), err, strings.TrimSpace(problems.String()))
	}
	return out.String(), nil
}
