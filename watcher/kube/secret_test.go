package kube

import (
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/starling-lb/starling/watcher/apitest"
)

const ns = "starling-system"

func secret(keys string) *corev1.Secret {
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "starling-gossip"},
		Type:       corev1.SecretTypeOpaque,
		Data:       map[string][]byte{"keys": []byte(keys)},
	}
}

func client(t *testing.T, srv *apitest.Server) *Client {
	t.Helper()
	c, err := NewClient(srv.Config())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestGossipKey(t *testing.T) {
	made := func() ([]byte, error) { return []byte("bWFkZQ==\n"), nil }
	never := func() ([]byte, error) { return nil, errors.New("not to be called") }
	tests := []struct {
		name     string
		prepare  func(*apitest.Server)
		generate func() ([]byte, error)
		want     string
		err      string
		stored   string
	}{
		{"there is one", func(s *apitest.Server) { s.Create(secret("Zmlyc3Q=\nc2Vjb25k\n")) }, never, "Zmlyc3Q=\nc2Vjb25k\n", "", "Zmlyc3Q=\nc2Vjb25k\n"},
		{"made by hand without a line end", func(s *apitest.Server) { s.Create(secret(" Zmlyc3Q= ")) }, never, "Zmlyc3Q=\n", "", " Zmlyc3Q= "},
		{"there is none", func(*apitest.Server) {}, made, "bWFkZQ==\n", "", "bWFkZQ==\n"},
		{"another speaker is faster", func(s *apitest.Server) {
			s.Before(func(_ *http.Request, r apitest.Request) error {
				if r.Verb == "create" {
					s.Before(nil)
					s.Create(secret("b3RoZXI=\n"))
				}
				return nil
			})
		}, made, "b3RoZXI=\n", "", "b3RoZXI=\n"},
		{"empty", func(s *apitest.Server) { s.Create(secret("\n")) }, never, "", `read Secret starling-system/starling-gossip: entry "keys" is missing or empty`, "\n"},
		{"no entropy", func(*apitest.Server) {}, func() ([]byte, error) { return nil, errors.New("no entropy") }, "", "make a gossip key: no entropy", ""},
		{"may not read", func(s *apitest.Server) { s.Forbid("get secrets") }, made, "", "read Secret starling-system/starling-gossip: secrets \"starling-gossip\" is forbidden", ""},
		{"may not create", func(s *apitest.Server) { s.Forbid("create secrets") }, made, "", "create Secret starling-system/starling-gossip: secrets is forbidden", ""},
		{"no server", func(s *apitest.Server) { s.Stop() }, made, "", "read Secret starling-system/starling-gossip: Get \"http://127.0.0.1", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			srv := apitest.Start(t)
			c := client(t, srv)
			tt.prepare(srv)
			got, err := GossipKey(t.Context(), c, ns, tt.generate)
			if string(got) != tt.want {
				t.Errorf("key %q, want %q", got, tt.want)
			}
			if tt.err == "" != (err == nil) || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("error %v, want %q", err, tt.err)
			}
			stored, ok := apitest.Get(srv, secret(""))
			if ok != (tt.stored != "") || ok && string(stored.Data["keys"]) != tt.stored {
				t.Errorf("stored %q, want %q", stored.Data["keys"], tt.stored)
			}
			if ok && stored.Type != corev1.SecretTypeOpaque {
				t.Errorf("type %q", stored.Type)
			}
		})
	}
}

// TestOneKeyForAll: however many speakers start at once, they end with one key.
func TestOneKeyForAll(t *testing.T) {
	srv := apitest.Start(t)
	var all sync.Map
	var busy sync.WaitGroup
	for i := range 20 {
		c := client(t, srv)
		busy.Go(func() {
			key, err := GossipKey(t.Context(), c, ns, func() ([]byte, error) { return []byte{byte('A' + i)}, nil })
			if err != nil {
				t.Error(err)
			}
			all.Store(string(key), true)
		})
	}
	busy.Wait()
	n := 0
	all.Range(func(any, any) bool { n++; return true })
	if n != 1 {
		t.Errorf("%d different keys", n)
	}
}

func TestClusterID(t *testing.T) {
	srv := apitest.Start(t)
	system, _ := apitest.Get(srv, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "kube-system"}})
	got, err := ClusterID(t.Context(), client(t, srv))
	if err != nil || got != string(system.UID) || got == "" {
		t.Errorf("%q, %v, want %q", got, err, system.UID)
	}
	srv.Forbid("get namespaces")
	if _, err := ClusterID(t.Context(), client(t, srv)); !apierrors.IsForbidden(err) || !strings.HasPrefix(err.Error(), "read Namespace kube-system: ") {
		t.Errorf("error %v", err)
	}
}

func TestPassword(t *testing.T) {
	srv := apitest.Start(t)
	c := client(t, srv)
	srv.Create(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "bgp"}, Data: map[string][]byte{"password": []byte("word\n")}})
	srv.Create(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "empty"}, Data: map[string][]byte{"word": []byte("x")}})
	for name, want := range map[string]struct{ text, err string }{
		"bgp":   {"word", ""},
		"empty": {"", "read Secret starling-system/empty: entry password is missing or empty"},
		"none":  {"", "read Secret starling-system/none: "},
	} {
		got, err := Password(t.Context(), c, ns, name)
		if got != want.text || (err == nil) != (want.err == "") || err != nil && !strings.HasPrefix(err.Error(), want.err) {
			t.Errorf("%s: %q, %v, want %+v", name, got, err, want)
		}
	}
}
