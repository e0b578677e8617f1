package starling

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/starling-lb/starling/e2e/build"
	"github.com/starling-lb/starling/e2e/image"
)

// OlderImage is the reference of the image that MakeOlder makes.
const OlderImage = "starling.invalid/starling:older"

// ErrNoHistory says that the checkout has no history in which the commit could be.
var ErrNoHistory = errors.New("this checkout is shallow, or no git repository: run `git fetch --unshallow`, or check out with the whole history (fetch-depth: 0)")

// MakeOlder builds the image of the speaker of a commit into dir and returns its archive.
func MakeOlder(ctx context.Context, dir, commit string) (archive string, err error) {
	program, err := Older(ctx, dir, commit)
	if err != nil {
		return "", err
	}
	archive = filepath.Join(dir, "older.tar")
	return archive, image.Write(archive, OlderImage, runtime.GOARCH, program)
}

// Older checks the files of a commit out into dir, builds the program there and returns its path.
func Older(ctx context.Context, dir, commit string) (program string, err error) {
	module, err := build.Root()
	if err != nil {
		return "", err
	}
	root := filepath.Dir(module)
	if shallow, err := exec.CommandContext(ctx, "git", "-C", root, "rev-parse", "--is-shallow-repository").Output(); err != nil || strings.TrimSpace(string(shallow)) != "false" {
		return "", ErrNoHistory
	}
	text, err := exec.CommandContext(ctx, "git", "-C", root, "archive", "--format=tar", commit).Output()
	if err != nil {
		return "", fmt.Errorf("git archive %s: %w", commit, err)
	}
	unpack := exec.CommandContext(ctx, "tar", "-x", "-C", dir)
	unpack.Stdin = bytes.NewReader(text)
	if out, err := unpack.CombinedOutput(); err != nil {
		return "", fmt.Errorf("unpack %s: %w\n%s", commit, err, strings.TrimSpace(string(out)))
	}
	older := &Product{Binary: filepath.Join(dir, "bin", "starling"), root: dir}
	return older.Binary, older.goTool(ctx, "build", "-ldflags", "-s -w", "-o", older.Binary, "./cmd/starling")
}
