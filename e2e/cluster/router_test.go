package cluster

import (
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// TestRouter: a client behind the router reaches a node and gets answers, the router's routes are
// read, and nothing is left of it afterwards, so that it can be made again.
func TestRouter(t *testing.T) {
	n, n1, _ := wire(t)
	c := &Cluster{Dir: t.TempDir(), network: n, Nodes: []*Node{{Host: n1}}}
	if err := os.Mkdir(filepath.Join(c.Dir, "logs"), 0o755); err != nil {
		t.Fatal(err)
	}
	serve(t, n1, "99")
	before := len(n.hosts)
	for range 2 {
		r, err := c.AddRouter(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		conn, err := r.Client.Dial(t.Context(), "udp", net.JoinHostPort(n1.IP4.String(), "99"))
		if err != nil {
			t.Fatal(err)
		}
		if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Write([]byte("?")); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Read(make([]byte, 100)); err != nil {
			t.Errorf("no answer through the router: %v", err)
		}
		conn.Close()
		ip := netip.MustParseAddr("203.0.113.1")
		for _, via := range []string{"198.18.0.11", "198.18.0.12"} {
			if _, err := r.Run(t.Context(), "ip", "route", "append", "203.0.113.1/32", "via", via); err != nil {
				t.Fatal(err)
			}
		}
		hops, err := r.Hops(t.Context(), ip)
		if want := []netip.Addr{netip.MustParseAddr("198.18.0.11"), netip.MustParseAddr("198.18.0.12")}; err != nil || !slices.Equal(hops, want) {
			t.Errorf("next hops %v, %v, want %v", hops, err, want)
		}
		if hops, err = r.Hops(t.Context(), netip.MustParseAddr("2001:db8:20::1")); err != nil || len(hops) > 0 {
			t.Errorf("next hops %v, %v, want none", hops, err)
		}
		if err := r.Start("sleep", "sleep", "1000"); err != nil {
			t.Fatal(err)
		}
		if running, err := r.Space.Processes(); err != nil || len(running) != 1 {
			t.Errorf("processes %v, %v, want one", running, err)
		}
		if err := r.Remove(t.Context()); err != nil {
			t.Fatal(err)
		}
		if len(n.hosts) != before {
			t.Errorf("%d hosts are left", len(n.hosts)-before)
		}
	}
}
