package status

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/starling-lb/starling/api"
	"github.com/starling-lb/starling/health"
	"github.com/starling-lb/starling/status/page"
)

func TestEndpoints(t *testing.T) {
	t.Parallel()
	stuck := func(c *Config) { c.Healthy = func() error { return errors.New("the loop stands still") } }
	shows := func(s api.Snapshot) func(*Config) {
		return func(c *Config) { c.Snapshot = func() api.Snapshot { return s } }
	}
	const text = "text/plain; charset=utf-8"
	tests := []struct {
		name        string
		path        string
		change      func(*Config)
		code        int
		contentType string
		body        string
	}{
		{
			"status", "/api/v1/status", shows(api.Snapshot{Node: "n1", Reasons: []string{"missing NET_RAW"}}), 200, "application/json",
			`{"node":"n1","version":"","ready":false,"reasons":["missing NET_RAW"],"problems":[],"members":[],"vips":[],"pools":[],"conflicts":[],` +
				`"at":"0001-01-01T00:00:00Z","waiting":[],"interfaces":[],"keys":{"held":[],"state":""},"activity":{"writes":{},"events":{}},"findings":[],"conditions":[],"unselected":[],"moves":[],"routers":[]}` + "\n",
		},
		{"who", "/api/v1/who?ip=198.18.64.1", nil, 200, "application/json", whoJSON("198.18.64.1")},
		{"who of IPv6", "/api/v1/who?ip=2001:db8::1", nil, 200, "application/json", whoJSON("2001:db8::1")},
		{"who of nothing", "/api/v1/who", nil, 400, text, `ip="" is no IP address: ask for one, as /api/v1/who?ip=192.168.1.240` + "\n"},
		{"who of a name", "/api/v1/who?ip=web", nil, 400, text, `ip="web" is no IP address: ask for one, as /api/v1/who?ip=192.168.1.240` + "\n"},
		{"who of a zone", "/api/v1/who?ip=fe80::1%25eth0", nil, 400, text, `ip="fe80::1%eth0" is no IP address: ask for one, as /api/v1/who?ip=192.168.1.240` + "\n"},
		{
			"leases", "/api/v1/leases", nil, 200, "application/json",
			`[{"service":"a/b","by":"here","foreign":false,"holder":"n1","mistake":"","ips":[{"ip":"198.18.64.1","pool":"p","state":"bound"}]}]` + "\n",
		},
		{"events", "/api/v1/events", nil, 200, "application/json", `{"node":"n1","nodes":[],"events":[{"message":"announcing"}]}` + "\n"},
		{
			"doctor", "/api/v1/doctor", nil, 200, "application/json",
			`{"node":"n1","at":"0001-01-01T00:00:00Z","checks":[{"name":"keys","result":"ok","words":"","todo":"","code":""}],"pools":null,"view":"","nodes":null}` + "\n",
		},
		{
			"view", "/api/v1/view", shows(api.Snapshot{Node: "n1", VIPs: []api.VIP{{IP: "198.18.64.1", Owner: "n1"}, {IP: "2001:db8::1"}}}), 200, "application/json",
			`{"node":"n1","addresses":2,"digest":"6e3ea4a5ef7f7576","findings":[],"places":[],"conditions":[]}` + "\n",
		},
		{
			"view with what it alone knows", "/api/v1/view",
			shows(api.Snapshot{Node: "n1", Conditions: []health.Condition{health.New(health.NoNetRaw, health.Node("n1"), "missing NET_RAW").Do("let it"), health.New(health.NodeLost, health.Node("n2"), "dead")}}),
			200, "application/json",
			`{"node":"n1","addresses":0,"digest":"cbf29ce484222325","findings":[{"level":"error","about":"","words":"missing NET_RAW","todo":"let it"}],"places":[],` +
				`"conditions":[{"code":"no-net-raw","severity":"error","subject":{"kind":"node","name":"n1"},"words":"missing NET_RAW","advice":"let it"}]}` + "\n",
		},
		{"others, where there are none", "/api/v1/others", shows(api.Snapshot{Node: "n1"}), 200, "application/json", `{"node":"n1","findings":[],"places":{},"conditions":[]}` + "\n"},
		{"icon", "/icon.svg?level=bad", nil, 200, "image/svg+xml", string(page.Icon("bad"))},
		{"alive", "/healthz", nil, 200, text, "ok\n"},
		{"stuck", "/healthz", stuck, 503, text, "the loop stands still\n"},
		{"alive though not ready", "/healthz", shows(api.Snapshot{}), 200, text, "ok\n"},
		{"ready", "/readyz", nil, 200, text, "ready\n"},
		{"not ready", "/readyz", shows(api.Snapshot{Reasons: []string{"one", "two"}}), 503, text, "one\ntwo\n"},
		{"not ready for no reason", "/readyz", shows(api.Snapshot{}), 503, text, "not ready\n"},
		{"somewhere", "/favicon.ico", nil, 404, text, "404 page not found\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			resp := ask(t, testConfig(tt.change), tt.path)
			if resp.Code != tt.code {
				t.Errorf("code %d, want %d", resp.Code, tt.code)
			}
			if got := resp.Header().Get("Content-Type"); got != tt.contentType {
				t.Errorf("content type %q, want %q", got, tt.contentType)
			}
			if diff := cmp.Diff(tt.body, resp.Body.String()); diff != "" {
				t.Errorf("body (-want +got):\n%s", diff)
			}
		})
	}
}

// whoJSON is what the configuration of tests answers about an address.
func whoJSON(ip string) string {
	return `{"node":"n1","ip":"` + ip + `","held":false,"vip":null,"pool":"","words":"","ranking":[],"conflict":null}` + "\n"
}

func TestMethods(t *testing.T) {
	t.Parallel()
	paths := []string{
		"/", "/api/v1/status", "/api/v1/who?ip=198.18.64.1", "/api/v1/leases", "/api/v1/events", "/api/v1/doctor", "/api/v1/view", "/icon.svg",
		"/healthz", "/readyz", "/metrics",
	}
	codes := map[string]int{
		http.MethodGet: 200, http.MethodHead: 200,
		http.MethodPost: 405, http.MethodPut: 405, http.MethodDelete: 405, http.MethodPatch: 405, http.MethodOptions: 405,
	}
	srv := httptest.NewServer(handle(testConfig(nil)))
	t.Cleanup(srv.Close)
	for _, path := range paths {
		for method, want := range codes {
			req, err := http.NewRequestWithContext(t.Context(), method, srv.URL+path, http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := srv.Client().Do(req)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err != nil {
				t.Fatal(err)
			}
			if resp.StatusCode != want {
				t.Errorf("%s %s: %d, want %d", method, path, resp.StatusCode, want)
			}
			if method == http.MethodHead && len(body) > 0 {
				t.Errorf("%s %s has a body", method, path)
			}
			if allow := resp.Header.Get("Allow"); want == 405 && allow != "GET, HEAD" {
				t.Errorf("%s %s allows %q", method, path, allow)
			}
		}
	}
}

func TestHeaders(t *testing.T) {
	t.Parallel()
	want := map[string]string{
		"Cache-Control":                "no-store",
		"Cross-Origin-Resource-Policy": "same-origin",
		"Referrer-Policy":              "no-referrer",
		"X-Content-Type-Options":       "nosniff",
		"X-Frame-Options":              "DENY",
		"Content-Security-Policy":      page.Policy,
	}
	for _, path := range []string{"/", "/api/v1/status", "/nowhere"} {
		got := map[string]string{}
		h := ask(t, testConfig(nil), path).Header()
		for name := range want {
			got[name] = h.Get(name)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
	}
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	c := prometheus.NewCounter(prometheus.CounterOpts{Name: "starling_test_total", Help: "For this test."})
	reg.MustRegister(c)
	c.Add(3)
	resp := ask(t, testConfig(func(c *Config) { c.Gatherer = reg }), "/metrics")
	if resp.Code != 200 || !strings.Contains(resp.Body.String(), "\nstarling_test_total 3\n") {
		t.Errorf("code %d, body:\n%s", resp.Code, resp.Body)
	}
}

// One metric that cannot be collected does not hide the others.
func TestMetricsWithABrokenOne(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	c := prometheus.NewCounter(prometheus.CounterOpts{Name: "starling_test_total", Help: "For this test."})
	broken := prometheus.NewInvalidMetric(prometheus.NewDesc("starling_broken", "For this test.", nil, nil), errors.New("no"))
	reg.MustRegister(c, constant{broken})
	resp := ask(t, testConfig(func(c *Config) { c.Gatherer = reg }), "/metrics")
	if resp.Code != 200 || !strings.Contains(resp.Body.String(), "starling_test_total 0") {
		t.Errorf("code %d, body:\n%s", resp.Code, resp.Body)
	}
}

// constant collects one metric.
type constant struct{ m prometheus.Metric }

func (c constant) Describe(ch chan<- *prometheus.Desc) { ch <- c.m.Desc() }
func (c constant) Collect(ch chan<- prometheus.Metric) { ch <- c.m }

// A time that JSON cannot hold is our own mistake: the answer says so and no half document is sent.
func TestBroken(t *testing.T) {
	t.Parallel()
	bad := api.Snapshot{Conflicts: []api.Conflict{{Since: time.Date(12026, 1, 1, 0, 0, 0, 0, time.UTC)}}}
	resp := ask(t, testConfig(func(c *Config) { c.Snapshot = func() api.Snapshot { return bad } }), "/api/v1/status")
	if resp.Code != 500 || resp.Body.String() != "internal error, see the log\n" {
		t.Errorf("code %d, body %q", resp.Code, resp.Body)
	}
}

func ask(t *testing.T, cfg Config, path string) *httptest.ResponseRecorder {
	t.Helper()
	rec := httptest.NewRecorder()
	handle(cfg).ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, http.NoBody))
	return rec
}
