// Command release makes everything that a version of starling consists of, from programs that were
// built before and a checkout:
//
//	starling-image.tar              the image, for loading by hand
//	starling.yaml                   the manifest, with the image pinned by digest
//	starling-0.2.0.tgz              the chart
//	starling-v0.2.0-OS-ARCH.tar.gz  the command line
//	starling-linux-ARCH.cdx.json    what is in each program of the image
//	starling.krew.yaml              the plugin of kubectl, for krew
//	provenance.json, .intoto.json   what all of it was built from, as SLSA has it
//	oci.txt                         what registries have of it, by digest
//	checksums.txt                   SHA-256 of all files
//
// With -push the image and the chart go to the registry as well. Nothing has a time in it: equal
// inputs give equal digests. `make release` runs it; docs/releasing.md explains it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/starling-lb/starling/scripts/release/image"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return
		}
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

// release is one version on its way.
type release struct {
	version  string // Such as v0.2.0.
	registry string // With the owner, such as ghcr.io/starling-lb.
	revision string // The commit.
	builder  string // Who builds, as a URL.
	root     string // The checkout.
	programs string // Folder of the programs, starling-OS-ARCH.
	out      string
	arches   []string // Of the image, and of the command line for Linux.
	darwin   []string // Those of the command line for macOS.
	push     bool
}

// number is the version as Helm and Go modules know it: without the letter.
func (r *release) number() string { return strings.TrimPrefix(r.version, "v") }

// versions are those of semantic versioning, without build metadata, which tags of images cannot
// have.
var versions = regexp.MustCompile(`^v(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z][0-9A-Za-z.-]*)?$`)

// parse reads the arguments.
func parse(args []string, stderr io.Writer) (*release, error) {
	var r release
	flags := flag.NewFlagSet("release", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&r.version, "version", "", "`version` to release, such as v0.2.0")
	flags.StringVar(&r.registry, "registry", "ghcr.io/starling-lb", "`registry` and owner of image and chart")
	flags.StringVar(&r.revision, "revision", "", "`commit` that the programs were built from")
	flags.StringVar(&r.builder, "builder", "https://github.com/starling-lb/starling/blob/main/docs/releasing.md#by-hand", "`URL` of who builds, for the provenance")
	flags.StringVar(&r.root, "root", "../..", "`folder` of the checkout")
	flags.StringVar(&r.programs, "programs", "../../dist", "`folder` of the programs and of the lists of what is in them")
	flags.StringVar(&r.out, "out", "", "`folder` to make")
	arches := flags.String("arches", strings.Join(nodes, ","), "`list` of the architectures of the image")
	darwin := flags.String("darwin", "amd64,arm64", "`list` of the architectures of the command line for macOS; may be empty")
	flags.BoolVar(&r.push, "push", false, "push image and chart to the registry")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	r.arches = strings.Split(*arches, ",")
	if *darwin != "" {
		r.darwin = strings.Split(*darwin, ",")
	}
	switch {
	case flags.NArg() > 0:
		return nil, fmt.Errorf("unknown argument %q", flags.Arg(0))
	case !versions.MatchString(r.version):
		return nil, fmt.Errorf("version %q is not one like v0.2.0 or v0.2.0-rc.1", r.version)
	case r.out == "":
		return nil, errors.New("-out is missing")
	case !regexp.MustCompile(`^[0-9a-f]{40}$`).MatchString(r.revision):
		return nil, fmt.Errorf("revision %q is not a commit of 40 hexadecimal digits", r.revision)
	}
	return &r, nil
}

// run makes the release that args describe, whole or not at all, and prints what registries have.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	r, err := parse(args, stderr)
	if err != nil {
		return err
	}
	final := r.out
	if err := os.MkdirAll(filepath.Dir(final), 0o755); err != nil {
		return err
	}
	if r.out, err = os.MkdirTemp(filepath.Dir(final), ".release-"); err != nil {
		return err
	}
	defer os.RemoveAll(r.out)
	in, err := r.make(ctx)
	if err != nil {
		return err
	}
	if err := errors.Join(os.Chmod(r.out, 0o755), os.RemoveAll(final), os.Rename(r.out, final)); err != nil {
		return err
	}
	_, err = fmt.Fprint(stdout, in)
	return err
}

// make fills the folder and, if asked to, the registry. It returns the references of what is, or
// would be, in the registry.
func (r *release) make(ctx context.Context) (string, error) {
	tag, err := image.Parse(r.registry + "/starling:" + r.version)
	if err != nil {
		return "", err
	}
	var programs []string
	for _, arch := range r.arches {
		programs = append(programs, arch+"="+filepath.Join(r.programs, "starling-linux-"+arch))
	}
	read, err := image.ReadPrograms("starling", programs)
	if err != nil {
		return "", err
	}
	index, err := image.Index(tag, read)
	if err != nil {
		return "", err
	}
	pinned, err := digestOf(tag, index)
	if err != nil {
		return "", err
	}
	c, err := r.chart()
	if err != nil {
		return "", err
	}
	chartTag, err := image.Parse(r.registry + "/charts/starling:" + r.number())
	if err != nil {
		return "", err
	}
	chart, err := digestOf(chartTag, c)
	if err != nil {
		return "", err
	}
	err = errors.Join(
		image.Archive(filepath.Join(r.out, "starling-image.tar"), tag, index),
		r.manifest(pinned), r.lists(), r.commands(),
	)
	if err != nil {
		return "", err
	}
	in := pinned + "\n" + chart + "\n"
	if err := errors.Join(r.write("oci.txt", []byte(in)), r.provenance(pinned, chart), r.checksums()); err != nil {
		return "", err
	}
	if !r.push {
		return in, nil
	}
	// The chart is last: who finds it finds its image.
	options := []remote.Option{remote.WithContext(ctx), remote.WithAuthFromKeychain(authn.DefaultKeychain)}
	if err := remote.WriteIndex(tag, index, options...); err != nil {
		return "", fmt.Errorf("push %s: %w", tag, err)
	}
	if err := remote.Write(chartTag, c, options...); err != nil {
		return "", fmt.Errorf("push %s: %w", chartTag, err)
	}
	hub, err := r.hub()
	if err != nil {
		return "", err
	}
	hubTag := chartTag.Tag("artifacthub.io")
	if err := remote.Write(hubTag, hub, options...); err != nil {
		return "", fmt.Errorf("push %s: %w", hubTag, err)
	}
	return in, nil
}

// digestOf is NAME:TAG@DIGEST of what has a digest.
func digestOf(tag name.Tag, of interface{ Digest() (v1.Hash, error) }) (string, error) {
	h, err := of.Digest()
	if err != nil {
		return "", fmt.Errorf("digest of %s: %w", tag, err)
	}
	return tag.String() + "@" + h.String(), nil
}

// write writes a file of the release.
func (r *release) write(name string, data []byte) error {
	return os.WriteFile(filepath.Join(r.out, name), data, 0o644)
}
