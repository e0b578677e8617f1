package lease

import (
	"net/netip"
	"testing"

	"github.com/starling-lb/starling/transcript"
)

// TestReleases: leases of all releases are understood, and this tree writes what the newest one
// does.
func TestReleases(t *testing.T) {
	read := func(text string) (any, error) { return DecodeLease(text) }
	ip := netip.MustParseAddr
	var samples []transcript.Sample
	for _, s := range []struct {
		name  string
		lease Lease
	}{
		{"claimed", Lease{V: codecVersion, By: "cluster", Holder: "n1", IPs: []Item{{IP: ip("198.18.64.1"), Pool: "default", State: stateClaimed}}}},
		{"bound", Lease{V: codecVersion, By: "cluster", Holder: "n1", IPs: []Item{{IP: ip("198.18.64.1"), Pool: "default", State: stateBound}}}},
		{"everything", Lease{
			V: codecVersion, By: "cluster", Holder: "n1", Sharing: "a1b2",
			IPs: []Item{
				{IP: ip("198.18.64.1"), Pool: "default", State: stateBound, RevokeAfter: "30s"},
				{IP: ip("2001:db8::1"), Pool: "default", State: stateClaimed},
			},
			Conflicts: []Conflict{{IP: ip("198.18.64.9"), MAC: "02:00:00:00:00:01"}},
		}},
	} {
		samples = append(samples, transcript.Sample{Name: s.name, Text: s.lease.Encode(), Read: read})
	}
	transcript.Golden(t, samples...)
}
