package manifests

import (
	"encoding/json"
	"os"
	"reflect"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/starling-lb/starling/lease"
)

const schemaFile = "config.schema.json"

// TestSchema: the schema of the configuration file says of pools and routers what that of the
// chart's values says, and knows the same keys as the program. With UPDATE_REFERENCE set it is
// written instead.
func TestSchema(t *testing.T) {
	t.Parallel()
	chart, err := os.ReadFile("../charts/starling/values.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	var values struct{ Properties map[string]any }
	if err := json.Unmarshal(chart, &values); err != nil {
		t.Fatal(err)
	}
	want, err := json.MarshalIndent(map[string]any{
		"$schema": "http://json-schema.org/draft-07/schema#",
		"$id":     "https://raw.githubusercontent.com/starling-lb/starling/main/manifests/config.schema.json",
		"title":   "Configuration of starling",
		"description": "The entry starling.yaml of the ConfigMap starling, or the file that --config names. " +
			"`starling check FILE` finds what a schema cannot, such as pools that overlap.",
		"type":                 "object",
		"additionalProperties": false,
		"required":             []string{"pools"},
		"properties":           map[string]any{"pools": values.Properties["pools"], "bgp": values.Properties["bgp"]},
	}, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	want = append(want, '\n')
	if os.Getenv("UPDATE_REFERENCE") != "" {
		if err := os.WriteFile(schemaFile, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s is not current; run `make reference` (-chart +file):\n%s", schemaFile, diff)
	}
	known, described := map[string]bool{}, map[string]bool{}
	keysOf(reflect.TypeFor[lease.Config](), known)
	var schema any
	if err := json.Unmarshal(got, &schema); err != nil {
		t.Fatal(err)
	}
	propertiesOf(schema, described)
	if diff := cmp.Diff(sorted(known), sorted(described)); diff != "" {
		t.Errorf("keys (-program +schema):\n%s", diff)
	}
}

// propertiesOf collects the names of all properties of a schema.
func propertiesOf(schema any, keys map[string]bool) {
	switch s := schema.(type) {
	case []any:
		for _, v := range s {
			propertiesOf(v, keys)
		}
	case map[string]any:
		if properties, ok := s["properties"].(map[string]any); ok {
			for name := range properties {
				keys[name] = true
			}
		}
		for _, v := range s {
			propertiesOf(v, keys)
		}
	}
}

func sorted(set map[string]bool) (list []string) {
	for name := range set {
		list = append(list, name)
	}
	slices.Sort(list)
	return list
}
