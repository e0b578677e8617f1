package lease

import "testing"

func TestOverlap(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want bool
	}{
		{"198.18.64.0/24", "198.18.64.200-198.18.65.3", true},
		{"198.18.64.0/24", "198.18.65.0/24", false},
		{"198.18.64.1-198.18.64.9", "198.18.64.9", true},
		{"198.18.64.1-198.18.64.9", "198.18.64.10", false},
		{"2001:db8::/64", "2001:db8::1-2001:db8::2", true},
		{"0.0.0.0/0", "2001:db8::/32", false},
	} {
		for _, pair := range [][2]string{{tt.a, tt.b}, {tt.b, tt.a}} {
			if got, err := Overlap(pair[0], pair[1]); err != nil || got != tt.want {
				t.Errorf("%s and %s: %v, %v", pair[0], pair[1], got, err)
			}
		}
	}
	for _, bad := range []string{"", "web", "198.18.64.9-198.18.64.1", "198.18.64.1/24"} {
		for _, pair := range [][2]string{{bad, "198.18.64.1"}, {"198.18.64.1", bad}} {
			if _, err := Overlap(pair[0], pair[1]); err == nil {
				t.Errorf("%q and %q: no error", pair[0], pair[1])
			}
		}
	}
}
