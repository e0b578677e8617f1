package status

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/starling-lb/starling/api"
	"github.com/starling-lb/starling/status/page"
)

// What the page shows is package page's; here is that it is shown, and of what it is asked for.
func TestPage(t *testing.T) {
	t.Parallel()
	asked := make(chan netip.Addr, 10)
	cfg := testConfig(func(c *Config) {
		c.Snapshot = func() api.Snapshot {
			return api.Snapshot{Node: "n1", VIPs: []api.VIP{{IP: "198.18.64.1", Services: []string{"a/web"}}, {IP: "198.18.64.2", Services: []string{"a/dns"}}}}
		}
		c.Who = func(ip netip.Addr) api.Who {
			asked <- ip
			return api.Who{IP: ip.String(), Words: "because of the score"}
		}
	})
	tests := []struct {
		path      string
		has, lack []string
	}{
		{"/", []string{"<title>", "a/web", "a/dns"}, []string{"because of the score"}},
		{"/?q=web", []string{"row-198.18.64.1"}, []string{"row-198.18.64.2"}},
		{"/?address=198.18.64.2", []string{"a/web", "a/dns", "because of the score"}, nil},
		{"/?address=none", []string{"a/web"}, []string{"because of the score"}},
		{"/?q=%zz&page=x", []string{"a/web", "a/dns"}, nil},
	}
	for _, tt := range tests {
		resp := ask(t, cfg, tt.path)
		if got := resp.Header().Get("Content-Type"); resp.Code != 200 || got != "text/html; charset=utf-8" {
			t.Errorf("%s: code %d, content type %q", tt.path, resp.Code, got)
		}
		for _, words := range tt.has {
			if !strings.Contains(resp.Body.String(), words) {
				t.Errorf("%s does not have %q", tt.path, words)
			}
		}
		for _, words := range tt.lack {
			if strings.Contains(resp.Body.String(), words) {
				t.Errorf("%s has %q", tt.path, words)
			}
		}
	}
	if ip := <-asked; ip != netip.MustParseAddr("198.18.64.2") || len(asked) > 0 {
		t.Errorf("an explanation of %s and %d more were asked for", ip, len(asked))
	}
}

// Pages of other nodes are linked only for who came by this node's own address: elsewhere they may
// not be reached.
func TestNear(t *testing.T) {
	t.Parallel()
	members := []api.Member{{Name: "n1", Addr: "198.18.0.1:7927"}, {Name: "n2", Addr: "198.18.0.2:7927"}, {Name: "n3", Addr: "[2001:db8::3]:7927"}}
	tests := []struct {
		node, host string
		want       bool
	}{
		{"n1", "198.18.0.1:7928", true},
		{"n1", "198.18.0.1", true},
		{"n3", "[2001:db8::3]:7928", true},
		{"n3", "[2001:db8::3]", true},
		{"n1", "198.18.0.2:7928", false},
		{"n1", "localhost:7928", false},
		{"n1", "127.0.0.1:8001", false},
		{"n1", "", false},
	}
	for _, tt := range tests {
		h := handlers{cfg: Config{Snapshot: func() api.Snapshot { return api.Snapshot{Node: tt.node, Members: members} }}}
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/?q=web", http.NoBody)
		r.Host = tt.host
		if got, want := h.query(r), (page.Query{Words: "web", Near: tt.want}); got != want {
			t.Errorf("%s by %q: %+v, want %+v", tt.node, tt.host, got, want)
		}
	}
}
