// Command render writes manifests/starling.yaml from manifests/base. Run it in the module's root:
//
//	go run ./scripts/render
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/starling-lb/starling/manifests"
)

func main() {
	if err := render("manifests"); err != nil {
		fmt.Fprintln(os.Stderr, "render:", err)
		os.Exit(1)
	}
}

// render writes the rendered file of dir, whole or not at all.
func render(dir string) error {
	b, err := manifests.Render(os.DirFS(dir))
	if err != nil {
		return err
	}
	out := filepath.Join(dir, manifests.Rendered)
	if err := os.WriteFile(out+".new", b, 0o644); err != nil {
		return fmt.Errorf("write %q: %w", out, err)
	}
	if err := os.Rename(out+".new", out); err != nil {
		return fmt.Errorf("write %q: %w", out, err)
	}
	return nil
}
