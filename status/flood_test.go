package status

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/starling-lb/starling/api"
)

// crowd opens connections to a server, one after another from the address, sends each one request,
// and neither reads nor closes any of them before the end of the test. It returns how many it has
// opened.
func crowd(t *testing.T, from, to, path string, size int) *atomic.Int64 {
	t.Helper()
	var opened atomic.Int64
	done := make(chan struct{})
	go func() {
		defer close(done)
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
		for range size {
			c, err := d.DialContext(t.Context(), "tcp", to)
			if err != nil {
				return // the test is over
			}
			defer c.Close()
			_, _ = fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: n1\r\n\r\n", path) // it may be refused
			opened.Add(1)
		}
		<-t.Context().Done()
	}()
	t.Cleanup(func() { <-done })
	return &opened
}

// TestCrowds: two thousand connections that stay, as probes or as clients that take no answer, cost
// little, and others are answered meanwhile: a stranger from elsewhere, another node, and the node
// itself.
func TestCrowds(t *testing.T) {
	s := api.Snapshot{Node: "n1", Ready: true}
	for i := range 5000 {
		s.VIPs = append(s.VIPs, api.VIP{IP: fmt.Sprintf("198.18.%d.%d", 64+i/256, i%256), Owner: "n1", Pool: "p", Services: []string{"shop/web"}, Reason: "it is first"})
	}
	for name, path := range map[string]string{"idle": "/healthz", "takes nothing": "/api/v1/status", "takes no page": "/?view=all", "watches": "/api/v1/stream", "takes no metrics": "/metrics"} {
		t.Run(name, func(t *testing.T) {
			logs := make(logLines, 10)
			srv := New(testConfig(func(c *Config) {
				c.Addr, c.Log = "127.0.0.2:0", zerolog.New(logs)
				c.Snapshot = func() api.Snapshot { return s }
				testStrangers(c)
			}))
			start(t, srv)
			logs.want(t, "serving the status page")
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			before := m.HeapAlloc
			opened := crowd(t, "127.0.0.9", srv.Addr(), path, 2000)
			most := uint64(0)
			tick := time.NewTicker(10 * time.Millisecond)
			defer tick.Stop()
			for opened.Load() < 2000 {
				<-tick.C
				runtime.ReadMemStats(&m)
				most = max(most, m.HeapAlloc)
			}
			for who, from := range map[string]string{"a stranger": "127.0.0.10", "another node": "127.0.0.3", "the node": "127.0.0.2"} {
				for _, path := range []string{"/readyz", "/api/v1/view"} {
					if err := get(t, from, "http://"+srv.Addr()+path); err != nil {
						t.Errorf("%s gets no %s: %v", who, path, err)
					}
				}
			}
			runtime.ReadMemStats(&m)
			if most = max(most, m.HeapAlloc); most > before+64<<20 {
				t.Errorf("the heap grew from %d to %d MB", before>>20, most>>20)
			}
		})
	}
}

// get asks from an address, and wants to be answered.
func get(t *testing.T, from, url string) error {
	t.Helper()
	d := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	client := &http.Client{Transport: &http.Transport{DialContext: d.DialContext, DisableKeepAlives: true}}
	resp, err := client.Get(url)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.ReadAll(resp.Body); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("status %s", resp.Status)
	}
	return nil
}

// testStrangers makes strangers of the loopback's addresses, but for 127.0.0.2, the node's, and
// 127.0.0.3, another node's.
func testStrangers(c *Config) {
	c.who = func(remote netip.Addr) kind {
		return map[string]kind{"127.0.0.2": own, "127.0.0.3": fellow}[remote.String()]
	}
}
