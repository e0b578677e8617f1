package build

import (
	"context"
	"path/filepath"
)

// Flannel returns the folder that holds flannel's daemon and the CNI plugins that it needs, making
// it when needed. They are a module of their own, because few runs ask for them.
func Flannel(ctx context.Context, report Report) (string, error) {
	root, err := Root()
	if err != nil {
		return "", err
	}
	key, err := digest(root, []string{"build/flannel.go", "flannel/go.mod", "flannel/go.sum", "flannel/main.go"})
	if err != nil {
		return "", err
	}
	return kept("flannel-"+key, func(dir string) error {
		return compile(ctx, filepath.Join(root, "flannel"), []string{"-ldflags=-s -w", "-o", dir + "/"}, []string{".", "tool"}, report)
	})
}
