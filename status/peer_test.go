package status

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/starling-lb/starling/api"
	"github.com/starling-lb/starling/status/page"
)

// knows gives the keys named by one letter each.
func knows(names string) Secrets {
	return func() (keys [][]byte) {
		for i := range names {
			keys = append(keys, bytes.Repeat([]byte{names[i]}, 32))
		}
		return keys
	}
}

func TestQuestionsOfPeers(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 0)
	good := question(knows("a").keys()[0], "/api/v1/view", now)
	for _, tt := range []struct {
		name    string
		secrets Secrets
		value   string
		path    string
		now     time.Time
		ok      bool
	}{
		{"one of ours", knows("a"), good, "/api/v1/view", now, true},
		{"during a rotation", knows("ba"), good, "/api/v1/view", now, true},
		{"of another key", knows("b"), good, "/api/v1/view", now, false},
		{"no keys yet", knows(""), good, "/api/v1/view", now, false},
		{"no keys at all", nil, good, "/api/v1/view", now, false},
		{"for another path", knows("a"), good, "/api/v1/status", now, false},
		{"clocks apart", knows("a"), good, "/api/v1/view", now.Add(-peerFresh), true},
		{"old", knows("a"), good, "/api/v1/view", now.Add(peerFresh + time.Second), false},
		{"of the future", knows("a"), good, "/api/v1/view", now.Add(-peerFresh - time.Second), false},
		{"made younger", knows("a"), "1800000001" + good[10:], "/api/v1/view", now, false},
		{"cut short", knows("a"), good[:len(good)-1], "/api/v1/view", now, false},
		{"without a code", knows("a"), "1800000000.x", "/api/v1/view", now, false},
		{"no time", knows("a"), "now.x.y", "/api/v1/view", now, false},
		{"nothing", knows("a"), "", "/api/v1/view", now, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if _, ok := tt.secrets.asks(tt.value, tt.path, tt.now); ok != tt.ok {
				t.Errorf("taken for a speaker's: %v", ok)
			}
		})
	}
}

// far lets the requests of a server come from elsewhere, since the loopback is let in anyway.
func far(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.RemoteAddr = "198.18.0.9:4000"
		next.ServeHTTP(w, r)
	})
}

// TestViewsWithTokens: speakers that want tokens and TLS see each other's views, when they have a
// key in common.
func TestViewsWithTokens(t *testing.T) {
	t.Parallel()
	changes := func(next http.Handler) http.Handler { // who is in between
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			in := httptest.NewRecorder()
			next.ServeHTTP(in, r)
			w.Header().Set(peerHeader, in.Header().Get(peerHeader))
			_, _ = io.WriteString(w, strings.Replace(in.Body.String(), "n2", "n9", 1))
		})
	}
	for _, tt := range []struct {
		name   string
		theirs Secrets
		ours   Secrets
		wrap   func(http.Handler) http.Handler
		want   string // why it is silent
	}{
		{"the same key", knows("a"), knows("a"), far, ""},
		{"on the way to another key", knows("ba"), knows("ab"), far, ""},
		{"another key", knows("b"), knows("a"), far, "401 Unauthorized"},
		{"no key yet", knows("a"), knows(""), far, "not known yet"},
		{"who cannot prove it", knows("b"), knows("a"), func(h http.Handler) http.Handler { return h }, "not that of a speaker"},
		{"a changed answer", knows("a"), knows("a"), changes, "changed on its way"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			there := sees(map[string]string{"198.18.64.1": "n2"})
			there.Node = "n2"
			srv := httptest.NewTLSServer(tt.wrap(handle(testConfig(func(c *Config) {
				c.Allow, c.Secrets = allowOne, tt.theirs
				c.Snapshot = func() api.Snapshot { return there }
			}))))
			t.Cleanup(srv.Close)
			_, port, err := net.SplitHostPort(srv.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			v := &views{port: func() string { return port }, peers: newPeers(true, tt.ours)}
			v.snapshot = func() api.Snapshot {
				return sees(map[string]string{"198.18.64.1": "n1"}, api.Member{Name: "n2", Addr: "127.0.0.1:7927", State: "alive"})
			}
			got := v.now(t.Context())
			if len(got) != 1 || got[0].Page != "https://127.0.0.1:"+port+"/" {
				t.Fatalf("views %+v", got)
			}
			if !strings.Contains(got[0].Silent, tt.want) || (tt.want == "") != (got[0].Silent == "") {
				t.Errorf("silent for %q, want %q", got[0].Silent, tt.want)
			}
			want := []page.Difference{{IP: "198.18.64.1", Here: "n1", There: "n2", Known: true, Heard: true}}
			if told := len(got[0].Differs) == 1 && got[0].Differs[0] == want[0]; told != (tt.want == "") {
				t.Errorf("differences %+v", got[0].Differs)
			}
		})
	}
}

// A question of a speaker opens what speakers ask for, and nothing else.
func TestPeersSeeViewsOnly(t *testing.T) {
	t.Parallel()
	h := handle(testConfig(func(c *Config) { c.Allow, c.Secrets = allowOne, knows("a") }))
	for path, want := range map[string]int{
		"/api/v1/view": http.StatusOK, "/api/v1/status": http.StatusOK,
		"/metrics": http.StatusUnauthorized, "/api/v1/leases": http.StatusUnauthorized, "/": http.StatusUnauthorized,
	} {
		r := httptest.NewRequest(http.MethodGet, path, http.NoBody)
		r.RemoteAddr = "198.18.0.9:4000"
		r.Header.Set(peerHeader, question(knows("a").keys()[0], path, time.Now()))
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("%s: code %d, want %d", path, w.Code, want)
		}
	}
}

// FuzzQuestion: whatever is sent, only who has the key is taken for a speaker.
func FuzzQuestion(f *testing.F) {
	now := time.Unix(1_800_000_000, 0)
	key := knows("a").keys()[0]
	f.Add(question(key, "/api/v1/view", now))
	f.Add("1800000000..")
	f.Add("-9223372036854775808.x.y")
	f.Fuzz(func(t *testing.T, value string) {
		_, ok := knows("a").asks(value, "/api/v1/view", now)
		at, rest, _ := strings.Cut(value, ".")
		nonce, its, _ := strings.Cut(rest, ".")
		if ok && its != code(key, "ask", "/api/v1/view", at, nonce) {
			t.Errorf("%q is taken for a speaker's", value)
		}
		if _, other := knows("b").asks(value, "/api/v1/view", now); ok && other {
			t.Errorf("%q is signed by two keys", value)
		}
	})
}
