package status

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/starling-lb/starling/api"
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
