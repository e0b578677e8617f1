// Command image packs static binaries into one image archive, without a container engine and without a
// registry. Run it in the module's root:
//
//	go run ./scripts/image -ref ghcr.io/starling-lb/starling:v0.1.0 -out dist/image.tar amd64=bin/a arm64=bin/b
//
// The archive is an OCI image layout of one image index with an image for each architecture, which
// `ctr images import`, `nerdctl load`, `podman load` and a docker with the containerd image store
// take. The file manifest.json beside it, sharing the blobs, is the older docker format: there an
// archive has one architecture, amd64 if it was given.
//
// Each image is one layer with one file, /starling. Nothing else is needed: the certificate of the
// API server comes with the ServiceAccount. Layers are plain tar, so a blob's digest depends on no
// version of a compressor; all times are zero: equal binaries give an equal archive.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
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
	name := flags.String("ref", "", "full `name` of the image, registry and tag included")
	out := flags.String("out", "", "`file` to write")
	flags.Usage = func() {
		fmt.Fprintln(stderr, "usage: image -ref NAME -out FILE ARCH=BINARY...")
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); err != nil {
		return err
	}
	ref, err := parseRef(*name)
	if err != nil {
		return err
	}
	if *out == "" {
		return errors.New("-out is missing")
	}
	bins, err := readPrograms(flags.Args())
	if err != nil {
		return err
	}
	a, err := build(ref, bins)
	if err != nil {
		return err
	}
	if err := write(*out, a); err != nil {
		return err
	}
	fmt.Fprintln(stdout, a.index.Digest)
	return nil
}

// write leaves the whole archive at path, or what was there before.
func write(path string, a *archive) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("make the folder of %q: %w", path, err)
	}
	f, err := os.Create(path + ".new")
	if err != nil {
		return fmt.Errorf("write %q: %w", path, err)
	}
	defer os.Remove(f.Name()) // fails after the rename, as it should
	if err := errors.Join(a.writeTo(f), f.Close()); err != nil {
		return fmt.Errorf("write %q: %w", path, err)
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return fmt.Errorf("write %q: %w", path, err)
	}
	return nil
}

// ref is the full name of an image.
type ref struct{ name, tag string }

// parseRef asks for a registry and a tag: containerd keeps images under full names, and an archive
// without one would be imported as an image that no pod finds.
func parseRef(s string) (ref, error) {
	if s == "" {
		return ref{}, errors.New("-ref is missing")
	}
	host, rest, ok := strings.Cut(s, "/")
	if !ok || !strings.ContainsAny(host, ".:") && host != "localhost" {
		return ref{}, fmt.Errorf("-ref %q does not begin with a registry", s)
	}
	repo, tag, ok := strings.Cut(rest, ":")
	if !ok || repo == "" || tag == "" || strings.ContainsAny(s, "@ ") || strings.ContainsAny(tag, "/:") {
		return ref{}, fmt.Errorf("-ref %q does not end with a tag", s)
	}
	return ref{name: s, tag: tag}, nil
}
