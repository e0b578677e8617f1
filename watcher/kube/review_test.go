package kube

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/client-go/rest"
)

// reader is where the questions come from.
var reader = netip.MustParsePrefix("198.18.0.7/32")

// reviews is an API server that knows the token "good" of the user prometheus, who may get
// /metrics.
type reviews struct {
	asked atomic.Int64
	code  atomic.Int64 // of all answers, if not 0
}

func (r *reviews) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	r.asked.Add(1)
	if code := r.code.Load(); code != 0 {
		http.Error(w, "no", int(code))
		return
	}
	var in struct {
		APIVersion, Kind string
		Spec             struct {
			Token, User           string
			Groups                []string
			NonResourceAttributes struct{ Path, Verb string }
		}
	}
	if err := json.NewDecoder(q.Body).Decode(&in); err != nil || q.Method != http.MethodPost {
		http.Error(w, "bad", http.StatusBadRequest)
		return
	}
	s, answer := in.Spec, "{}"
	switch q.URL.Path + " " + in.APIVersion + " " + in.Kind {
	case "/apis/authentication.k8s.io/v1/tokenreviews authentication.k8s.io/v1 TokenReview":
		if s.Token == "good" {
			answer = `{"authenticated": true, "user": {"username": "prometheus", "groups": ["monitoring"]}}`
		}
	case "/apis/authorization.k8s.io/v1/subjectaccessreviews authorization.k8s.io/v1 SubjectAccessReview":
		ok := s.User == "prometheus" && slices.Equal(s.Groups, []string{"monitoring"}) && s.NonResourceAttributes == struct{ Path, Verb string }{"/metrics", "get"}
		answer = fmt.Sprintf(`{"allowed": %t}`, ok)
	default:
		http.NotFound(w, q)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusCreated)
	fmt.Fprintf(w, `{"status": %s}`, answer)
}

func newReviews(t *testing.T) (*reviews, *Reviewer) {
	t.Helper()
	r := &reviews{}
	srv := httptest.NewServer(r)
	t.Cleanup(srv.Close)
	client, err := NewClient(&rest.Config{Host: srv.URL})
	if err != nil {
		t.Fatal(err)
	}
	return r, NewReviewer(client)
}

func TestReview(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, token, path string
		user              string
		allowed           bool
		questions         int64
	}{
		{"allowed", "good", "/metrics", "prometheus", true, 2},
		{"another path", "good", "/api/v1/status", "prometheus", false, 2},
		{"no one's token", "made-up", "/metrics", "", false, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			server, r := newReviews(t)
			for range 3 { // twice from what is kept
				user, allowed, err := r.Allow(t.Context(), reader, tt.token, tt.path)
				if user != tt.user || allowed != tt.allowed || err != nil {
					t.Errorf("%q, %t, %v, want %q, %t", user, allowed, err, tt.user, tt.allowed)
				}
			}
			if n := server.asked.Load(); n != tt.questions {
				t.Errorf("%d questions, want %d", n, tt.questions)
			}
		})
	}
}

// TestReviewWithoutAnswer: nobody is let in, and nothing is kept.
func TestReviewWithoutAnswer(t *testing.T) {
	t.Parallel()
	server, r := newReviews(t)
	server.code.Store(http.StatusForbidden)
	if _, allowed, err := r.Allow(t.Context(), reader, "good", "/metrics"); allowed || err == nil || !strings.Contains(err.Error(), "create tokenreviews") {
		t.Errorf("allowed %t, %v", allowed, err)
	}
	server.code.Store(0)
	if _, allowed, err := r.Allow(t.Context(), reader, "good", "/metrics"); !allowed || err != nil {
		t.Errorf("allowed %t, %v when the server answers again", allowed, err)
	}
}

// TestReviewIsLimited: made-up tokens do not reach the API server in any number, and the table
// stays small.
func TestReviewIsLimited(t *testing.T) {
	t.Parallel()
	server, r := newReviews(t)
	var refused int
	for i := range 500 {
		if _, _, err := r.Allow(t.Context(), reader, fmt.Sprint("made-up", i), "/metrics"); err != nil {
			refused++
		}
	}
	if n := server.asked.Load(); n > 100 || refused == 0 {
		t.Errorf("%d of 500 tokens asked about, %d refused", n, refused)
	}
	for i := range 3 * reviewMost {
		r.keep(question{path: fmt.Sprint(i)}, accessDecision{}, time.Now())
	}
	if len(r.kept) > reviewMost {
		t.Errorf("%d answers are kept", len(r.kept))
	}
}

// TestReviewExpires: a token that was revoked is good for half a minute at most.
func TestReviewExpires(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := NewReviewer(nil)
		q := question{path: "/metrics"}
		r.keep(q, accessDecision{user: "prometheus", allowed: true}, time.Now())
		time.Sleep(reviewKept - time.Second)
		if v, ok := r.known(q, time.Now()); !ok || !v.allowed {
			t.Errorf("forgotten too early: %+v", v)
		}
		time.Sleep(time.Second)
		if v, ok := r.known(q, time.Now()); ok {
			t.Errorf("still known: %+v", v)
		}
	})
}

// TestReviewUnderAttack: made-up tokens, of one source or of many, keep nobody from reading who has
// read before, and those of one source nobody who begins to.
func TestReviewUnderAttack(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		sources int
		before  bool
	}{
		{"one source, and who begins to read", 1, false},
		{"one source, and who reads", 1, true},
		{"many sources, and who reads", 3000, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, r := newReviews(t)
			q := question{sha256.Sum256([]byte("good")), "/metrics"}
			if tt.before {
				r.keep(q, accessDecision{user: "prometheus", allowed: true}, time.Now().Add(-2*reviewKept))
			}
			for i := range 3000 {
				source := netip.PrefixFrom(netip.AddrFrom4([4]byte{198, 19, byte(i % tt.sources >> 8), byte(i % tt.sources)}), 32)
				r.mayAsk(source, false)
				r.keep(question{path: fmt.Sprint(i)}, accessDecision{}, time.Now())
			}
			if _, known := r.good[q]; known != tt.before {
				t.Errorf("the good answer is kept: %t, want %t", known, tt.before)
			}
			if user, allowed, err := r.Allow(t.Context(), reader, "good", "/metrics"); user != "prometheus" || !allowed || err != nil {
				t.Errorf("%q, %t, %v", user, allowed, err)
			}
			if len(r.of) > reviewMost {
				t.Errorf("%d sources are remembered", len(r.of))
			}
		})
	}
}

// TestReviewOfSeveralPaths: who is new may ask for several paths at once.
func TestReviewOfSeveralPaths(t *testing.T) {
	t.Parallel()
	_, r := newReviews(t)
	for _, path := range []string{"/", "/metrics", "/api/v1/status", "/api/v1/leases", "/api/v1/events", "/api/v1/view"} {
		if user, _, err := r.Allow(t.Context(), reader, "good", path); user != "prometheus" || err != nil {
			t.Errorf("%s: %q, %v", path, user, err)
		}
	}
}
