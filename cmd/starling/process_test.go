package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/starling-lb/starling/mesh"
	"github.com/starling-lb/starling/peers"
	"github.com/starling-lb/starling/watcher/apitest"
)

// running is `starling run` in this process, against an API server in memory.
type running struct {
	t    *testing.T
	web  string // address of the status server
	log  *syncBuffer
	stop context.CancelFunc
	code chan int
}

// syncBuffer is a log that may be read while it is written.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func kubeconfig(t testing.TB, host string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "kubeconfig")
	text := fmt.Sprintf(`apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: %q}}]
users: [{name: u, user: {}}]
contexts: [{name: x, context: {cluster: c, user: u}}]
current-context: x
`, host)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func start(t *testing.T, api *apitest.Server, args ...string) *running {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	r := &running{t: t, web: fmt.Sprintf("127.0.0.1:%d", freePort(t)), log: &syncBuffer{}, stop: stop, code: make(chan int, 1)}
	all := append([]string{
		"starling", "run", "--node-name", "n1", "--kubeconfig", kubeconfig(t, api.Config().Host), "--status-addr", r.web,
		"--gossip-addr", fmt.Sprintf("127.0.0.1:%d", freePort(t)), "--interface", "nosuch0", "--log-level", "debug",
	}, args...)
	go func() { r.code <- execute(ctx, all, io.Discard, r.log) }()
	t.Cleanup(func() {
		r.stop()
		if t.Failed() {
			t.Logf("log:\n%s", r.log)
		}
	})
	return r
}

// get asks the status server; it is tried again until it answers.
func (r *running) get(path string) (int, string) {
	r.t.Helper()
	resp, err := http.Get("http://" + r.web + path)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err.Error()
	}
	return resp.StatusCode, string(b)
}

// until waits until a path answers with a code and a text.
func (r *running) until(path string, code int, text string) {
	r.t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		gotCode, got := r.get(path)
		if gotCode == code && strings.Contains(got, text) {
			return
		}
		select {
		case <-deadline:
			r.t.Fatalf("%s: %d %q, want %d with %q", path, gotCode, got, code, text)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// logged waits until the log holds a text.
func (r *running) logged(text string) {
	r.t.Helper()
	deadline := time.After(20 * time.Second)
	for !strings.Contains(r.log.String(), text) {
		select {
		case <-deadline:
			r.t.Fatalf("never logged %q", text)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// exit stops the program and gives its exit code.
func (r *running) exit() int {
	r.t.Helper()
	r.stop()
	select {
	case code := <-r.code:
		return code
	case <-time.After(20 * time.Second):
		r.t.Fatal("does not stop")
		return -1
	}
}

// TestRunSaysWhatItWaitsFor: without the API server, without rights and without
// an interface the speaker stays alive, is not ready, says why, and goes on as
// soon as it can.
func TestRunSaysWhatItWaitsFor(t *testing.T) {
	api := apitest.Start(t)
	api.Create(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1"}})
	api.Stop()
	r := start(t, api, "--pool", "198.18.64.0/24")
	r.until("/readyz", http.StatusServiceUnavailable, "connection refused")
	r.until("/healthz", http.StatusOK, "")

	api.Forbid("get secrets", "create secrets")
	if err := api.Listen(); err != nil {
		t.Fatal(err)
	}
	r.until("/readyz", http.StatusServiceUnavailable, "secrets")

	api.Forbid()
	r.until("/readyz", http.StatusServiceUnavailable, "nosuch0")
	r.until("/api/v1/status", http.StatusOK, `"name":"default"`)
	r.until("/metrics", http.StatusOK, "starling_ready 0")
	if code := r.exit(); code != exitOK {
		t.Errorf("exit code %d after SIGTERM", code)
	}
	secret, ok := apitest.Get(api, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "starling-system", Name: "starling-gossip"}})
	if !ok {
		t.Fatal("no Secret starling-gossip")
	}
	if keys, err := mesh.ParseKeys(secret.Data["keys"]); err != nil || len(keys) != 1 {
		t.Errorf("Secret holds %d keys: %v", len(keys), err)
	}
}

// TestRunWithoutTheAPIServer: a speaker that has a snapshot of its last life
// starts while the API server is away, with the keys of a file or with the copy
// of those in the Secret.
func TestRunWithoutTheAPIServer(t *testing.T) {
	keyFile := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(keyFile, []byte(keyText(1)), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, args := range map[string][]string{"key file": {"--gossip-key-file", keyFile}, "Secret": nil} {
		t.Run(name, func(t *testing.T) {
			args := append([]string{"--state-dir", t.TempDir()}, args...)
			api := apitest.Start(t)
			api.Create(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1"}})
			r := start(t, api, args...)
			r.until("/metrics", http.StatusOK, "starling_ready 0") // the loop turns
			if code := r.exit(); code != exitOK {
				t.Fatalf("exit code %d", code)
			}
			api.Stop()
			r = start(t, api, args...)
			r.until("/readyz", http.StatusServiceUnavailable, "nosuch0")
			if code := r.exit(); code != exitOK {
				t.Errorf("exit code %d", code)
			}
		})
	}
}

// TestRunEndsWithoutFlapping: a speaker that was asked to end, even before it was ready, is none
// that crashed.
func TestRunEndsWithoutFlapping(t *testing.T) {
	file := returnFile{dir: t.TempDir()}
	file.write(lastReturn())
	api := apitest.Start(t)
	r := start(t, api, "--state-dir", file.dir)
	r.until("/readyz", http.StatusServiceUnavailable, "")
	if code := r.exit(); code != exitOK {
		t.Fatalf("exit code %d", code)
	}
	if got := file.read(); got != (peers.Return{}) {
		t.Errorf("kept %+v", got)
	}
}

// TestRunCorrectsItsKeys: a speaker that started from old keys takes those of
// the Secret as soon as the API server answers, and keeps them for the next time.
func TestRunCorrectsItsKeys(t *testing.T) {
	state := t.TempDir()
	api := apitest.Start(t)
	api.Create(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1"}})
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "starling-system", Name: "starling-gossip"},
		Data:       map[string][]byte{"keys": []byte(keyText(1))},
	}
	api.Create(secret)
	r := start(t, api, "--state-dir", state)
	r.until("/metrics", http.StatusOK, "starling_ready 0")
	if code := r.exit(); code != exitOK {
		t.Fatalf("exit code %d", code)
	}
	apitest.Edit(api, secret, "", func(s *corev1.Secret) { s.Data["keys"] = []byte(keyText(2, 1)) })
	api.Stop()
	r = start(t, api, "--state-dir", state)
	r.until("/readyz", http.StatusServiceUnavailable, "nosuch0")
	if text := r.log.String(); !strings.Contains(text, "started with the last known gossip keys") {
		t.Error("not told that the keys are the last known ones")
	}
	if err := api.Listen(); err != nil {
		t.Fatal(err)
	}
	r.logged("gossip keys changed")
	apitest.Edit(api, secret, "", func(s *corev1.Secret) { s.Data["keys"] = []byte("oops") })
	r.until("/api/v1/status", http.StatusOK, "the gossip keys are not followed: Secret starling-system/starling-gossip: gossip key, line 1")
	r.until("/metrics", http.StatusOK, "starling_gossip_key_reload_failures_total 1")
	if code := r.exit(); code != exitOK {
		t.Errorf("exit code %d", code)
	}
	text, err := os.ReadFile(filepath.Join(state, "gossip-keys"))
	if err != nil || !strings.HasSuffix(string(text), "\n"+keyText(2, 1)) {
		t.Errorf("the copy holds %d bytes, %v, want the keys that were in the Secret", len(text), err)
	}
}

func TestRunStopsWhileItWaits(t *testing.T) {
	api := apitest.Start(t)
	api.Stop()
	r := start(t, api)
	r.until("/readyz", http.StatusServiceUnavailable, "refused")
	if code := r.exit(); code != exitOK {
		t.Errorf("exit code %d", code)
	}
}

// TestRunWithoutOwnAddress: without --gossip-addr the node's InternalIP is
// needed, and its lack is reported.
func TestRunWithoutOwnAddress(t *testing.T) {
	api := apitest.Start(t)
	r := start(t, api, "--gossip-addr", ":7000")
	r.until("/readyz", http.StatusServiceUnavailable, `node "n1" has no InternalIP`)
	if code := r.exit(); code != exitOK {
		t.Errorf("exit code %d", code)
	}
}

// TestRunFollowsTheConfigMap: a speaker runs without the ConfigMap and says so, takes it when it
// appears and whenever it changes, keeps the last good one through a mistake, its deletion, and a
// start without the API server.
func TestRunFollowsTheConfigMap(t *testing.T) {
	api := apitest.Start(t)
	api.Create(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1"}})
	args := []string{"--config-map", "pools", "--state-dir", t.TempDir()}
	r := start(t, api, args...)
	const missing = "ConfigMap starling-system/pools does not exist"
	r.until("/api/v1/status", http.StatusOK, missing+", so there are no pools and no Service gets an address")
	object := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: "starling-system", Name: "pools"},
		Data:       map[string]string{"starling.yaml": onePool},
	}
	api.Create(object)
	r.until("/api/v1/status", http.StatusOK, `"name":"lab"`)
	edit := func(text string) {
		apitest.Edit(api, object, "", func(m *corev1.ConfigMap) { m.Data["starling.yaml"] = text })
	}
	edit(twoPools)
	r.until("/api/v1/status", http.StatusOK, `"name":"more"`)
	edit("pools: 7\n")
	r.until("/api/v1/status", http.StatusOK, "the configuration is not in force: ConfigMap starling-system/pools: line 1: pools: want a list, got the number 7")
	r.until("/metrics", http.StatusOK, "starling_config_last_reload_successful 0")
	r.until("/api/v1/status", http.StatusOK, `"name":"more"`)
	edit(twoPools)
	r.until("/metrics", http.StatusOK, "starling_config_last_reload_successful 1")
	api.Delete(object)
	r.until("/api/v1/status", http.StatusOK, missing+" any more; its last pools stay in force")
	if code := r.exit(); code != exitOK {
		t.Fatalf("exit code %d", code)
	}
	api.Stop()
	r = start(t, api, args...)
	r.until("/api/v1/status", http.StatusOK, `"name":"more"`)
	if err := api.Listen(); err != nil {
		t.Fatal(err)
	}
	r.until("/api/v1/status", http.StatusOK, missing+" any more")
	object.Data["starling.yaml"] = onePool
	api.Create(object)
	r.until("/metrics", http.StatusOK, "starling_config_last_reload_successful 1")
	if code := r.exit(); code != exitOK {
		t.Errorf("exit code %d", code)
	}
}

// TestRunWaitsForAGoodConfigMap: a speaker that never knew a good configuration does not run with
// none, which would be another one than that of the others; it says why it waits.
func TestRunWaitsForAGoodConfigMap(t *testing.T) {
	api := apitest.Start(t)
	api.Create(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1"}})
	object := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: "starling-system", Name: "pools"},
		Data:       map[string]string{"mine.yaml": "pools: 7\n"},
	}
	api.Create(object)
	r := start(t, api, "--config-map", "pools")
	r.until("/readyz", http.StatusServiceUnavailable, "configuration: ConfigMap starling-system/pools: line 1: pools: want a list, got the number 7")
	apitest.Edit(api, object, "", func(m *corev1.ConfigMap) { m.Data["mine.yaml"] = onePool })
	r.until("/api/v1/status", http.StatusOK, `"name":"lab"`)
	api.Forbid("watch configmaps", "list configmaps")
	api.Cut()
	r.until("/readyz", http.StatusServiceUnavailable, "forbidden by RBAC: watch configmaps")
	if code := r.exit(); code != exitOK {
		t.Errorf("exit code %d", code)
	}
}
