// Package build makes the programs of the test cluster from their Go modules, once.
//
// The result is kept in a folder named after everything that went into it (module sums, flags, Go
// release, our own few files), so that a warm run neither compiles nor links. The folder appears in
// one step when all is complete; a lock keeps two runs from doing the same work side by side.
package build

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/starling-lb/starling/e2e/image"
)

// Names of the images that Tools writes as archives, without a registry.
const (
	PauseImage = "e2e.starling-lb.io/pause:1"
	EchoImage  = "e2e.starling-lb.io/echo:1"
)

// flags must stay what they are for the compile cache of earlier runs to be of use. The version
// makes kubectl print what was built instead of a placeholder.
const flags = "-s -w -X k8s.io/component-base/version.gitVersion=v1.36.3 -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=36"

// programs are the folders under cmd that become binaries, each with the names it is called by.
func programs() map[string][]string {
	return map[string][]string{
		"kube":       {"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "kubelet", "kubectl"},
		"containerd": {"ctr"}, "shim": {"containerd-shim-runc-v2"}, "pause": nil, "echo": nil, "relay": nil,
	}
}

// Report is called while something is downloaded or compiled, with how far that is.
type Report func(what string, done, most int)

// Tools returns the folder that holds all programs and image archives (NAME.tar), making it when
// needed.
func Tools(ctx context.Context, report Report) (string, error) {
	root, err := Root()
	if err != nil {
		return "", err
	}
	key, err := fingerprint(root)
	if err != nil {
		return "", err
	}
	return kept(key, func(dir string) error { return fill(ctx, root, dir, report) })
}

// kept returns the folder of that name in the cache. If it is not there, write fills it.
func kept(name string, write func(dir string) error) (string, error) {
	cache, err := cacheDir()
	if err != nil {
		return "", err
	}
	unlock, err := lock(filepath.Join(cache, "lock"))
	if err != nil {
		return "", err
	}
	defer unlock()
	dir := filepath.Join(cache, name)
	if _, err := os.Stat(dir); err == nil {
		return dir, os.Chtimes(dir, time.Time{}, time.Now())
	}
	forget(cache, 14*24*time.Hour)
	temp, err := os.MkdirTemp(cache, "new-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(temp)
	if err := write(temp); err != nil {
		return "", err
	}
	return dir, errors.Join(os.Chmod(temp, 0o755), os.Rename(temp, dir))
}

// fill compiles and links everything into dir.
func fill(ctx context.Context, root, dir string, report Report) error {
	if err := compile(ctx, root, []string{"-ldflags=" + flags, "-o", dir + "/"}, targets(), report); err != nil {
		return err
	}
	for name, links := range programs() {
		for _, link := range links {
			if err := os.Symlink(name, filepath.Join(dir, link)); err != nil {
				return err
			}
		}
	}
	return errors.Join(
		image.Write(filepath.Join(dir, "pause.tar"), PauseImage, runtime.GOARCH, filepath.Join(dir, "pause")),
		image.Write(filepath.Join(dir, "echo.tar"), EchoImage, runtime.GOARCH, filepath.Join(dir, "echo")),
	)
}

// targets are the packages that are compiled.
func targets() []string {
	var list []string
	for name := range programs() {
		list = append(list, "./cmd/"+name)
	}
	slices.Sort(list)
	// Our own programs need these; compiled here, the user sees that something is going on.
	return append(list, "./cluster", "./starling", "./workload")
}

// Root returns the folder of the e2e module, looking upwards from the working directory.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for ; ; dir = filepath.Dir(dir) {
		b, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && strings.HasPrefix(string(b), "module github.com/starling-lb/starling/e2e\n") {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("not inside the e2e module: run with go -C e2e")
		}
	}
}

// fingerprint names the result: everything that can change it goes in.
func fingerprint(root string) (string, error) {
	files := []string{"go.mod", "go.sum", "image/image.go", "build/build.go"}
	for name := range programs() {
		more, err := filepath.Glob(filepath.Join(root, "cmd", name, "*.go"))
		if err != nil {
			return "", err
		}
		for _, file := range more {
			files = append(files, filepath.Join("cmd", name, filepath.Base(file)))
		}
	}
	slices.Sort(files)
	return digest(root, files)
}

// digest is one of the files beneath root, of our flags and of the Go release.
func digest(root string, files []string) (string, error) {
	h := sha256.New()
	fmt.Fprintln(h, runtime.Version(), runtime.GOARCH, flags)
	for _, name := range files {
		file, err := os.Open(filepath.Join(root, name))
		if err != nil {
			return "", err
		}
		fmt.Fprintln(h, name)
		_, err = io.Copy(h, file)
		file.Close()
		if err != nil {
			return "", fmt.Errorf("read %s: %w", name, err)
		}
	}
	return fmt.Sprintf("%x", h.Sum(nil))[:16], nil
}

func cacheDir() (string, error) {
	base, err := os.UserCacheDir()
	dir := cmp.Or(os.Getenv("STARLING_E2E_CACHE"), filepath.Join(base, "starling-e2e"))
	if dir == "starling-e2e" {
		return "", fmt.Errorf("no cache folder: %w", err)
	}
	return dir, os.MkdirAll(dir, 0o755)
}

// forget removes results that nobody used for so long.
func forget(cache string, unused time.Duration) {
	entries, _ := os.ReadDir(cache)
	for _, e := range entries {
		if info, err := e.Info(); err == nil && e.IsDir() && time.Since(info.ModTime()) > unused {
			os.RemoveAll(filepath.Join(cache, e.Name()))
		}
	}
}

// lock waits for the exclusive right to change the cache; the kernel gives it back when we die.
func lock(path string) (unlock func(), err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err != nil {
		file.Close()
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return func() { file.Close() }, nil
}
