// Command registry keeps images and charts in memory, for tests and for trying out a release. It
// listens on the loopback alone, prints where, and ends with its standard input.
package main

import (
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"

	"github.com/google/go-containerregistry/pkg/registry"
)

func main() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, "registry:", err)
		os.Exit(1)
	}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	fmt.Println(l.Addr())
	err = http.Serve(l, registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	fmt.Fprintln(os.Stderr, "registry:", err)
	os.Exit(1)
}
