package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/starling-lb/starling/api"
)

// example is what the servers of these tests answer.
func example() api.Snapshot {
	return api.Snapshot{
		Node: "n1", Version: "v1", Ready: true, Reasons: []string{}, Problems: []string{},
		Members: []api.Member{{Name: "n1", Addr: "198.18.0.1:7927", State: "alive", Ready: true, Segments: []string{"198.18.0.0/24"}, Keys: []string{"0a0b0c0d"}, Version: "v1", Announces: 1}},
		VIPs: []api.VIP{{
			IP: "198.18.64.1", Services: []string{"a/b"}, Pool: "p", Owner: "n1", Reason: "the only one eligible",
			Since: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		}},
		Pools:     []api.Pool{{Name: "p", Ranges: []string{"198.18.64.0/30"}, Rules: []string{"priority 1"}, Size: 4, Used: 1}},
		Conflicts: []api.Conflict{},
	}
}

// serve answers with code and the example under /api/v1/status.
func serve(t *testing.T, code int) string {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if code != http.StatusOK {
			w.WriteHeader(code)
			return
		}
		speakerOf("n1").ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	return srv.URL
}

func TestStatusTable(t *testing.T) {
	var out, errOut bytes.Buffer
	code := execute(t.Context(), []string{"starling", "status", "--server", serve(t, 200)}, &out, &errOut)
	if code != exitOK || errOut.Len() > 0 {
		t.Fatalf("exit code %d: %s", code, &errOut)
	}
	for _, want := range []string{
		"As n1 sees it, starling v1, ready\n",
		"  n1    ready  1          -     -           v1       198.18.0.0/24\n",
		"  p     -       1     3     0        198.18.64.0/30  priority 1\n",
		"  p     a/b      eth7       the only one eligible\n", // as its announcer says of its places
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no line %q in:\n%s", want, &out)
		}
	}
}

func TestStatusJSON(t *testing.T) {
	t.Setenv("STARLING_SERVER", serve(t, 200)) // in place of --server
	for _, flag := range [][]string{{"-o", "json"}, {"--output=json"}} {
		var out, errOut bytes.Buffer
		if code := execute(t.Context(), append([]string{"starling", "status"}, flag...), &out, &errOut); code != exitOK {
			t.Fatalf("%v: exit code %d: %s", flag, code, &errOut)
		}
		if !strings.HasPrefix(out.String(), "{\n  \"node\": \"n1\",\n") || !strings.HasSuffix(out.String(), "}\n") {
			t.Errorf("%v: not indented:\n%s", flag, &out)
		}
		var got api.Snapshot
		if err := json.Unmarshal(out.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(example(), got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%v (-want +got):\n%s", flag, diff)
		}
	}
}

func TestStatusFailures(t *testing.T) {
	for _, tt := range []struct {
		name string
		args []string
		code int
		want []string // lines
	}{
		{"argument", []string{"now"}, exitUsage, []string{`starling: unexpected argument "now"`}},
		{"format", []string{"-o", "xml"}, exitUsage, []string{`starling: --output: "xml" is none of table, wide, json and yaml`}},
		{"no server", []string{"--server", "n1:7928"}, exitUsage, []string{`starling: --server: "n1:7928" is not a URL like http://localhost:7928`}},
		{
			"several at once",
			[]string{"-o", "xml", "--timeout", "-1s"},
			exitUsage,
			[]string{`starling: --output: "xml" is none of table, wide, json and yaml`, "starling: --timeout: -1s is not a time to wait"},
		},
		{"another answer", []string{"--server", serve(t, 500)}, exitFailed, []string{"it answers 500 Internal Server Error"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out, errOut bytes.Buffer
			if code := execute(t.Context(), append([]string{"starling", "status"}, tt.args...), &out, &errOut); code != tt.code {
				t.Errorf("exit code %d, want %d", code, tt.code)
			}
			lines := strings.Split(strings.TrimSpace(errOut.String()), "\n")
			for _, want := range tt.want {
				if n := count(lines, want); n != 1 {
					t.Errorf("%d lines with %q in:\n%s", n, want, &errOut)
				}
			}
			if out.Len() > 0 {
				t.Errorf("printed %q in spite of the failure", &out)
			}
		})
	}
}

func TestStatusGivesUp(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	t.Cleanup(srv.Close)
	var out, errOut bytes.Buffer
	code := execute(t.Context(), []string{"starling", "status", "--server", srv.URL, "--timeout", "50ms"}, &out, &errOut)
	if want := "no answer: waited 50ms\n"; code != exitFailed || !strings.HasSuffix(errOut.String(), want) {
		t.Errorf("exit code %d, told %q, want %q", code, &errOut, want)
	}
}

func TestHint(t *testing.T) {
	for _, tt := range []struct {
		name   string
		server string
		err    error
		want   bool
	}{
		{"nobody here", defaultServer, syscall.ECONNREFUSED, true},
		{"nobody there", "http://198.18.0.1:7928", syscall.ECONNREFUSED, false},
		{"another failure", defaultServer, errors.New("no"), false},
	} {
		got := hint(tt.server, tt.err)
		if !errors.Is(got, tt.err) {
			t.Errorf("%s: the cause is lost in %v", tt.name, got)
		}
		if has := strings.Contains(got.Error(), "--server http://NODE:7928"); has != tt.want {
			t.Errorf("%s: hint %v, want %v", tt.name, has, tt.want)
		}
	}
}

// TestNearest: on a node its own speaker is asked, elsewhere, with a kubeconfig, those of the
// cluster.
func TestNearest(t *testing.T) {
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	cloud := []target{{name: "n9"}}
	pods := func() (func(context.Context) ([]target, error), error) {
		return func(context.Context) ([]target, error) { return cloud, nil }, nil
	}
	none := func() (func(context.Context) ([]target, error), error) { return nil, errors.New("no kubeconfig") }
	here := serve(t, 200)
	for _, tt := range []struct {
		name, local string
		pods        func() (func(context.Context) ([]target, error), error)
		want, told  string
	}{
		{"a speaker here", here, pods, here, ""},
		{"none here", closed.URL, pods, "n9", "starling: no speaker runs here; asking through the API server\n"},
		{"nor a kubeconfig", closed.URL, none, closed.URL, ""},
	} {
		var told bytes.Buffer
		got, err := nearest(tt.local, &told, tt.pods)(t.Context())
		if err != nil || len(got) != 1 || got[0].name != tt.want || told.String() != tt.told {
			t.Errorf("%s: %+v, %v, told %q", tt.name, got, err, &told)
		}
	}
}
