package api

import (
	"slices"
	"testing"
)

func TestRouted(t *testing.T) {
	t.Parallel()
	both, one := []string{"n1", "n2"}, []string{"n3"}
	for name, tc := range map[string]struct {
		routes []Route
		want   string
	}{
		"nobody":             {nil, ""},
		"one router":         {[]Route{{Router: "tor1", Nodes: both}}, "n1 n2 to tor1"},
		"alike":              {[]Route{{Router: "tor1", Nodes: both}, {Router: "tor2", Nodes: both}}, "n1 n2 to tor1, tor2"},
		"a router of others": {[]Route{{Router: "tor1", Nodes: both}, {Router: "tor2", Nodes: one}}, "n1 n2 to tor1; n3 to tor2"},
	} {
		if got := Routed(tc.routes); got != tc.want {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
	if got := (VIP{Routes: []Route{{Nodes: both}, {Nodes: []string{"n2", "n3"}}}}).Hops(); !slices.Equal(got, []string{"n1", "n2", "n3"}) {
		t.Errorf("hops %q", got)
	}
}
