package watcher

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
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
)

func TestWords(t *testing.T) {
	services := schema.GroupResource{Resource: "services"}
	request := func(err error) error {
		return &url.Error{Op: "Get", URL: "https://198.18.0.1:6443/api/v1/services", Err: err}
	}
	dial := func(err error) error { return request(&net.OpError{Op: "dial", Net: "tcp", Err: err}) }
	tests := []struct {
		name string
		err  error
		want string
	}{
		{"refused", dial(os.NewSyscallError("connect", syscall.ECONNREFUSED)), "API server https://198.18.0.1:6443 unreachable: connection refused"},
		{"no route", dial(os.NewSyscallError("connect", syscall.EHOSTUNREACH)), "API server https://198.18.0.1:6443 unreachable: no route to host"},
		{"unknown name", dial(&net.DNSError{Err: "no such host", Name: "api.example"}), "API server https://198.18.0.1:6443 unreachable: no such host api.example"},
		{"dial too slow", dial(os.ErrDeadlineExceeded), "API server https://198.18.0.1:6443 unreachable: no answer in time"},
		{"answer too slow", request(context.DeadlineExceeded), "API server https://198.18.0.1:6443 unreachable: no answer in time"},
		{"closed", request(io.EOF), "API server https://198.18.0.1:6443 unreachable: connection closed"},
		{"foreign certificate", request(x509.UnknownAuthorityError{}), "API server https://198.18.0.1:6443 unreachable: x509: certificate signed by unknown authority"},
		{"pings unanswered", request(errors.New("http2: client connection lost")), "API server https://198.18.0.1:6443 unreachable: client connection lost"},
		{"something else", errors.New("moon phase"), "API server https://198.18.0.1:6443 unreachable: moon phase"},
		{"forbidden", apierrors.NewForbidden(services, "", errors.New(`User "x" cannot list resource "services"`)), `forbidden by RBAC: list services (User "x" cannot list resource "services")`},
		{"unauthorized", apierrors.NewUnauthorized("no"), "API server https://198.18.0.1:6443 does not accept our credentials"},
		{"unavailable", apierrors.NewServiceUnavailable("etcd has no leader"), "API server https://198.18.0.1:6443 cannot list services: etcd has no leader"},
		{"a wrapped answer", fmt.Errorf("write d/web: %w", apierrors.NewTooManyRequests("slow down", 1)), "API server https://198.18.0.1:6443 cannot list services: slow down"},
		{"an answer without words", &apierrors.StatusError{ErrStatus: metav1.Status{Code: 502}}, "API server https://198.18.0.1:6443 cannot list services: bad gateway"},
	}
	h := newAPIHealth("https://198.18.0.1:6443", zerolog.Nop(), func() {})
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			want := health.APIUnreachable
			switch {
			case apierrors.IsForbidden(tt.err):
				want = health.APIForbidden
			case apierrors.IsUnauthorized(tt.err):
				want = health.APIUnauthorized
			case !strings.Contains(tt.want, "unreachable"):
				want = health.APIFailing
			}
			if code, got := h.words("list services", tt.err); got != tt.want || code != want {
				t.Errorf("%s\n%s, want %s\n%s", code, got, want, tt.want)
			}
		})
	}
}

// TestHealth: problems begin once, end once, and are reported in one line when they are one.
func TestHealth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told counter
		var log bytes.Buffer
		h := newAPIHealth("https://h", zerolog.New(&log), told.add)
		refused := &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
		forbidden := apierrors.NewForbidden(schema.GroupResource{Resource: "secrets"}, "", errors.New("no"))
		canceled, cancel := context.WithCancel(t.Context())
		cancel()
		steps := []struct {
			name string
			do   func()
			want []string
			told int
			log  string
		}{
			{"nothing", func() {}, nil, 0, ""},
			{"success at once", func() { h.report(t.Context(), "list services", nil) }, nil, 0, ""},
			{"we ended it", func() { h.report(canceled, "list services", refused) }, nil, 0, ""},
			{"a failure", func() { h.report(t.Context(), "list services", refused) }, []string{"API server https://h unreachable: connection refused (since 5s)"}, 1, "warn"},
			{"the same", func() { h.report(t.Context(), "list services", refused) }, []string{"API server https://h unreachable: connection refused (since 10s)"}, 0, ""},
			{"another stream, too", func() { h.report(t.Context(), "list nodes", refused) }, []string{"API server https://h unreachable: connection refused (since 15s)"}, 0, ""},
			{"it differently", func() { h.report(t.Context(), "list nodes", io.EOF) }, []string{"API server https://h unreachable: connection closed (since 10s)", "API server https://h unreachable: connection refused (since 20s)"}, 1, ""},
			{"and back", func() { h.report(t.Context(), "list nodes", refused) }, []string{"API server https://h unreachable: connection refused (since 25s)"}, 1, ""},
			{
				"another problem", func() { h.report(t.Context(), "list secrets", forbidden) },
				[]string{"API server https://h unreachable: connection refused (since 30s)", "forbidden by RBAC: list secrets (no) (since 5s)"},
				1, "warn",
			},
			{
				"one stream works", func() { h.report(t.Context(), "list services", nil) },
				[]string{"API server https://h unreachable: connection refused (since 25s)", "forbidden by RBAC: list secrets (no) (since 10s)"},
				0, "",
			},
			{"all streams work", func() { h.clear("list services", "list nodes") }, []string{"forbidden by RBAC: list secrets (no) (since 15s)"}, 1, "info"},
			{"all works", func() { h.clear("list secrets") }, nil, 1, "info"},
		}
		for _, st := range steps {
			log.Reset()
			st.do()
			time.Sleep(5 * time.Second)
			if diff := cmp.Diff(st.want, wordsOf(h.list()), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("%s: (-want +got):\n%s", st.name, diff)
			}
			if n := told.took(); n != st.told {
				t.Errorf("%s: %d signals, want %d", st.name, n, st.told)
			}
			if st.log == "" && log.Len() > 0 || st.log != "" && !strings.Contains(log.String(), `"level":"`+st.log) {
				t.Errorf("%s: log %q, want %q", st.name, log.String(), st.log)
			}
		}
	})
}

func TestContact(t *testing.T) {
	h := newAPIHealth("h", zerolog.Nop(), func() {})
	h.heard()
	if !h.lastContact().IsZero() {
		t.Error("contact without a watch of Services")
	}
	file := time.Now().Add(-time.Hour)
	h.heardAt(file)
	h.heardAt(file.Add(-time.Hour))
	if !h.lastContact().Equal(file) {
		t.Errorf("contact %s, want that of the file, %s", h.lastContact(), file)
	}
	h.watching(+1)
	h.heard()
	if time.Since(h.lastContact()) > time.Minute {
		t.Error("no contact with a watch of Services")
	}
	at := h.lastContact()
	h.watching(-1)
	h.wrote(t.Context(), status(Key{Namespace: "d", Name: "web"}), nil)
	if h.lastContact() != at {
		t.Error("contact after the watch ended")
	}
}

func TestIsCluster(t *testing.T) {
	var told counter
	h := newAPIHealth("h", zerolog.Nop(), told.add)
	for i, tt := range []struct {
		id   string
		want bool
		told int
	}{{"a", true, 1}, {"a", true, 0}, {"b", false, 0}, {"a", true, 0}} {
		if got := h.isCluster(tt.id); got != tt.want || told.took() != tt.told || h.clusterID() != "a" {
			t.Errorf("step %d: %v, cluster %q", i, got, h.clusterID())
		}
	}
}

// words are those of the conditions.
func (s State) words() []string { return wordsOf(s.Conditions) }

func wordsOf(all []health.Condition) (words []string) {
	for _, c := range all {
		words = append(words, c.Words)
	}
	return words
}
