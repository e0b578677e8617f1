package lease

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestUnknownAnnotations(t *testing.T) {
	for key, want := range map[string]string{
		"starling-lb.io/address-pool":             "",
		"starling-lb.io/lease":                    "",
		"starling-lb.io/ip-allocated-from-pool":   "",
		"metallb.io/loadBalancerIPs":              "",
		"metallb.universe.tf/allow-shared-ip":     "",
		"metallb.io/ip-allocated-from-pool":       "",
		"metallb.io/l2-status":                    "",
		"metallb.universe.tf/address-poool":       "",
		"kubernetes.io/loadbalancerips":           "did you mean kubernetes.io/loadBalancerIPs?", // the watcher keeps none such
		"starling-lb.io/adress-pool":              "did you mean starling-lb.io/address-pool?",
		"starling-lb.io/loadBalancerIP":           "did you mean starling-lb.io/loadBalancerIPs?",
		"starling-lb.io/loadbalancerips":          "did you mean starling-lb.io/loadBalancerIPs?",
		"starling-lb.io/Address-Pool":             "did you mean starling-lb.io/address-pool?",
		"starling-lb.io/shared-ip":                "did you mean starling-lb.io/allow-shared-ip?",
		"starling.io/address-pool":                "did you mean starling-lb.io/address-pool?",
		"Starling-LB.io/loadBalancerIPs":          "did you mean starling-lb.io/loadBalancerIPs?",
		"metallb.io/Address-Pool":                 "did you mean metallb.io/address-pool?",
		"starling-lb.io/interface":                "a Service asks by starling-lb.io/loadBalancerIPs, starling-lb.io/address-pool and starling-lb.io/allow-shared-ip",
		"starling-lb.io/":                         "a Service asks by starling-lb.io/loadBalancerIPs, starling-lb.io/address-pool and starling-lb.io/allow-shared-ip",
		"starling.example.com/monitoring-enabled": "",
	} {
		got := UnknownAnnotations(&Service{Annotations: [][2]string{{key, "x"}}})
		switch {
		case want == "" && len(got) > 0:
			t.Errorf("%s: %q", key, got)
		case want != "" && !slices.Equal(got, []string{"unknown annotation " + key + "; " + want}):
			t.Errorf("%s: %q, want %q", key, got, want)
		}
	}
	var many Service
	for i := range 10000 {
		many.Annotations = append(many.Annotations, [2]string{fmt.Sprintf("%s%05d", Prefix, i), ""})
	}
	if got := UnknownAnnotations(&many); len(got) != maxUnknown+1 || got[maxUnknown] != "and more" {
		t.Errorf("of 10,000: %q", got)
	}
	long := UnknownAnnotations(&Service{Annotations: [][2]string{{Prefix + strings.Repeat("x", 63), ""}}})
	if len(long) != 1 || len(long[0]) > 400 {
		t.Errorf("%q", long)
	}
}

func TestTypos(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"a", "", 1}, {"", "ab", 2}, {"adress", "address", 1}, {"pool", "loop", 2}, {"kitten", "sitting", 3}} {
		if got := typos(tt.a, tt.b); got != tt.want {
			t.Errorf("%q and %q: %d, want %d", tt.a, tt.b, got, tt.want)
		}
	}
}
