package arpd

import (
	"maps"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// TestHeardNow hears, gains and loses at random and checks what is told against all
// sightings, and that what was told before stays as it was.
func TestHeardNow(t *testing.T) {
	ips := manyIPv4(6)
	rapid.Check(t, func(rt *rapid.T) {
		r, now := quiet(t), epoch
		told, copied := r.heardNow(now), map[netip.Addr]string{}
		for range rapid.IntRange(1, 30).Draw(rt, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 700).Draw(rt, "ms")) * time.Millisecond)
			ip := rapid.SampledFrom(ips).Draw(rt, "ip")
			switch rapid.IntRange(0, 5).Draw(rt, "step") {
			case 0:
				n := rapid.IntRange(0, len(ips)).Draw(rt, "owned")
				r.own, r.watched = ips[:n:n], ips[n:]
				r.update(slices.Clone(ips), now)
			case 1:
				r.judge(now)
			default:
				r.hear(claim{ip: ip, mac: rapid.SampledFrom([]hw{peerHW, strangerHW}).Draw(rt, "mac")}, now)
			}
			if diff := cmp.Diff(copied, told); diff != "" {
				rt.Fatalf("what was told before was changed (-want +got):\n%s", diff)
			}
			want := map[netip.Addr]string{}
			for ip, s := range r.heard {
				if !r.roles[ip].ours() || s.fresh(now) {
					want[ip] = s.mac.String()
				}
			}
			told = r.heardNow(now)
			if diff := cmp.Diff(want, told); diff != "" {
				rt.Fatalf("heard (-want +got):\n%s", diff)
			}
			copied = maps.Clone(told)
		}
	})
}
