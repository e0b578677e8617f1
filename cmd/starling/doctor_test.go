package main

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/starling-lb/starling/api"
	"github.com/starling-lb/starling/doctor"
	"github.com/starling-lb/starling/health"
	"github.com/starling-lb/starling/lease"
	"github.com/starling-lb/starling/watcher"
)

// wellNode is the speaker of a node that nothing is wrong with but these conditions; it examines
// itself as the real one does.
func wellNode(t *testing.T, conditions ...health.Condition) string {
	t.Helper()
	examiner := &doctor.Examiner{
		Node: "n1",
		Snapshot: func() api.Snapshot {
			s := example()
			s.Interfaces = []api.Interface{{Name: "eth0", MAC: "02:00:00:00:00:01", Prefixes: []string{"198.18.0.1/16"}, Used: true}}
			s.Keys = api.Keys{Held: []string{"0a0b0c0d"}, State: "all 1 members hold key 0a0b0c0d"}
			s.Pools[0].Free = 3
			s.Conditions = conditions
			return s
		},
		Dial:   func(context.Context, string) error { return errors.New("there is nobody") },
		Socket: func() error { return nil },
		Proxy:  func(context.Context) (string, error) { return "nftables", nil },
		Sysctl: func(string) (string, error) { return "1", nil },
	}
	examiner.Meet(func() []doctor.Peer { return nil }, func(context.Context, doctor.Peer) (time.Duration, error) { return 0, nil })
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/v1/doctor", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(examiner.Examine(r.Context())) // the client may be gone
	})
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	return srv.URL
}

// rejected is what a ConfigMap with a mistake leaves.
func rejected(t *testing.T) health.Condition {
	t.Helper()
	s, err := newSettings(config{configMap: "starling", namespace: "ns"}, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.takeObject(watcher.ConfigText{Known: true, Found: true, Text: "poools: []\n"}); err == nil {
		t.Fatal("a mistake is taken")
	}
	all := s.Conditions()
	if len(all) != 1 {
		t.Fatalf("conditions %v", all)
	}
	return all[0].On("n1")
}

// misspelled is what a Service with a misspelled annotation leaves.
func misspelled(t *testing.T) health.Condition {
	t.Helper()
	words := lease.UnknownAnnotations(&lease.Service{Annotations: [][2]string{{"starling-lb.io/adress-pool", "lab"}}})
	if len(words) != 1 {
		t.Fatalf("words %q", words)
	}
	return health.New(health.UnknownAnnotation, health.Service("tenant/web"), words[0])
}

// TestDoctorExitCode: what the operator must see to ends the command with 3, and what a tenant did
// with 0, whatever else is shown.
func TestDoctorExitCode(t *testing.T) {
	waits := func(code health.Code) health.Condition {
		return health.New(code, health.Service("tenant/web"), "tenant/web waits for an address")
	}
	for name, tt := range map[string]struct {
		conditions []health.Condition
		want       int
		line       string
	}{
		"all is well":                    {nil, exitOK, "ok      status"},
		"an explanation":                 {[]health.Condition{health.New(health.NodeCordoned, health.Node("n2"), "n2 is cordoned")}, exitOK, "ok      status"},
		"a node without a speaker":       {[]health.Condition{health.New(health.NoSpeaker, health.Node("n2"), "n2 runs no speaker")}, exitOK, "info    speaker"},
		"a misspelled annotation":        {[]health.Condition{misspelled(t)}, exitOK, "warn    status"},
		"a pool that does not exist":     {[]health.Condition{waits(health.PoolUnknown)}, exitOK, "warn    status"},
		"an address that is no address":  {[]health.Condition{waits(health.RequestMalformed)}, exitOK, "warn    status"},
		"an address in no pool":          {[]health.Condition{waits(health.AddressInNoPool)}, exitOK, "warn    status"},
		"an address of another Service":  {[]health.Condition{waits(health.AddressHeld)}, exitOK, "warn    status"},
		"a Service that is refused":      {[]health.Condition{health.New(health.WriteRefused, health.Node("n1"), "no")}, exitOK, "warn    status"},
		"a rejected configuration":       {[]health.Condition{rejected(t)}, exitUnwell, "fail    status"},
		"a missing right":                {[]health.Condition{health.New(health.WriteForbidden, health.Node("n1"), "no")}, exitUnwell, "fail    status"},
		"a rejected one, and a tenant's": {[]health.Condition{misspelled(t), rejected(t)}, exitUnwell, "fail    status"},
	} {
		t.Run(name, func(t *testing.T) {
			code, out, errOut := called(t, "starling", "doctor", "--server", wellNode(t, tt.conditions...))
			if code != tt.want {
				t.Errorf("exit code %d, want %d; %s\n%s", code, tt.want, errOut, out)
			}
			if !strings.Contains(out, tt.line) {
				t.Errorf("no line %q in:\n%s", tt.line, out)
			}
			for _, c := range tt.conditions {
				if c.Severity != health.Information && !strings.Contains(out, c.Words) {
					t.Errorf("%q is not told in:\n%s", c.Words, out)
				}
			}
		})
	}
}

// TestPoliciesOfOthers: doctor names the admission policies that do not apply to the speakers, as
// those of a kustomization with a namespace of its own.
func TestPoliciesOfOthers(t *testing.T) {
	const path = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"
	for user, want := range map[string]string{
		"starling-system:default": "  ok      policies       -      1 admission policies limit what speakers may write\n",
		"other:starling":          "  warn    policies       -      admission policies do not apply to the speakers, whose user is system:serviceaccount:starling-system:default: starling-events\n",
	} {
		expression := `request.userInfo.username == \"system:serviceaccount:` + user + `\"`
		file := clusterWith(t, map[string]string{path: `{"items":[{"metadata":{"name":"starling-events"},"spec":{"matchConditions":[{"expression":"` + expression + `"}]}}]}`}, "n1")
		code, out, errOut := called(t, "starling", "doctor", "--kubeconfig", file)
		if code != exitOK || !strings.Contains(out, want) {
			t.Errorf("%s: exit code %d, %s, no %q in\n%s", user, code, errOut, want, out)
		}
	}
}
