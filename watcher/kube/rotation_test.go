package kube

import (
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/starling-lb/starling/watcher/apitest"
)

// TestKeySecret: what is written is what is read, the rest of the Secret stays, and nothing
// overwrites a change of somebody else.
func TestKeySecret(t *testing.T) {
	srv := apitest.Start(t)
	c := client(t, srv)
	if _, err := ReadKeySecret(t.Context(), c, ns); err == nil || !strings.HasPrefix(err.Error(), "read Secret starling-system/starling-gossip: ") {
		t.Errorf("no Secret: %v", err)
	}
	made := secret("a\n")
	made.Annotations = map[string]string{"other": "stays"}
	made.Data["other"] = []byte("stays")
	srv.Create(made)
	for _, step := range []struct{ text, mark string }{{"a\nb\n", "bb"}, {"b\na\n", "bb"}, {"b\n", "bb"}, {"b\n", ""}} {
		s, err := ReadKeySecret(t.Context(), c, ns)
		if err != nil {
			t.Fatal(err)
		}
		old := s
		s.Text, s.Mark = step.text, step.mark
		if err := WriteKeySecret(t.Context(), c, s); err != nil {
			t.Fatal(err)
		}
		got, err := ReadKeySecret(t.Context(), c, ns)
		if err != nil || got.Text != step.text || got.Mark != step.mark {
			t.Errorf("read %q %q %v, want %q %q", got.Text, got.Mark, err, step.text, step.mark)
		}
		old.Text = "late"
		if err := WriteKeySecret(t.Context(), c, old); !errors.Is(err, ErrSecretChanged) || Refused(err) {
			t.Errorf("a write from an old state: %v", err)
		}
	}
	stored, _ := apitest.Get(srv, secret(""))
	if diff := cmp.Diff(map[string]string{"other": "stays"}, stored.Annotations); diff != "" || string(stored.Data["other"]) != "stays" {
		t.Errorf("data %v, annotations (-want +got):\n%s", stored.Data, diff)
	}
	srv.Forbid("update secrets")
	s, err := ReadKeySecret(t.Context(), c, ns)
	if err != nil {
		t.Fatal(err)
	}
	if err := WriteKeySecret(t.Context(), c, s); !Refused(err) || errors.Is(err, ErrSecretChanged) || !strings.Contains(err.Error(), "forbidden") {
		t.Errorf("forbidden: %v", err)
	}
}

func TestSpeakerPods(t *testing.T) {
	srv := apitest.Start(t)
	for _, p := range []struct {
		name, node string
		phase      corev1.PodPhase
		port       int32
		label      string
	}{
		{"s2", "n2", corev1.PodRunning, 0, "starling"},
		{"s1", "n1", corev1.PodPending, 9000, "starling"},
		{"ended", "n3", corev1.PodFailed, 0, "starling"},
		{"nowhere", "", corev1.PodPending, 0, "starling"},
		{"other", "n1", corev1.PodRunning, 0, "other"},
	} {
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: p.name, Labels: map[string]string{"app.kubernetes.io/name": p.label}}}
		pod.Spec.NodeName, pod.Status.Phase = p.node, p.phase
		if p.port > 0 {
			pod.Spec.Containers = []corev1.Container{{Ports: []corev1.ContainerPort{{Name: "gossip", ContainerPort: 1}, {Name: "status", ContainerPort: p.port}}}}
		}
		srv.Create(pod)
	}
	got, err := SpeakerPods(t.Context(), client(t, srv), ns)
	if err != nil {
		t.Fatal(err)
	}
	const user = "system:serviceaccount:" + ns + ":default"
	want := []SpeakerPod{{"n1", ns, "s1", 9000, user}, {"n2", ns, "s2", 7928, user}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	srv.Forbid("list pods")
	if _, err := SpeakerPods(t.Context(), client(t, srv), ns); err == nil || !strings.HasPrefix(err.Error(), "list the pods of speakers in namespace starling-system: ") {
		t.Errorf("forbidden: %v", err)
	}
}

func TestAskPod(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/api/v1/namespaces/starling-system/pods/s1:9000/proxy/api/v1/status" {
			http.Error(w, "nobody at "+r.URL.Path, http.StatusBadGateway)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"node":"n1"}`)) // the client reads or fails
	}))
	t.Cleanup(srv.Close)
	c, err := NewClient(&rest.Config{Host: srv.URL})
	if err != nil {
		t.Fatal(err)
	}
	got, err := AskPod(t.Context(), c, SpeakerPod{Node: "n1", Namespace: ns, Name: "s1", Port: 9000}, "api/v1/status")
	if err != nil || string(got) != `{"node":"n1"}` {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := AskPod(t.Context(), c, SpeakerPod{Node: "n2", Namespace: ns, Name: "s2", Port: 9000}, "api/v1/status"); err == nil || !strings.HasPrefix(err.Error(), "ask pod starling-system/s2 on n2: ") {
		t.Errorf("nobody there: %v", err)
	}
}

// TestAskPodByTLS: a speaker with a certificate is asked by TLS, and one that wants a token says
// what to do instead. The front stands for the API server: like it, it takes the scheme from the
// pod's name and verifies no certificate.
func TestAskPodByTLS(t *testing.T) {
	speaker := func(code int, body string) *httptest.Server {
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(code)
			_, _ = w.Write([]byte(body + r.URL.RawQuery)) // the client reads or fails
		}))
		s.Config.ErrorLog = log.New(io.Discard, "", 0) // of plain requests
		s.StartTLS()
		t.Cleanup(s.Close)
		return s
	}
	for _, tt := range []struct {
		name    string
		speaker *httptest.Server
		want    string
		guarded bool
	}{
		{"a certificate", speaker(http.StatusOK, "well"), "wellip=198.18.64.1", false},
		{"a token", speaker(http.StatusUnauthorized, "a token of this Kubernetes cluster is needed"), "", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			front := httptest.NewServer(&httputil.ReverseProxy{
				Rewrite: func(r *httputil.ProxyRequest) {
					scheme := "http"
					if strings.Contains(r.In.URL.Path, "/pods/https:s1:9000/") {
						scheme = "https"
					}
					r.Out.URL.Scheme, r.Out.URL.Host = scheme, tt.speaker.Listener.Addr().String()
				},
				Transport: tt.speaker.Client().Transport,
			})
			t.Cleanup(front.Close)
			c, err := NewClient(&rest.Config{Host: front.URL})
			if err != nil {
				t.Fatal(err)
			}
			got, err := AskPod(t.Context(), c, SpeakerPod{Node: "n1", Namespace: ns, Name: "s1", Port: 9000}, "api/v1/who?ip=198.18.64.1")
			if string(got) != tt.want || errors.Is(err, ErrGuarded) != tt.guarded || (err != nil) != tt.guarded {
				t.Errorf("%q, %v; want %q", got, err, tt.want)
			}
			if Refused(err) {
				t.Errorf("%v is taken for a want of rights at the API server", err)
			}
		})
	}
}

func TestConnectUser(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config")
	text := "apiVersion: v1\nkind: Config\nclusters: [{name: c, cluster: {server: 'http://198.18.0.1:1'}}]\n" +
		"users: [{name: u, user: {}}]\ncontexts: [{name: x, context: {cluster: c, user: u}}]\ncurrent-context: x\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if c, err := ConnectUser(file, "", "test"); err != nil || c.Host() != "http://198.18.0.1:1" {
		t.Errorf("by flag: %v", err)
	}
	t.Setenv("KUBECONFIG", file)
	if c, err := ConnectUser("", "", "test"); err != nil || c.Host() != "http://198.18.0.1:1" {
		t.Errorf("by $KUBECONFIG: %v", err)
	}
	if _, err := ConnectUser(filepath.Join(t.TempDir(), "none"), "", "test"); err == nil || !strings.HasPrefix(err.Error(), "kubeconfig: ") {
		t.Errorf("no such file: %v", err)
	}
}
