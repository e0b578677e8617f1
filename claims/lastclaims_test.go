package claims

import (
	"maps"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// TestHeard hears, gains and loses at random. It checks what Heard returns against a naive memory,
// and that what it returned before stays as it was.
func TestHeard(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m, now := newTranscript().m, epoch
		told, copied := m.Heard(now), map[netip.Addr]string{}
		for range rapid.IntRange(1, 30).Draw(rt, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 700).Draw(rt, "ms")) * time.Millisecond)
			ip := addresses[rapid.IntRange(0, 5).Draw(rt, "ip")]
			switch rapid.IntRange(0, 5).Draw(rt, "step") {
			case 0:
				m.Step(duty{IP: ip, Role: Role(rapid.IntRange(0, int(roles)-1).Draw(rt, "role")), Heir: "n3"}, now)
			case 1:
				m.Ready(now)
			default:
				m.Step(Claim{IP: ip, MAC: mac(rapid.SampledFrom([]string{"n1", "n3", "x", "y"}).Draw(rt, "name"))}, now)
			}
			if diff := cmp.Diff(copied, told); diff != "" {
				rt.Fatalf("what was returned before was changed (-want +got):\n%s", diff)
			}
			want := map[netip.Addr]string{}
			for _, ip := range addresses[:6] {
				if r, ok := m.last(ip); ok && (m.Role(ip) != Owner || r.fresh(m.Timing.Fresh, now)) {
					want[ip] = r.mac.String()
				}
			}
			told = m.Heard(now)
			if diff := cmp.Diff(want, told); diff != "" {
				rt.Fatalf("heard (-want +got):\n%s", diff)
			}
			copied = maps.Clone(told)
		}
	})
}
