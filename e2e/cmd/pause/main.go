// Command pause is the smallest process that can be number 1: it waits, and buries the children of
// others.
//
// It is the pause container of every pod. With -owner it is also the first process of a test node:
// it then ends as soon as its standard input ends, which is when the program that made the node has
// died; everything that runs on the node dies with it.
package main

import (
	"io"
	"os"
	"os/signal"
	"slices"

	"golang.org/x/sys/unix"
)

func main() {
	end := make(chan os.Signal, 1)
	signal.Notify(end, unix.SIGTERM, unix.SIGINT)
	if slices.Contains(os.Args[1:], "-owner") {
		go func() {
			_, _ = io.Copy(io.Discard, os.Stdin)
			end <- unix.SIGTERM
		}()
	}
	child := make(chan os.Signal, 1)
	signal.Notify(child, unix.SIGCHLD)
	for {
		select {
		case <-end:
			return
		case <-child:
			bury()
		}
	}
}

// bury collects every child that has ended; orphans of the namespace become children of its first
// process.
func bury() {
	for {
		pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil)
		if err == nil && pid <= 0 || err == unix.ECHILD {
			return
		}
	}
}
