package manifests

import (
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

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
	pools, err := lease.Compile(config)
	if err != nil {
		t.Fatal(err)
	}
	got := pools.List()[0]
	want := []any{uint64(1<<64 - 1), 10, []string{"env=prod"}, []string{"app in (mail,web)"}, []string{
		"on layer 2 for Services with app=web by nodes with topology.kubernetes.io/zone=1 on interfaces eth0 vlan* !vlan7 by weight 3 for uplink=fast",
		"by BGP to tor1 with 64513:100, large:64513:1:2, no-export",
	}}
	if diff := cmp.Diff(want, []any{got.Size, *got.Priority, got.NamespaceSelectors, got.ServiceSelectors, got.Announce}); diff != "" {
		t.Errorf("the first pool (-want +got):\n%s", diff)
	}
	racks := pools.List()[1]
	if diff := cmp.Diff([]any{[]string{"rack=1"}, []string{"0 for spare=yes"}, []string{"eth*"}}, []any{racks.NodeSelectors, racks.NodeWeights, racks.Interfaces}); diff != "" {
		t.Errorf("the second pool (-want +got):\n%s", diff)
	}
	if b := pools.BGP(); b == nil || len(b.Routers) != 1 || b.Routers[0].Hold != 90*time.Second || b.Routers[0].BFDMultiplier != 3 {
		t.Errorf("routers %+v", b)
	}
	if len(pools.List()) != 4 || pools.List()[2].Size != 16 {
		t.Errorf("pools %+v", pools.List())
	}
	if q := pools.List()[3]; !q.Given || !q.ExternalIPs || q.Endpoints != "ignore" {
		t.Errorf("the last pool %+v", q)
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
