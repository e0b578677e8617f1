package netif

import (
	"fmt"
	"runtime"

	"github.com/vishvananda/netns"
)

// Namespace is the path of a network namespace; empty: the one of the process.
type Namespace string

// Inside calls do with the thread in the namespace, and returns its error, or that of entering. The
// thread is never given back: it ends with its goroutine, so no other code runs in the wrong
// namespace.
func (n Namespace) Inside(do func() error) error {
	if n == "" {
		return do()
	}
	result := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		result <- n.enter(do)
	}()
	return <-result
}

func (n Namespace) enter(do func() error) error {
	ns, err := n.handle()
	if err != nil {
		return err
	}
	defer ns.Close()
	if err := netns.Set(ns); err != nil {
		return fmt.Errorf("enter network namespace %q: %w", n, err)
	}
	return do()
}

// handle opens the namespace; for that of the process it is none, which the
// netlink library understands.
func (n Namespace) handle() (netns.NsHandle, error) {
	if n == "" {
		return netns.None(), nil
	}
	ns, err := netns.GetFromPath(string(n))
	if err != nil {
		return ns, fmt.Errorf("open network namespace %q: %w", n, err)
	}
	return ns, nil
}
