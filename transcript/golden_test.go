package transcript

import (
	"slices"
	"testing"
)

func TestWithin(t *testing.T) {
	type object = map[string]any
	for _, tt := range []struct {
		name string
		a, b any
		want bool
	}{
		{"the same", object{"a": 1.0, "b": []any{"x"}}, object{"a": 1.0, "b": []any{"x"}}, true},
		{"more is known", object{"a": object{"b": 1.0}}, object{"a": object{"b": 1.0, "c": 2.0}, "d": nil}, true},
		{"less is known", object{"a": 1.0}, object{}, false},
		{"it means something else", object{"a": []any{1.0}}, object{"a": []any{2.0}}, false},
		{"a longer list", []any{1.0}, []any{1.0, 2.0}, false},
		{"another type", object{}, []any{}, false},
		{"a list that is none", []any{}, nil, false},
	} {
		if got := Within(tt.a, tt.b); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}

func TestVersionsAreOrdered(t *testing.T) {
	files := []string{"x/v0.10.0.json", "x/v0.9.1.json", "x/v0.9.0.json", "x/v1.0.0.json"}
	slices.SortFunc(files, compareVersions)
	if want := []string{"x/v0.9.0.json", "x/v0.9.1.json", "x/v0.10.0.json", "x/v1.0.0.json"}; !slices.Equal(files, want) {
		t.Errorf("%v", files)
	}
}
