package lease

import (
	"strings"
	"testing"
)

func TestClasses(t *testing.T) {
	for _, tt := range []struct {
		name     string
		list     []string
		want     Classes
		has, not string
	}{
		{"none: those without a class", nil, "", "", "example.com/a"},
		{"the empty one alone is the same", []string{""}, "", "", "example.com/a"},
		{"one", []string{"example.com/a"}, "example.com/a", "example.com/a", ""},
		{"several, in any order and twice", []string{"b", "example.com/a", "b"}, "b,example.com/a", "b", ""},
		{"the empty one among them", []string{"example.com/a", ""}, ",example.com/a", "", "example.com"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := NewClasses(tt.list)
			if err != nil || got != tt.want {
				t.Errorf("NewClasses(%q) = %q, %v, want %q", tt.list, got, err, tt.want)
			}
			if !got.Has(tt.has) || got.Has(tt.not) {
				t.Errorf("%q has %q: %v and %q: %v, want true and false", got, tt.has, got.Has(tt.has), tt.not, got.Has(tt.not))
			}
		})
	}
	for _, wrong := range []string{"a,b", "example.com/", "x y", strings.Repeat("a", 64)} {
		if got, err := NewClasses([]string{wrong}); err == nil || !strings.Contains(err.Error(), "loadBalancerClass") {
			t.Errorf("NewClasses(%q) = %q, %v, want an error", wrong, got, err)
		}
	}
}

func TestSeveralClasses(t *testing.T) {
	runScripts(t, []scriptTest{
		{"each of several classes is served, and no other", `
			pool default 198.18.64.1-198.18.64.9
			class ,example.com/ours
			create a
			create b class=example.com/ours
			create c class=example.com/other
			settle
			a 198.18.64.1
			b 198.18.64.2
			c -
		`},
		{"a class that is taken away gives its addresses back", `
			pool default 198.18.64.1-198.18.64.9
			class ,example.com/ours
			create a
			create b class=example.com/ours
			settle
			class example.com/ours
			settle
			a -
			b 198.18.64.2
		`},
	})
}
