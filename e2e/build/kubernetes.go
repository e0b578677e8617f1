package build

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Kubernetes returns a folder like that of Tools, with another minor release of Kubernetes in it,
// such as "1.35". The file kubernetes/1.35.mod takes the place of go.mod when that is compiled, and
// kubernetes/1.35.sum that of go.sum. `go mod tidy` writes them, in a folder with cmd/kube alone.
func Kubernetes(ctx context.Context, release string, report Report) (string, error) {
	common, err := Tools(ctx, report)
	if err != nil {
		return "", err
	}
	root, err := Root()
	if err != nil {
		return "", err
	}
	file := filepath.Join(root, "kubernetes", release+".mod")
	stamps, key, err := readRelease(file)
	if err != nil {
		return "", err
	}
	return kept(filepath.Base(common)+"-"+key, func(dir string) error {
		flags := []string{"-modfile=" + file, "-ldflags=" + stamps, "-o", filepath.Join(dir, "kube")}
		if err := compile(ctx, root, flags, []string{"./cmd/kube"}, report); err != nil {
			return err
		}
		return linkOthers(common, dir)
	})
}

// readRelease reads the go.mod of another release: the linker's flags that stamp its version, and a
// key of all that the program is compiled from beside what the key of Tools says.
func readRelease(file string) (stamps, key string, err error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return "", "", err
	}
	sums, err := os.ReadFile(strings.TrimSuffix(file, ".mod") + ".sum")
	if err != nil {
		return "", "", err
	}
	version, err := required(string(text), "k8s.io/kubernetes")
	if err != nil {
		return "", "", fmt.Errorf("%s: %w", file, err)
	}
	parts := strings.SplitN(strings.TrimPrefix(version, "v"), ".", 3)
	if len(parts) != 3 {
		return "", "", fmt.Errorf("%s: version %s of Kubernetes is none of a release", file, version)
	}
	const stamp = " -X k8s.io/component-base/version."
	stamps = "-s -w" + stamp + "gitVersion=" + version + stamp + "gitMajor=" + parts[0] + stamp + "gitMinor=" + parts[1]
	return stamps, fmt.Sprintf("%x", sha256.Sum256(fmt.Appendf(nil, "%s\n%s\n%s", stamps, text, sums)))[:16], nil
}

// required is the version of a module that the text of a go.mod requires.
func required(text, module string) (string, error) {
	for line := range strings.Lines(text) {
		if f := strings.Fields(line); len(f) >= 2 && f[0] == module && strings.HasPrefix(f[1], "v") {
			return f[1], nil
		}
	}
	return "", fmt.Errorf("it does not require %s", module)
}

// linkOthers gives a folder what another one has, but for what is there already.
func linkOthers(from, to string) error {
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for _, e := range entries {
		old, now := filepath.Join(from, e.Name()), filepath.Join(to, e.Name())
		if _, err := os.Lstat(now); err == nil {
			continue
		}
		link := func() error { return os.Link(old, now) }
		if target, err := os.Readlink(old); err == nil {
			link = func() error { return os.Symlink(target, now) }
		}
		if err := link(); err != nil {
			return err
		}
	}
	return nil
}
