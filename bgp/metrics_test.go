package bgp

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/starling-lb/starling/routes"
)

func TestMetrics(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, r *fakeRouter) {
		s, stop := r.speaker()
		if n := testutil.CollectAndCount(collector{s}); n != 0 {
			t.Errorf("%d metrics without routers", n)
		}
		s.Apply(setOf(1, tor(), vip, "192.0.2.11"))
		e := r.accept()
		e.establish(open(64512, 90, both(false)...))
		e.expect("UPDATE +203.0.113.1/32:0", "UPDATE end of ipv4-unicast", "UPDATE end of ipv6-unicast")
		compare := func(want string) {
			t.Helper()
			synctest.Wait()
			if err := testutil.CollectAndCompare(collector{s}, strings.NewReader(want)); err != nil {
				t.Error(err)
			}
		}
		compare(`
# HELP starling_bgp_session_flaps_total Established BGP sessions with the router that ended.
# TYPE starling_bgp_session_flaps_total counter
starling_bgp_session_flaps_total{router="tor"} 0
# HELP starling_bgp_session_paths Paths announced to the router.
# TYPE starling_bgp_session_paths gauge
starling_bgp_session_paths{router="tor"} 1
# HELP starling_bgp_session_up 1 if the BGP session with the router is established.
# TYPE starling_bgp_session_up gauge
starling_bgp_session_up{router="tor"} 1
`)
		_ = e.c.Close()
		compare(`
# HELP starling_bgp_session_flaps_total Established BGP sessions with the router that ended.
# TYPE starling_bgp_session_flaps_total counter
starling_bgp_session_flaps_total{router="tor"} 1
# HELP starling_bgp_session_paths Paths announced to the router.
# TYPE starling_bgp_session_paths gauge
starling_bgp_session_paths{router="tor"} 0
# HELP starling_bgp_session_up 1 if the BGP session with the router is established.
# TYPE starling_bgp_session_up gauge
starling_bgp_session_up{router="tor"} 0
`)
		s.Apply(routes.Set{})
		stop()
	})
}
