package status

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/starling-lb/starling/api"
	"github.com/starling-lb/starling/health"
	"github.com/starling-lb/starling/status/page"
)

// sees is the snapshot of n1, to which the members are added, with addresses and their announcers.
func sees(owners map[string]string, members ...api.Member) api.Snapshot {
	s := api.Snapshot{Node: "n1", Members: append([]api.Member{{Name: "n1", State: "alive"}}, members...)}
	for _, ip := range []string{"198.18.64.1", "198.18.64.2", "198.18.64.3"} {
		if owner, ok := owners[ip]; ok {
			s.VIPs = append(s.VIPs, api.VIP{IP: ip, Owner: owner})
		}
	}
	return s
}

// TestViewsOfOthers asks one other speaker, which answers like this or like that.
func TestViewsOfOthers(t *testing.T) {
	t.Parallel()
	here := map[string]string{"198.18.64.1": "n1", "198.18.64.2": "n2"}
	node := func(name string, owners ...map[string]string) http.Handler { // one after another, at each request
		var asked atomic.Int64
		return handle(testConfig(func(c *Config) {
			c.Snapshot = func() api.Snapshot {
				s := sees(owners[min(int(asked.Add(1)), len(owners))-1])
				s.Node = name
				return s
			}
		}))
	}
	there := func(owners ...map[string]string) http.Handler { return node("n2", owners...) }
	other := map[string]string{"198.18.64.1": "n2", "198.18.64.3": "n1"}
	tests := []struct {
		name string
		peer http.Handler
		want []page.Difference
		err  string
	}{
		{"the same", there(here), nil, ""},
		{"another", there(other), []page.Difference{
			{IP: "198.18.64.1", Here: "n1", There: "n2", Known: true, Heard: true},
			{IP: "198.18.64.2", Here: "n2", Known: true},
			{IP: "198.18.64.3", There: "n1", Heard: true},
		}, ""},
		{"about to be the same", there(other, here), nil, ""},
		{"the view of a third one", node("n3", here), nil, `the answer is that of "n3"`},
		{"nothing", http.NotFoundHandler(), nil, "it answers 404 Not Found"},
		{"something else", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("hello")) }), nil, "read the answer: invalid character 'h'"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			srv := httptest.NewServer(tt.peer)
			t.Cleanup(srv.Close)
			_, port, err := net.SplitHostPort(srv.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			v := &views{
				snapshot: func() api.Snapshot {
					return sees(here, api.Member{Name: "n2", Addr: "127.0.0.1:7927", State: "wire"})
				},
				port: func() string { return port },
			}
			got := v.now(t.Context())
			if len(got) != 1 || got[0].Node != "n2" || got[0].Page != srv.URL+"/" {
				t.Fatalf("views %+v", got)
			}
			if diff := cmp.Diff(tt.want, got[0].Differs); diff != "" {
				t.Errorf("differences (-want +got):\n%s", diff)
			}
			if !strings.Contains(got[0].Silent, tt.err) || (tt.err == "") != (got[0].Silent == "") {
				t.Errorf("silent for %q, want %q", got[0].Silent, tt.err)
			}
		})
	}
}

// What another speaker alone knows comes with its view.
func TestConditionsOfOthers(t *testing.T) {
	t.Parallel()
	rival := health.New(health.AddressTaken, health.Address("198.18.64.1"), "02:00:00:00:00:09 also answers")
	all := []health.Condition{rival}
	for i := range 2 * viewMost {
		all = append(all, health.New(health.GossipBlocked, health.Node(fmt.Sprint("m", i)), "blocked"))
	}
	srv := httptest.NewServer(handle(testConfig(func(c *Config) {
		c.Snapshot = func() api.Snapshot {
			return api.Snapshot{Node: "n2", Conditions: all}
		}
	})))
	t.Cleanup(srv.Close)
	_, port, err := net.SplitHostPort(srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	here := func() api.Snapshot {
		return sees(nil, api.Member{Name: "n2", Addr: "127.0.0.1:7927", State: "alive"})
	}
	v := &views{snapshot: here, port: func() string { return port }}
	got := v.now(t.Context())
	if len(got) != 1 || len(got[0].Conditions) != viewMost || got[0].Conditions[0] != rival {
		t.Fatalf("views %+v", got)
	}
	told := page.NewIndex(page.Scene{Snapshot: here(), Views: got}).Elsewhere()
	if diff := cmp.Diff(api.Reported{Condition: rival, Nodes: []string{"n2"}}, told[0]); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
}

// TestInterfacesOfOthers: on which interfaces another node announces its addresses, only its
// speaker knows.
func TestInterfacesOfOthers(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(handle(testConfig(func(c *Config) {
		c.Snapshot = func() api.Snapshot {
			s := sees(map[string]string{"198.18.64.1": "n2", "198.18.64.2": "n1"})
			s.Node, s.VIPs[0].Interfaces = "n2", []string{"eth7"}
			return s
		}
	})))
	t.Cleanup(srv.Close)
	_, port, err := net.SplitHostPort(srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	here := sees(map[string]string{"198.18.64.1": "n2", "198.18.64.2": "n1"}, api.Member{Name: "n2", Addr: "127.0.0.1:7927", State: "alive"})
	here.VIPs[1].Interfaces = []string{"eth3"}
	own := newHandler(testConfig(func(c *Config) {
		c.Snapshot = func() api.Snapshot { return here }
		c.Who = func(ip netip.Addr) api.Who {
			vip := here.VIPs[slices.IndexFunc(here.VIPs, func(v api.VIP) bool { return v.IP == ip.String() })]
			return api.Who{Node: "n1", IP: ip.String(), VIP: &vip}
		}
	}), newBounds(nil), nil, func() string { return port })
	for path, want := range map[string]string{
		"/api/v1/who?ip=198.18.64.1": `"interfaces":["eth7"]`,
		"/api/v1/who?ip=198.18.64.2": `"interfaces":["eth3"]`,
		"/api/v1/others":             `"places":{"n2":[{"pool":"","network":"0.0.0.0/0","interfaces":["eth7"]}]}`,
		"/?view=all":                 `<b>n2</b> <span class="quiet">eth7</span>`,
	} {
		w := httptest.NewRecorder()
		own.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s does not have %s:\n%s", path, want, w.Body)
		}
	}
}

// Who cannot be there is not asked, and who cannot be asked is told of, sorted by name.
func TestViewsOfTheSilent(t *testing.T) {
	t.Parallel()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(closed.Addr().String())
	closed.Close()
	v := &views{
		snapshot: func() api.Snapshot {
			return sees(nil,
				api.Member{Name: "n4", State: "alive", Addr: "127.0.0.1:7927"}, api.Member{Name: "n3", State: "alive", Addr: "invalid AddrPort"},
				api.Member{Name: "n5", State: "dead", Addr: "127.0.0.1:7927"}, api.Member{Name: "n6", State: "left", Addr: "127.0.0.1:7927"})
		},
		port: func() string { return port },
	}
	want := []page.View{
		{Node: "n3", Silent: `its address is not known: "invalid AddrPort"`},
		{Node: "n4", Page: "http://127.0.0.1:" + port + "/", Silent: "ask http://127.0.0.1:" + port + ": dial tcp 127.0.0.1:" + port + ": connect: connection refused"},
	}
	if diff := cmp.Diff(want, v.now(t.Context())); diff != "" {
		t.Errorf("views (-want +got):\n%s", diff)
	}
	v = &views{snapshot: v.snapshot, port: func() string { return "" }}
	for _, view := range v.now(t.Context()) {
		if view.Silent == "" || view.Page != "" {
			t.Errorf("asked without a port: %+v", view)
		}
	}
}

// The others are asked while somebody watches, not too often, and one round at a time.
func TestViewsTakeTurns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		rounds, slow := 0, false
		v := &views{port: func() string { return "" }}
		v.snapshot = func() api.Snapshot {
			rounds++
			if slow {
				time.Sleep(time.Second)
			}
			return sees(nil, api.Member{Name: "n2", State: "alive"})
		}
		want := func(when string, n int) {
			t.Helper()
			if got := v.now(t.Context()); len(got) != 1 {
				t.Errorf("%s: views %v", when, got)
			}
			synctest.Wait()
			if rounds != n {
				t.Errorf("%s: %d rounds, want %d", when, rounds, n)
			}
		}
		want("the first one waits", 1)
		want("again", 1)
		time.Sleep(viewAge)
		slow = true
		began := time.Now()
		want("later, without waiting", 2)
		want("while it lasts", 2)
		if took := time.Since(began); took != 0 {
			t.Errorf("waited %v for what is not old", took)
		}
		time.Sleep(viewStale + time.Second)
		began = time.Now()
		want("much later, with waiting", 3)
		if took := time.Since(began); took != time.Second {
			t.Errorf("waited %v for what is old", took)
		}
		time.Sleep(viewStale)
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if got := v.now(ctx); len(got) != 1 {
			t.Errorf("who does not wait gets %v", got)
		}
		time.Sleep(time.Minute)
	})
}
