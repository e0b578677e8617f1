package watcher

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/rs/zerolog"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/starling-lb/starling/health"
	"github.com/starling-lb/starling/watcher/kube"
)

// What an API server answers, as one of version 1.36 words it.
var (
	away       = error(&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED})
	noToken    = apierrors.NewUnauthorized("Unauthorized")
	noLeader   = apierrors.NewInternalError(errors.New("etcdserver: no leader"))
	slowDown   = apierrors.NewTooManyRequests("slow down", 1)
	noRight    = apierrors.NewForbidden(servicesKind, "web", errors.New(`User "system:serviceaccount:starling-system:starling" cannot patch resource "services/status" in API group "" in the namespace "d"`))
	fullQuota  = apierrors.NewForbidden(eventsKind, "e", errors.New("exceeded quota: none, requested: count/events=1, used: 0, limited: 0"))
	denied     = &apierrors.StatusError{ErrStatus: metav1.Status{Status: metav1.StatusFailure, Code: 400, Message: `admission webhook "gate.example" denied the request: no`}}
	deniedWell = apierrors.NewForbidden(servicesKind, "web", errors.New(`ValidatingAdmissionPolicy 'frozen' with binding 'frozen' denied request: no`))
	deadHook   = apierrors.NewInternalError(errors.New(`failed calling webhook "gate.example": failed to call webhook: connection refused`))
	invalid    = apierrors.NewInvalid(schema.GroupKind{Kind: "Service"}, "web", nil)

	servicesKind = schema.GroupResource{Resource: "services"}
	eventsKind   = schema.GroupResource{Resource: "events"}
)

// TestOfObject: what an answer to a write is about.
func TestOfObject(t *testing.T) {
	for name, tt := range map[string]struct {
		err          error
		object, lack bool
	}{
		"success":                   {nil, false, false},
		"no answer":                 {away, false, false},
		"too slow":                  {context.DeadlineExceeded, false, false},
		"credentials":               {noToken, false, false},
		"no leader":                 {noLeader, false, false},
		"busy":                      {apierrors.NewServiceUnavailable("busy"), false, false},
		"throttled":                 {slowDown, false, false},
		"a right":                   {noRight, false, true},
		"a right, wrapped":          {fmt.Errorf("write d/web: %w", noRight), false, true},
		"quota":                     {fullQuota, true, false},
		"webhook":                   {denied, true, false},
		"policy":                    {deniedWell, true, false},
		"webhook that is away":      {deadHook, true, false},
		"invalid":                   {invalid, true, false},
		"no such namespace":         {apierrors.NewNotFound(schema.GroupResource{Resource: "namespaces"}, "d"), true, false},
		"request too large, as 413": {apierrors.NewRequestEntityTooLargeError("no"), true, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := kube.OfObject(tt.err); got != tt.object {
				t.Errorf("about the object: %v", got)
			}
			if got := kube.LacksRight(tt.err); got != tt.lack {
				t.Errorf("about a right: %v", got)
			}
		})
	}
}

// TestRefusals: a write that fails is reported and makes no node unready, whatever the cause. What
// was of the server ends when anything works; what was of an object or a right, when it can be
// written or was not met again for a while.
func TestRefusals(t *testing.T) {
	type do = func(ctx context.Context, h *apiHealth)
	write := func(name string, err error) do {
		return func(ctx context.Context, h *apiHealth) { h.wrote(ctx, status(Key{Namespace: "d", Name: name}), err) }
	}
	event := func(err error) do {
		return func(ctx context.Context, h *apiHealth) { h.wrote(ctx, events("d"), err) }
	}
	after := func(d time.Duration) do { return func(context.Context, *apiHealth) { time.Sleep(d) } }
	works := map[string]do{
		"another write": write("other", nil),
		"another event": func(ctx context.Context, h *apiHealth) { h.wrote(ctx, events("other"), nil) },
		"a probe":       func(ctx context.Context, h *apiHealth) { h.report(ctx, probing, nil) },
		"a stream":      func(_ context.Context, h *apiHealth) { h.clear("list services", "watch services") },
	}
	who := `User "system:serviceaccount:starling-system:starling" cannot patch resource "services/status" in API group "" in the namespace "d"`
	tests := []struct {
		name string
		err  error
		stay bool // when something else works
		want string
	}{
		{"no answer", away, false, "write-refused API server h cannot patch services/status of d/web: connection refused"},
		{"credentials", noToken, false, "write-refused API server h cannot patch services/status of d/web: it does not accept our credentials"},
		{"no leader", noLeader, false, "write-refused API server h cannot patch services/status of d/web: Internal error occurred: etcdserver: no leader"},
		{"throttled", slowDown, false, "write-refused API server h cannot patch services/status of d/web: slow down"},
		{"a right", noRight, true, "write-forbidden forbidden by RBAC: patch services/status of d/web (" + who + ")"},
		{"webhook", denied, true, `write-refused API server h cannot patch services/status of d/web: admission webhook "gate.example" denied the request: no`},
		{"policy", deniedWell, true, "write-refused API server h cannot patch services/status of d/web: ValidatingAdmissionPolicy 'frozen' with binding 'frozen' denied request: no"},
		{"webhook that is away", deadHook, true, `write-refused API server h cannot patch services/status of d/web: Internal error occurred: failed calling webhook "gate.example": failed to call webhook: connection refused`},
	}
	run := func(t *testing.T, want string, steps ...do) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			h := newAPIHealth("h", zerolog.Nop(), func() {})
			for _, step := range steps {
				step(t.Context(), h)
			}
			var got []string
			for _, c := range h.list() {
				if c.Code.Rule().Unready {
					t.Errorf("unready by %s", c.Code)
				}
				words, _, _ := strings.Cut(c.Words, " (since ")
				got = append(got, string(c.Code)+" "+words)
			}
			if got := strings.Join(got, "\n"); got != want {
				t.Errorf("conditions\n%s\nwant\n%s", got, want)
			}
			if got := h.doubtful(); got != (want != "") {
				t.Errorf("the server is asked: %v", got)
			}
		})
	}
	for _, tt := range tests {
		run(t, tt.want, write("web", tt.err))
		run(t, tt.want, write("web", tt.err), after(time.Hour)) // nothing works
		run(t, "", write("web", tt.err), write("web", nil))
		run(t, "", write("web", tt.err), write("web", ErrGone))
		run(t, "", write("web", tt.err), write("web", ErrConflict))
		for name, work := range works {
			t.Run(tt.name+", then "+name, func(t *testing.T) {
				want := ""
				if tt.stay {
					want = tt.want
				}
				run(t, want, write("web", tt.err), work)
				run(t, want, write("web", tt.err), after(believed), write("web", tt.err), after(believed), work)
				run(t, "", write("web", tt.err), after(believed+time.Second), work)
			})
		}
	}
	t.Run("several", func(t *testing.T) {
		run(t, `write-refused API server h cannot patch services/status of d/e: slow down
write-forbidden forbidden by RBAC: create events of d (`+who+`)
write-forbidden forbidden by RBAC: patch services/status of d/a and 2 more (`+who+`)`,
			write("c", noRight), write("a", noRight), write("b", noRight), write("e", slowDown), event(noRight))
	})
	t.Run("very many", func(t *testing.T) {
		var steps []do
		for i := range 2 * maxRefused {
			steps = append(steps, write(fmt.Sprintf("s%03d", i), denied))
		}
		run(t, fmt.Sprintf(`write-refused API server h cannot patch services/status of d/s000 and %d more: admission webhook "gate.example" denied the request: no`, maxRefused-1), steps...)
	})
	t.Run("ended by us", func(t *testing.T) {
		run(t, "", func(ctx context.Context, h *apiHealth) {
			ctx, cancel := context.WithCancel(ctx)
			cancel()
			write("web", away)(ctx, h)
		})
	})
}

// TestRefusalIsToldOnce: the loop is woken and the log written when words change, and not each
// time.
func TestRefusalIsToldOnce(t *testing.T) {
	var told counter
	var log bytes.Buffer
	h := newAPIHealth("h", zerolog.New(&log), told.add)
	for i, tt := range []struct {
		name string
		err  error
		told int
		log  string
	}{
		{"web", denied, 1, "gate.example"},
		{"web", denied, 0, ""},
		{"web", noRight, 1, "cannot patch"},
		{"web", nil, 1, ""},
		{"web", nil, 0, ""},
	} {
		log.Reset()
		h.wrote(t.Context(), status(Key{Namespace: "d", Name: tt.name}), tt.err)
		if n := told.took(); n != tt.told {
			t.Errorf("step %d: %d signals, want %d", i, n, tt.told)
		}
		if got := log.String(); (got == "") != (tt.log == "") || !strings.Contains(got, tt.log) {
			t.Errorf("step %d: log %q, want %q", i, got, tt.log)
		}
	}
}

// TestRefusalAndStream: what a write says and what a stream says are two things, and the latter is
// what makes a node unready.
func TestRefusalAndStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newAPIHealth("h", zerolog.Nop(), func() {})
		h.wrote(t.Context(), status(Key{Namespace: "d", Name: "web"}), away)
		h.report(t.Context(), "watch services", away)
		h.clear("list nodes", "watch nodes")
		codes := func() (all []health.Code) {
			for _, c := range h.list() {
				all = append(all, c.Code)
			}
			return all
		}
		if diff := cmp.Diff([]health.Code{health.APIUnreachable}, codes()); diff != "" {
			t.Errorf("another stream works (-want +got):\n%s", diff)
		}
		h.clear("list services", "watch services")
		if diff := cmp.Diff([]health.Code{}, codes(), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("all works (-want +got):\n%s", diff)
		}
	})
}
