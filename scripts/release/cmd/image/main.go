// Command image packs static Linux programs into one image archive, without a container engine and
// without a registry:
//
//	go -C scripts/release run ./cmd/image -ref ghcr.io/starling-lb/starling:v0.1.0 -out /tmp/image.tar amd64=/tmp/a arm64=/tmp/b
//
// It prints the digest of the image index. Paths are those of its working directory.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/starling-lb/starling/scripts/release/image"
)

func main() {
	if err := run(os.Args[1:], os.Stdout, os.Stderr); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return
		}
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(2)
	}
}

// run builds the archive that args describe and prints the digest of the image index.
func run(args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("image", flag.ContinueOnError)
	flags.SetOutput(stderr)
	ref := flags.String("ref", "", "full `name` of the image, registry and tag included")
	out := flags.String("out", "", "`file` to write")
	program := flags.String("program", "starling", "`name` of the program in the image")
	flags.Usage = func() {
		fmt.Fprintln(stderr, "usage: image -ref NAME -out FILE ARCH=BINARY...")
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); err != nil {
		return err
	}
	tag, err := image.Parse(*ref)
	if err != nil {
		return fmt.Errorf("-ref: %w", err)
	}
	if *out == "" {
		return errors.New("-out is missing")
	}
	programs, err := image.ReadPrograms(*program, flags.Args())
	if err != nil {
		return err
	}
	index, err := image.Index(tag, programs)
	if err != nil {
		return err
	}
	digest, err := index.Digest()
	if err != nil {
		return err
	}
	if err := image.Archive(*out, tag, index); err != nil {
		return err
	}
	fmt.Fprintln(stdout, digest)
	return nil
}
