package watcher

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/starling-lb/starling/watcher/apitest"
)

func TestReadSecret(t *testing.T) {
	k, text, ok := readSecret(secret("a\nb\n"))
	if !ok || k != (Key{Namespace: ns, Name: "starling-gossip"}) || text != "a\nb\n" {
		t.Errorf("%v %q %v", k, text, ok)
	}
	if _, _, ok := readSecret(&corev1.Node{}); ok {
		t.Error("a Node is taken for a Secret")
	}
}

func TestKeyText(t *testing.T) {
	w := &Watcher{keys: newSingle[string]()}
	for _, st := range []struct {
		name string
		do   func()
		want SecretText
		told bool
	}{
		{"nothing yet", func() {}, SecretText{}, false},
		{"a list without it", func() { w.keys.replace("1", nil) }, SecretText{Known: true}, true},
		{"it is made", func() { w.keys.put("2", "a") }, SecretText{true, true, "a"}, true},
		{"another part of it changes", func() { w.keys.put("3", "a") }, SecretText{true, true, "a"}, false},
		{"a bookmark", func() { w.keys.position("4") }, SecretText{true, true, "a"}, false},
		{"it changes", func() { w.keys.put("5", "a\nb") }, SecretText{true, true, "a\nb"}, true},
		{"the same list after a lost watch", func() { w.keys.replace("6", []string{"a\nb"}) }, SecretText{true, true, "a\nb"}, false},
		{"another list", func() { w.keys.replace("7", []string{"b"}) }, SecretText{true, true, "b"}, true},
		{"it is deleted", func() { w.keys.remove("8", Key{}) }, SecretText{Known: true}, true},
	} {
		st.do()
		told := false
		select {
		case <-w.GossipKeysChanged():
			told = true
		default:
		}
		if told != st.told {
			t.Errorf("%s: told %v, want %v", st.name, told, st.told)
		}
		if diff := cmp.Diff(st.want, w.GossipKeys()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", st.name, diff)
		}
	}
}

// TestKeysAreFollowed: one Secret is listed and watched, by its name, through edits, a cut watch
// and its deletion.
func TestKeysAreFollowed(t *testing.T) {
	srv := apitest.Start(t)
	other := secret("other")
	other.Name = "other"
	srv.Create(other)
	srv.Create(secret("a"))
	srv.Before(func(_ *http.Request, r apitest.Request) error {
		if r.Resource == "secrets" && (r.Namespace != ns || r.Query.Get("fieldSelector") != "metadata.name=starling-gossip") {
			t.Errorf("%s in %q with %v is more than the one Secret", r, r.Namespace, r.Query)
		}
		return nil
	})
	w := start(t, srv.Config(), func(c *Config) { c.KeyNamespace = ns })
	holds := func(want SecretText) {
		t.Helper()
		limit := time.After(patience)
		for w.GossipKeys() != want {
			select {
			case <-w.GossipKeysChanged():
			case <-limit:
				t.Fatalf("the Secret holds %+v, want %+v", w.GossipKeys(), want)
			}
		}
	}
	holds(SecretText{true, true, "a"})
	apitest.Edit(srv, secret(""), "", func(s *corev1.Secret) { s.Data["keys"] = []byte("a\nb") })
	holds(SecretText{true, true, "a\nb"})
	srv.Cut()
	apitest.Edit(srv, secret(""), "", func(s *corev1.Secret) { s.Data["keys"] = []byte("b") })
	holds(SecretText{true, true, "b"})
	srv.Delete(secret(""))
	holds(SecretText{Known: true})
	srv.Create(secret("c"))
	holds(SecretText{true, true, "c"})
}

// TestKeysAreNotFollowed: with keys from a file nobody looks at Secrets.
func TestKeysAreNotFollowed(t *testing.T) {
	srv := apitest.Start(t)
	srv.Create(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1"}})
	w := start(t, srv.Config())
	w.awaitSynced()
	for _, r := range srv.Requests() {
		if r.Resource == "secrets" {
			t.Errorf("asked: %s", r)
		}
	}
	if got := w.GossipKeys(); got != (SecretText{}) {
		t.Errorf("%+v of a Secret that nobody follows", got)
	}
}

// TestKeysMayNotBeWatched: the right is missing, as after an update of the image alone.
func TestKeysMayNotBeWatched(t *testing.T) {
	virtual(t, func(t *testing.T, srv *apitest.Server, config *rest.Config) {
		srv.Forbid("list secrets", "watch secrets")
		w := start(t, config, func(c *Config) { c.KeyNamespace = ns })
		time.Sleep(5 * time.Second)
		p := w.State().words()
		if len(p) != 1 || w.GossipKeys().Known {
			t.Errorf("problems %q, keys %+v", p, w.GossipKeys())
		}
	})
}
