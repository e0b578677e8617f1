package checks

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/yaml"
	sigs "sigs.k8s.io/yaml"
)

// objects decodes a file of many documents, by "Kind namespace/name".
func objects(t *testing.T, text string) map[string]map[string]any {
	t.Helper()
	out := map[string]map[string]any{}
	for d := yaml.NewYAMLOrJSONDecoder(bytes.NewBufferString(text), 4096); ; {
		var o map[string]any
		if err := d.Decode(&o); errors.Is(err, io.EOF) {
			return out
		} else if err != nil {
			t.Fatalf("%v in:\n%s", err, text)
		}
		if o == nil {
			continue
		}
		id := fmt.Sprint(o["kind"], " ", at(o, "metadata.namespace"), "/", at(o, "metadata.name"))
		if out[id] != nil {
			t.Fatalf("%s is there twice", id)
		}
		out[id] = o
	}
}

// at is the value at a path of keys with dots between, "" if there is none.
func at(o any, path string) any {
	for key := range strings.SplitSeq(path, ".") {
		switch v := o.(type) {
		case map[string]any:
			o = v[key]
		case []any:
			var i int
			if _, err := fmt.Sscan(key, &i); err != nil || i >= len(v) {
				return ""
			}
			o = v[i]
		}
	}
	if o == nil {
		return ""
	}
	return o
}

// configured replaces the text of the configuration by what it says: comments in it are for those
// who read the file.
func configured(t *testing.T, all map[string]map[string]any) map[string]map[string]any {
	t.Helper()
	data := at(all["ConfigMap starling-system/starling"], "data").(map[string]any)
	var v any
	if err := sigs.Unmarshal([]byte(data["starling.yaml"].(string)), &v); err != nil {
		t.Fatal(err)
	}
	data["starling.yaml"] = v
	return all
}
