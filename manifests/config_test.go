package manifests

import (
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/starling-lb/starling/lease"
)

func reference(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("config.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// The reference is a configuration that works, and gives a value to every key of it.
func TestReferenceConfiguration(t *testing.T) {
	t.Parallel()
	config, err := lease.ParseConfig([]byte(reference(t)))
	if err != nil {
		t.Fatal(err)
	}
	pools, err := lease.NewPools(config.Pools)
	if err != nil {
		t.Fatal(err)
	}
	got := pools.List()[0]
	want := []any{uint64(1<<64 - 1), 10, []string{"env=prod"}, []string{"app in (mail,web)"}, []string{"topology.kubernetes.io/zone=1"}, []string{"3 for uplink=fast"}}
	if diff := cmp.Diff(want, []any{got.Size, *got.Priority, got.NamespaceSelectors, got.ServiceSelectors, got.NodeSelectors, got.NodeWeights}); diff != "" {
		t.Errorf("the first pool (-want +got):\n%s", diff)
	}
	if len(pools.List()) != 2 || pools.List()[1].Size != 16 {
		t.Errorf("pools %+v", pools.List())
	}
}

// Every key of the configuration is in the reference, and has its comment beside or above it.
func TestReferenceIsComplete(t *testing.T) {
	t.Parallel()
	keys := map[string]bool{}
	keysOf(reflect.TypeFor[lease.Config](), keys)
	if len(keys) < 15 {
		t.Fatalf("only %d keys found: %v", len(keys), keys)
	}
	lines := strings.Split(reference(t), "\n")
	for key := range keys {
		is := regexp.MustCompile(`^[ -]*` + key + `:`)
		i := slices.IndexFunc(lines, is.MatchString)
		if i < 0 {
			t.Errorf("key %s is missing", key)
			continue
		}
		if !strings.Contains(lines[i], " # ") && !strings.HasPrefix(strings.TrimSpace(lines[i-1]), "# ") {
			t.Errorf("line %d: key %s has no comment", i+1, key)
		}
	}
}

// keysOf collects the keys of a structure and of all that it contains.
func keysOf(t reflect.Type, keys map[string]bool) {
	switch t.Kind() {
	case reflect.Slice, reflect.Pointer:
		keysOf(t.Elem(), keys)
	case reflect.Struct:
		for f := range t.Fields() {
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			keys[name] = true
			keysOf(f.Type, keys)
		}
	}
}
