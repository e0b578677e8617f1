package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/starling-lb/starling/api"
)

func TestWhoNode(t *testing.T) {
	file := cluster(t, "n1")
	code, out, errOut := called(t, "starling", "who", "n1", "--kubeconfig", file)
	for _, want := range []string{"n1 (-) announces 1 address and is next in line for 0\n\n", "  198.18.64.1  announcer  "} {
		if code != exitOK || !strings.Contains(out, want) {
			t.Errorf("exit code %d, %s, no %q in\n%s", code, errOut, want, out)
		}
	}
	_, out, _ = called(t, "starling", "who", "n1", "--kubeconfig", file, "-o", "json")
	var got placed
	if err := json.Unmarshal([]byte(out), &got); err != nil || got.Node != "n1" || len(got.Announces) != 1 || got.Announces[0].IP != "198.18.64.1" || got.NextFor == nil {
		t.Errorf("%+v, %v in\n%s", got, err, out)
	}
	_, out, _ = called(t, "starling", "who", "a/b", "--kubeconfig", file, "-o", "json")
	var list []api.Who
	if err := json.Unmarshal([]byte(out), &list); err != nil || len(list) != 1 || list[0].IP != "198.18.64.1" {
		t.Errorf("%+v, %v in\n%s", list, err, out)
	}
}

// TestWhoNodeThatWaits: beside the name stands what it waits for, or until when it keeps its
// addresses.
func TestWhoNodeThatWaits(t *testing.T) {
	s := example()
	for _, m := range []api.Member{
		{Name: "n1", State: api.Alive, Health: "returning", Hold: "others go first until 12:00:00"},
		{Name: "n1", State: api.Absent, Health: "absent", Away: "keeps its addresses until 12:00:00"},
	} {
		s.Members = []api.Member{m}
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(s)
		}))
		defer server.Close()
		_, out, errOut := called(t, "starling", "who", "n1", "--server", server.URL)
		if want := "n1 (" + m.Hold + m.Away + ") announces "; !strings.HasPrefix(out, want) {
			t.Errorf("%q, %s, want %q", out, errOut, want)
		}
		_, out, _ = called(t, "starling", "who", "n1", "--server", server.URL, "-o", "json")
		var got placed
		if err := json.Unmarshal([]byte(out), &got); err != nil || got.Hold != m.Hold || got.Away != m.Away || got.Health != m.Health {
			t.Errorf("%+v, %v in %s", got, err, out)
		}
	}
}

func TestNoAddress(t *testing.T) {
	t.Parallel()
	s := api.Snapshot{Waiting: []api.Waiting{{Service: "a/c", Reason: "pool p is full"}}}
	for name, want := range map[string]string{
		"a/c": "Service a/c waits for an address: pool p is full",
		"a/d": "Service a/d holds no address of starling; `starling leases` lists those that do, `kubectl describe service` shows its events",
	} {
		if got := fmt.Sprint(noAddress(s, name)); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
