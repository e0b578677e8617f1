package starling

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"
)

// product is the repository's own, without anything built.
func product() *Product { return &Product{root: "../.."} }

// TestPools reads the ConfigMap back as the speakers do; the manifest has none.
func TestPools(t *testing.T) {
	text, err := product().Manifest()
	if err != nil {
		t.Fatal(err)
	}
	if slices.Contains(kinds(t, text), "ConfigMap") {
		t.Error("the manifest has a ConfigMap, which empties the user's when it is applied again")
	}
	var object struct {
		Kind     string
		Metadata struct{ Name, Namespace string }
		Data     map[string]string
	}
	text = Pools(Pool{"default", []string{"198.18.64.0/24", "2001:db8::/112"}}, Pool{"tiny", []string{"198.18.66.1-198.18.66.2"}})
	if err := yaml.UnmarshalStrict([]byte(text[strings.Index(text, "kind:"):]), &object); err != nil {
		t.Fatal(err)
	}
	if object.Kind != "ConfigMap" || object.Metadata.Name != Name || object.Metadata.Namespace != Namespace {
		t.Errorf("%s %+v", object.Kind, object.Metadata)
	}
	var want, got any
	if err := yaml.Unmarshal([]byte(object.Data["starling.yaml"]), &got); err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal([]byte(`{"pools": [{"name": "default", "ranges": ["198.18.64.0/24", "2001:db8::/112"]},
		{"name": "tiny", "ranges": ["198.18.66.1-198.18.66.2"]}]}`), &want); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error("(-want +got)", diff)
	}
}

func TestImage(t *testing.T) {
	if ref, err := product().image(); err != nil || !strings.Contains(ref, "/starling:") {
		t.Errorf("image: %q, %v", ref, err)
	}
	if _, err := (&Product{root: t.TempDir()}).image(); !os.IsNotExist(err) {
		t.Errorf("without manifest: %v", err)
	}
	empty := &Product{root: t.TempDir()}
	if err := os.Mkdir(empty.root+"/manifests", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(empty.root+"/manifests/starling.yaml", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := empty.image(); err == nil || !strings.Contains(err.Error(), "names no image") {
		t.Errorf("without image: %v", err)
	}
}

// TestMakeTakesWhatIsThere must not build what the environment names.
func TestMakeTakesWhatIsThere(t *testing.T) {
	t.Setenv("STARLING_BINARY", "/some/starling")
	t.Setenv("STARLING_IMAGE", "/some/starling.tar")
	p, err := Make(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if p.Binary != "/some/starling" || p.Archive != "/some/starling.tar" {
		t.Errorf("took %s and %s", p.Binary, p.Archive)
	}
}

func TestOwner(t *testing.T) {
	var s Status
	if err := yaml.Unmarshal([]byte(`{"vips": [{"ip": "198.18.64.1", "owner": "n2", "next": "n3"}]}`), &s); err != nil {
		t.Fatal(err)
	}
	for ip, want := range map[string][2]string{"198.18.64.1": {"n2", "n3"}, "198.18.64.2": {}} {
		if got := [2]string{s.Owner(ip), s.Next(ip)}; got != want {
			t.Errorf("owner and next of %s are %q, want %q", ip, got, want)
		}
	}
}

// TestWithout takes the DaemonSet out of the shipped manifest, and nothing else.
func TestWithout(t *testing.T) {
	text, err := product().Manifest()
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, kind := range kinds(t, text) {
		if kind != "DaemonSet" {
			want = append(want, kind)
		}
	}
	got := kinds(t, without(text, "DaemonSet"))
	if diff := cmp.Diff(want, got); diff != "" || len(got) == len(kinds(t, text)) {
		t.Errorf("kinds (-want +got):\n%s", diff)
	}
}

func kinds(t *testing.T, manifest string) (names []string) {
	t.Helper()
	for document := range strings.SplitSeq(manifest, "\n---\n") {
		var object struct{ Kind string }
		if err := yaml.Unmarshal([]byte(document), &object); err != nil {
			t.Fatal(err)
		}
		names = append(names, object.Kind)
	}
	return names
}
