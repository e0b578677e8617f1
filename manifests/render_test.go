package manifests

import (
	"io/fs"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

func TestRenderedIsCurrent(t *testing.T) {
	t.Parallel()
	want, err := Render(os.DirFS("."))
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(Rendered)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s is not what base/ renders to; run `make manifests` (-base +file):\n%s", Rendered, diff)
	}
}

// Every file of base/ is listed, so that none is forgotten silently.
func TestEveryFileIsAResource(t *testing.T) {
	t.Parallel()
	k, err := readKustomization(os.DirFS("."), "base/kustomization.yaml")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{"kustomization.yaml": true}
	for _, r := range k.Resources {
		want[r] = true
	}
	files, err := os.ReadDir("base")
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]bool{}
	for _, f := range files {
		got[f.Name()] = true
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("files of base/ (-listed +there):\n%s", diff)
	}
}

const listed = "kind: Kustomization\nsortOptions: {order: fifo}\nresources: [b.yaml, a.yaml]\n"

func TestRender(t *testing.T) {
	t.Parallel()
	fsys := base(map[string]string{
		"kustomization.yaml": listed,
		"a.yaml":             "# why\nkind: A\n\n",
		"b.yaml":             "kind: B\n---\nkind: C",
	})
	got, err := Render(fsys)
	if err != nil {
		t.Fatal(err)
	}
	want := header + "---\nkind: B\n---\nkind: C\n---\n# why\nkind: A\n"
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("Render (-want +got):\n%s", diff)
	}
}

func TestRenderErrors(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		files map[string]string
		want  string
	}{
		{"no kustomization", nil, "base/kustomization.yaml"},
		{
			"a transformer would be lost",
			map[string]string{"kustomization.yaml": listed + "namePrefix: x-\n"},
			`unknown field "namePrefix"`,
		},
		{
			"another kind",
			map[string]string{"kustomization.yaml": "kind: Component\nresources: [a.yaml]\n"},
			`kind is "Component"`,
		},
		{
			"an order that is not kept",
			map[string]string{"kustomization.yaml": "kind: Kustomization\nresources: [a.yaml]\n"},
			`sortOptions.order is ""`,
		},
		{
			"nothing listed",
			map[string]string{"kustomization.yaml": "kind: Kustomization\nsortOptions: {order: fifo}\n"},
			"no resources",
		},
		{
			"a file that is not there",
			map[string]string{"kustomization.yaml": listed, "b.yaml": "kind: B"},
			"base/a.yaml",
		},
		{
			"an empty file",
			map[string]string{"kustomization.yaml": listed, "a.yaml": "kind: A", "b.yaml": "\n"},
			`"b.yaml" begins or ends with an empty document`,
		},
		{
			"an open end",
			map[string]string{"kustomization.yaml": listed, "a.yaml": "kind: A\n---\n", "b.yaml": "kind: B"},
			`"a.yaml" begins or ends with an empty document`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := Render(base(tt.files))
			if err == nil {
				t.Fatalf("no error, rendered:\n%s", got)
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %q does not tell %q", err, tt.want)
			}
		})
	}
}

func base(files map[string]string) fs.FS {
	fsys := fstest.MapFS{}
	for name, text := range files {
		fsys["base/"+name] = &fstest.MapFile{Data: []byte(text)}
	}
	return fsys
}
