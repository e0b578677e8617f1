package kube

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	reviewTimeout = 5 * time.Second
	reviewKept    = 30 * time.Second // for how long an answer holds: also for that of a token that was revoked
	reviewMost    = 1024             // answers kept of each kind, and sources remembered
	reviewRate    = 20               // questions a second: whoever sends made-up tokens must not load the API server
	reviewOfOne   = 4                // of which one source may cause
	reviewAtOnce  = 10               // as many may one source cause at once: who is new asks for several paths
)

var errManyReviews = errors.New("too many tokens are being asked about, try again")

// A Reviewer asks the API server whose token a request carries (TokenReview) and whether that user
// may read a path (SubjectAccessReview), and keeps the answers for a while. Its methods may be
// called from any goroutine.
type Reviewer struct {
	client *Client
	limit  *rate.Limiter // of questions about tokens that nobody knows
	again  *rate.Limiter // of questions about tokens that were good before

	mu   sync.Mutex                  // guards all following fields
	good map[question]accessDecision // of somebody, who may get the path; also when they are too old
	kept map[question]accessDecision // all others: made-up tokens throw away no good answer
	of   map[netip.Prefix]*rate.Limiter
}

type question struct {
	token [sha256.Size]byte // of it, so that none is kept
	path  string
}

type accessDecision struct {
	user    string // "" for a token that is no one's
	allowed bool
	until   time.Time
}

// NewReviewer makes a Reviewer.
func NewReviewer(c *Client) *Reviewer {
	return &Reviewer{
		client: c, limit: rate.NewLimiter(reviewRate, reviewRate), again: rate.NewLimiter(reviewRate, reviewRate),
		good: map[question]accessDecision{}, kept: map[question]accessDecision{}, of: map[netip.Prefix]*rate.Limiter{},
	}
}

// Allow tells whose token it is, "" if no one's, and whether that user may get the path of a
// speaker. The source, the address or network that asks, has a share of the questions. The error
// tells that the API server gave no answer, or was not asked.
func (r *Reviewer) Allow(ctx context.Context, source netip.Prefix, token, path string) (user string, allowed bool, err error) {
	q := question{sha256.Sum256([]byte(token)), path}
	v, ok := r.known(q, time.Now())
	if ok {
		return v.user, v.allowed, nil
	}
	if !r.mayAsk(source, v.allowed) {
		return "", false, errManyReviews
	}
	ctx, cancel := context.WithTimeout(ctx, reviewTimeout)
	defer cancel()
	v = accessDecision{}
	id, err := r.whose(ctx, token)
	if err == nil && id.Username != "" {
		v.user = id.Username
		v.allowed, err = r.may(ctx, id, path)
	}
	if err != nil {
		return "", false, err
	}
	r.keep(q, v, time.Now())
	return v.user, v.allowed, nil
}

// mayAsk reports whether the API server may be asked once more. A token that was good before has
// room of its own, so that whoever reads all the time goes on reading.
func (r *Reviewer) mayAsk(source netip.Prefix, wasGood bool) bool {
	if wasGood {
		return r.again.Allow()
	}
	return r.ofOne(source).Allow() && r.limit.Allow()
}

func (r *Reviewer) ofOne(source netip.Prefix) *rate.Limiter {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.of[source]
	if l == nil {
		if len(r.of) >= reviewMost {
			clear(r.of)
		}
		l = rate.NewLimiter(reviewOfOne, reviewAtOnce)
		r.of[source] = l
	}
	return l
}

// known returns the last answer, and whether it still holds.
func (r *Reviewer) known(q question, now time.Time) (accessDecision, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	v, ok := r.good[q]
	if !ok {
		v, ok = r.kept[q]
	}
	return v, ok && now.Before(v.until)
}

func (r *Reviewer) keep(q question, v accessDecision, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.good, q)
	kept := r.kept
	if v.allowed {
		kept = r.good
	}
	if len(kept) >= reviewMost {
		clear(kept)
	}
	v.until = now.Add(reviewKept)
	kept[q] = v
}

// identity is a user as both kinds of reviews have it.
type identity struct {
	Username string              `json:"username,omitempty"`
	UID      string              `json:"uid,omitempty"`
	Groups   []string            `json:"groups,omitempty"`
	Extra    map[string][]string `json:"extra,omitempty"`
}

// whose asks for the user of a token; the name is "" when it is no one's.
func (r *Reviewer) whose(ctx context.Context, token string) (identity, error) {
	var answer struct {
		Status struct {
			Authenticated bool
			User          identity
		}
	}
	err := r.ask(ctx, "authentication.k8s.io/v1", "TokenReview", "tokenreviews", map[string]any{"token": token}, &answer)
	if !answer.Status.Authenticated {
		return identity{}, err
	}
	return answer.Status.User, err
}

// may asks whether the user may get the path, as a URL that is no resource.
func (r *Reviewer) may(ctx context.Context, id identity, path string) (bool, error) {
	var answer struct{ Status struct{ Allowed bool } }
	err := r.ask(ctx, "authorization.k8s.io/v1", "SubjectAccessReview", "subjectaccessreviews", map[string]any{
		"user": id.Username, "uid": id.UID, "groups": id.Groups, "extra": id.Extra,
		"nonResourceAttributes": map[string]string{"path": path, "verb": "get"},
	}, &answer)
	return answer.Status.Allowed, err
}

// ask posts a review. It is JSON by hand: the client knows two API groups, and these are not among
// them.
func (r *Reviewer) ask(ctx context.Context, group, kind, resource string, spec, answer any) error {
	body, err := json.Marshal(map[string]any{"apiVersion": group, "kind": kind, "metadata": map[string]any{}, "spec": spec})
	if err != nil {
		return fmt.Errorf("write a %s: %w", kind, err)
	}
	raw, err := r.client.Core.Post().AbsPath("/apis/"+group+"/"+resource).
		SetHeader("Content-Type", "application/json").SetHeader("Accept", "application/json").
		Body(body).MaxRetries(0).Do(ctx).Raw()
	if err != nil {
		return fmt.Errorf("create %s: %w", resource, err)
	}
	if err := json.Unmarshal(raw, answer); err != nil {
		return fmt.Errorf("read a %s: %w", kind, err)
	}
	return nil
}
