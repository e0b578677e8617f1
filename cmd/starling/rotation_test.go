package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/starling-lb/starling/mesh"
	"github.com/starling-lb/starling/rotate"
	"github.com/starling-lb/starling/watcher/apitest"
	"github.com/starling-lb/starling/watcher/kube"
)

// ringWorld is a Secret and members that follow it, each after a while.
type ringWorld struct {
	mu      sync.Mutex // guards all following fields
	secret  kube.KeySecret
	edits   int
	texts   []string                 // every text that was in the Secret
	lag     map[string]time.Duration // of members; negative: never
	holds   map[string][]string
	refused error // of the next write
	broken  error // of asking
}

func newRingWorld(text string, members ...string) *ringWorld {
	w := &ringWorld{lag: map[string]time.Duration{}, holds: map[string][]string{}}
	w.secret.Text, w.texts = text, []string{text}
	keys, err := mesh.ParseKeys([]byte(text))
	for _, m := range members {
		w.lag[m], w.holds[m] = 300*time.Millisecond, mesh.Fingerprints(keys)
	}
	w.broken = err
	return w
}

func (w *ringWorld) rotation(out *bytes.Buffer) *rotation {
	return &rotation{
		read: func(context.Context) (kube.KeySecret, error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			return w.secret, nil
		},
		write:    w.write,
		ask:      w.ask,
		generate: func() ([]byte, error) { return []byte(keyText(9)), nil },
		out:      out, limit: 10 * time.Second, pause: time.Second,
	}
}

func (w *ringWorld) write(_ context.Context, s kube.KeySecret) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.refused; err != nil {
		w.refused = nil
		return err
	}
	w.secret, w.edits = s, w.edits+1
	w.texts = append(w.texts, s.Text)
	keys, err := mesh.ParseKeys([]byte(s.Text))
	for m, lag := range w.lag {
		if lag < 0 {
			continue
		}
		time.AfterFunc(lag, func() {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.holds[m] = mesh.Fingerprints(keys)
		})
	}
	return err
}

func (w *ringWorld) ask(context.Context) (hearing, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	v := rotate.View{Node: "n1"}
	for _, name := range slices.Sorted(maps.Keys(w.holds)) {
		v.Members = append(v.Members, rotate.Seen{Name: name, State: "alive", Keys: w.holds[name]})
	}
	v.Members = append(v.Members, rotate.Seen{Name: "n9", State: "dead"})
	return hearing{views: []rotate.View{v}, silent: []string{"ask pod x/y on n9: timeout"}}, w.broken
}

// fps are the fingerprints of test keys.
func fps(numbers ...byte) string { return strings.Join(mesh.Fingerprints(testKeys(numbers...)), " ") }

// TestRotate: from a keyring at rest to the new key alone, every step told.
func TestRotate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, out := newRingWorld(keyText(1), "n1", "n2", "n3"), &bytes.Buffer{}
		if err := w.rotation(out).run(t.Context()); err != nil {
			t.Fatal(err)
		}
		want := []string{keyText(1), keyText(1, 9), keyText(9, 1), keyText(9), keyText(9)}
		if diff := cmp.Diff(want, w.texts); diff != "" || w.secret.Mark != "" {
			t.Errorf("mark %q, Secret (-want +got):\n%s", w.secret.Mark, diff)
		}
		words := fmt.Sprintf(`all 3 members encrypt with %[1]s; added %[2]s to decrypt
waiting: n1 lacks the key %[2]s, it holds %[1]s; n2 lacks the key %[2]s, it holds %[1]s; n3 lacks the key %[2]s, it holds %[1]s
all 3 members hold %[2]s; it encrypts from now on
waiting: n1 encrypts with %[1]s, not yet with %[2]s; n2 encrypts with %[1]s, not yet with %[2]s; n3 encrypts with %[1]s, not yet with %[2]s
all 3 members encrypt with %[2]s; removed %[1]s
waiting: n1 holds %[2]s %[1]s, not %[2]s alone; n2 holds %[2]s %[1]s, not %[2]s alone; n3 holds %[2]s %[1]s, not %[2]s alone
done: all 3 members hold %[2]s alone
not waited for, they read the Secret when they come back: n9
did not answer: ask pod x/y on n9: timeout
`, fps(1), fps(9))
		if diff := cmp.Diff(words, out.String()); diff != "" {
			t.Errorf("told (-want +got):\n%s", diff)
		}
	})
}

// TestRotateGoesOn: interrupted after any of its steps, the next run ends what
// was begun with the same new key, and not with another one.
func TestRotateGoesOn(t *testing.T) {
	for steps := range 4 { // taken before it is interrupted
		synctest.Test(t, func(t *testing.T) {
			w, out := newRingWorld(keyText(1), "n1", "n2"), &bytes.Buffer{}
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			r := w.rotation(out)
			ask := r.ask
			r.ask = func(ctx context.Context) (hearing, error) {
				if err := ctx.Err(); err != nil {
					return hearing{}, err
				}
				return ask(ctx)
			}
			r.write = func(ctx context.Context, s kube.KeySecret) error {
				err := w.write(ctx, s)
				if w.edits == steps {
					stop()
				}
				return err
			}
			if steps == 0 {
				stop()
			}
			if err := r.run(ctx); err == nil || err.Error() != "interrupted; run it again to go on from here" {
				t.Fatalf("after %d steps: %v", steps, err)
			}
			again := w.rotation(out)
			if steps > 0 {
				again.generate = func() ([]byte, error) { return nil, errors.New("a second new key") }
			}
			if err := again.run(t.Context()); err != nil || w.secret.Text != keyText(9) || w.secret.Mark != "" || w.edits != 4 {
				t.Errorf("after %d steps: %v, %d writes, mark %q", steps, err, w.edits, w.secret.Mark)
			}
			if got := strings.Contains(out.String(), "going on with the rotation to "+fps(9)+" that was begun\n"); got != (steps > 0) {
				t.Errorf("after %d steps: told\n%s", steps, out)
			}
		})
	}
}

// TestRotateGivesUp: a member that does not follow is named, the Secret stays
// as it is, and when the member is mended the next run goes on.
func TestRotateGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, out := newRingWorld(keyText(1), "n1", "n2", "n3"), &bytes.Buffer{}
		w.lag["n2"] = -1
		begin := time.Now()
		err := w.rotation(out).run(t.Context())
		want := "waited 10s: n2 lacks the key " + fps(9) + ", it holds " + fps(1) + "\nnothing is broken"
		if err == nil || !strings.HasPrefix(err.Error(), want) || w.secret.Text != keyText(1, 9) {
			t.Errorf("error %v, want %s", err, want)
		}
		if took := time.Since(begin); took > 15*time.Second {
			t.Errorf("gave up after %s", took)
		}
		w.lag["n2"], w.holds["n2"] = time.Second, mesh.Fingerprints(testKeys(1, 9))
		if err := w.rotation(out).run(t.Context()); err != nil || w.secret.Text != keyText(9) {
			t.Errorf("second run: %v", err)
		}
	})
}

// TestRotateMeets what else may happen on the way.
func TestRotateMeets(t *testing.T) {
	for _, tt := range []struct {
		name   string
		text   string
		change func(*ringWorld)
		err    string // "" it succeeds
		told   string
	}{
		{"somebody else's write", keyText(1), func(w *ringWorld) { w.refused = kube.ErrSecretChanged }, "", "waiting: somebody else changes the Secret\n"},
		{"an API server that stumbles", keyText(1), func(w *ringWorld) { w.refused = errors.New("timeout") }, "", "waiting: timeout\n"},
		{
			"no right to write", keyText(1), func(w *ringWorld) {
				w.refused = fmt.Errorf("write Secret: %w", apierrors.NewForbidden(schema.GroupResource{Resource: "secrets"}, "starling-gossip", errors.New("no")))
			},
			"write Secret: secrets \"starling-gossip\" is forbidden: no", "",
		},
		{"spare keys", keyText(1, 2, 3), func(*ringWorld) {}, "", "removed " + fps(1, 2, 3) + "\n"},
		{"no room", keyText(1, 2, 3, 4, 5, 6, 7, 8), func(*ringWorld) {}, "gossip key: 9 keys, at most 8 are allowed", ""},
		{"nobody answers", keyText(1), func(w *ringWorld) { w.broken = errors.New("no speaker answers") }, "waited 10s: no speaker answers", ""},
		{"a member with a key file", keyText(1), func(w *ringWorld) { w.holds["n2"], w.lag["n2"] = []string{"01020304"}, -1 }, "has it a --gossip-key-file?", ""},
		{"a bad Secret", "oops!", func(*ringWorld) {}, "the Secret is to be mended first: gossip key, line 1: is not base64", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, out := newRingWorld(tt.text, "n1", "n2"), &bytes.Buffer{}
				tt.change(w)
				err := w.rotation(out).run(t.Context())
				if tt.err == "" && (err != nil || w.secret.Text != keyText(9)) {
					t.Errorf("error %v", err)
				}
				if tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err) || w.edits > 0) {
					t.Errorf("error %v after %d writes, want %q before any", err, w.edits, tt.err)
				}
				if tt.told == "" && strings.Contains(tt.err, "forbidden") && out.Len() > 0 {
					t.Errorf("told before it gave up at once:\n%s", out)
				}
				if !strings.Contains(out.String(), tt.told) {
					t.Errorf("told\n%s\nwant %s", out, tt.told)
				}
			})
		})
	}
}

// TestKeyCommand rotates the key of a running speaker by the command line, with
// an API server in memory.
func TestKeyCommand(t *testing.T) {
	api := apitest.Start(t)
	api.Create(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1"}})
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "starling-system", Name: "starling-gossip"},
		Data:       map[string][]byte{"keys": []byte(keyText(1))},
	}
	api.Create(secret)
	r := start(t, api)
	r.until("/api/v1/status", http.StatusOK, `"keys":["`+fps(1)+`"]`)
	args := []string{"--kubeconfig", kubeconfig(t, api.Config().Host), "--namespace", "starling-system", "--server", "http://" + r.web}
	command := func(name string) string {
		t.Helper()
		var out, errOut bytes.Buffer
		if code := execute(t.Context(), append([]string{"starling", "key", name}, args...), &out, &errOut); code != exitOK {
			t.Fatalf("key %s: exit code %d: %s", name, code, &errOut)
		}
		return out.String()
	}
	if got, want := command("status"), "SECRET    USE\n"+fps(1)+"  encrypts and decrypts\n\nMEMBER  KEYS\nn1      "+fps(1)+"\n\n"; got != want {
		t.Errorf("status:\n%s\nwant\n%s", got, want)
	}
	told := command("rotate")
	after, _ := apitest.Get(api, secret)
	keys, err := mesh.ParseKeys(after.Data["keys"])
	if err != nil || len(keys) != 1 || bytes.Equal(keys[0], testKeys(1)[0]) || len(after.Annotations) > 0 {
		t.Errorf("%d keys, %v, annotations %v", len(keys), err, after.Annotations)
	}
	if !strings.HasSuffix(told, "done: all 1 members hold "+mesh.Fingerprints(keys)[0]+" alone\n") {
		t.Errorf("told\n%s", told)
	}
	apitest.Edit(api, secret, "", func(s *corev1.Secret) {
		s.Data["keys"] = append(s.Data["keys"], keyText(5)...)
		s.Annotations = map[string]string{"starling-lb.io/new-key": fps(5)}
	})
	r.until("/api/v1/status", http.StatusOK, fps(5))
	if got := command("status"); !strings.Contains(got, fps(5)+"  decrypts, new: a rotation is under way\n") || !strings.Contains(got, "`starling key rotate` goes on with it") {
		t.Errorf("status in a rotation:\n%s", got)
	}
	if got := command("rotate"); !strings.HasPrefix(got, "going on with the rotation to "+fps(5)+" that was begun\n") {
		t.Errorf("told\n%s", got)
	}
	if code := r.exit(); code != exitOK {
		t.Errorf("exit code %d", code)
	}
}

// TestHear: every speaker is asked through the API server; one that does not
// answer is reported, and only when nobody does it is an error.
func TestHear(t *testing.T) {
	api := apitest.Start(t)
	for _, n := range []string{"n1", "n2"} {
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "s-" + n, Labels: map[string]string{"app.kubernetes.io/name": "starling"}}}
		pod.Spec.NodeName = n
		api.Create(pod)
	}
	var asked atomic.Int32
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "/proxy/") {
			asked.Add(1)
		}
		switch {
		case strings.HasPrefix(r.URL.Path, "/api/v1/namespaces/ns/pods/s-n1:7928/proxy/"):
			fmt.Fprint(w, `{"node":"n1","members":[{"name":"n1","state":"alive","keys":["0a0b0c0d"]}]}`)
		case strings.Contains(r.URL.Path, "/proxy/"):
			http.Error(w, "dial: no route", http.StatusBadGateway)
		default:
			api.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(front.Close)
	client, err := kube.ConnectUser(kubeconfig(t, front.URL), "", "test")
	if err != nil {
		t.Fatal(err)
	}
	pods := func(namespace string) asker {
		return asker{targets: podTargets(client, namespace, ""), limit: askLimit}
	}
	got, err := pods("ns").hear(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := []rotate.View{{Node: "n1", Members: []rotate.Seen{{Name: "n1", State: "alive", Keys: []string{"0a0b0c0d"}}}}}
	if diff := cmp.Diff(want, got.views); diff != "" || len(got.silent) != 1 || !strings.HasPrefix(got.silent[0], "n2: ask pod ns/s-n2 on n2: ") {
		t.Errorf("silent %q, views (-want +got):\n%s", got.silent, diff)
	}
	for i := range 3 * askMost {
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "many", Name: fmt.Sprint("s", i), Labels: map[string]string{"app.kubernetes.io/name": "starling"}}}
		pod.Spec.NodeName = fmt.Sprint("n", i)
		api.Create(pod)
	}
	asked.Store(0)
	if _, err := pods("many").hear(t.Context()); err == nil || asked.Load() != askMost {
		t.Errorf("%d of many speakers asked, want %d: %v", asked.Load(), askMost, err)
	}
	if _, err := pods("empty").hear(t.Context()); err == nil || !strings.HasPrefix(err.Error(), "no speaker runs in namespace empty: ") {
		t.Errorf("an empty namespace: %v", err)
	}
	servers := asker{targets: serverTargets([]string{front.URL}), limit: askLimit}
	if _, err := servers.hear(t.Context()); err == nil || !strings.HasPrefix(err.Error(), "no speaker answers: ask "+front.URL) {
		t.Errorf("nobody answers: %v", err)
	}
}

func TestKeyMistakes(t *testing.T) {
	for _, tt := range []struct {
		name string
		args []string
		want []string // lines
	}{
		{"no such command", []string{"turn"}, []string{`starling: unknown command "key turn"`, `starling: see "starling key --help"`}},
		{"a flag", []string{"rotate", "--now"}, []string{"starling: there is no flag --now", `starling: see "starling key rotate --help"`}},
		{
			"another context",
			[]string{"rotate", "-n", "lab", "--context", "elsewhere", "--kubeconfig", kubeconfig(t, "http://198.18.0.1:1")},
			[]string{`starling: --kubeconfig: kubeconfig: context "elsewhere" does not exist`},
		},
		{
			"several at once",
			[]string{"rotate", "--timeout", "0s", "--server", "n1", "--kubeconfig", "/nonexistent", "--namespace", "A B", "now"},
			[]string{
				`starling: unexpected argument "now"`, "starling: --timeout: 0s is not a time to wait",
				`starling: --server: "n1" is not a URL like http://localhost:7928`, "starling: --kubeconfig: kubeconfig: ", "starling: --namespace: ",
			},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out, errOut bytes.Buffer
			if code := execute(t.Context(), append([]string{"starling", "key"}, tt.args...), &out, &errOut); code != exitUsage {
				t.Errorf("exit code %d, want %d", code, exitUsage)
			}
			lines := strings.Split(strings.TrimSpace(errOut.String()), "\n")
			for _, want := range tt.want {
				if count(lines, want) != 1 {
					t.Errorf("no line with %q in:\n%s", want, &errOut)
				}
			}
		})
	}
}
