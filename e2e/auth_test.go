package e2e

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	authentication "k8s.io/api/authentication/v1"
	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/starling-lb/starling/e2e/cluster"
	"github.com/starling-lb/starling/e2e/starling"
)

// reader may read what docs/security.md says that Prometheus needs, and the page.
const reader = `
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: starling-reader}
rules:
- {nonResourceURLs: [/, /metrics, /starling/api/v1/status], verbs: [get]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: starling-reader}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: starling-reader}
subjects: [{kind: ServiceAccount, name: reader, namespace: ` + starling.Namespace + `}]
`

// TestStatusAuth installs the overlay that asks for tokens of Kubernetes: the real API server says
// who may read, speakers see each other's views nevertheless, and on the node all is as before.
func TestStatusAuth(t *testing.T) {
	withStatusAuth(t)
	ip := expose(t, "guarded")
	good, bad := tokenOf(t, "reader"), tokenOf(t, "stranger")
	n := shared.Nodes[0]
	for _, tt := range []struct {
		name, path, token string
		code              int
		words             string
	}{
		{"a probe", "/healthz", "", http.StatusOK, "ok"},
		{"no token", "/metrics", "", http.StatusUnauthorized, "a token of this Kubernetes cluster is needed"},
		{"a token of nobody", "/metrics", "eyJhbGciOiJub25lIn0.e30.", http.StatusUnauthorized, "a token of this Kubernetes cluster is needed"},
		{"somebody without the right", "/metrics", bad, http.StatusForbidden, "stranger may not get /metrics"},
		{"who may", "/metrics", good, http.StatusOK, "starling_ready 1"},
		{"who may read the status", "/api/v1/status", good, http.StatusOK, ip.String()},
		{"who may read something else", "/api/v1/leases", good, http.StatusForbidden, "reader may not get /starling/api/v1/leases"},
	} {
		code, body, err := secureGet(t.Context(), n, tt.path, tt.token)
		if err != nil || code != tt.code || !strings.Contains(body, tt.words) {
			t.Errorf("%s: code %d, want %d; %v; want %q in\n%s", tt.name, code, tt.code, err, tt.words, body)
		}
	}
	for _, n := range shared.Nodes {
		until(t, 10*time.Second, "page of "+n.Name+" with the views of all", func(ctx context.Context) error {
			code, body, err := secureGet(ctx, n, "/", good)
			if err == nil && code != http.StatusOK {
				err = fmt.Errorf("code %d", code)
			}
			return errors.Join(err, contains(body, "both others see the same", ip.String()))
		})
	}
	code, out, err := newViewer(t).run(t.Context(), "status") // asked by TLS, but no token arrives
	if err != nil || code != 1 || !strings.Contains(out, "the speaker asks for a token (--status-auth)") {
		t.Errorf("through the API server: code %d, %v\n%s", code, err, out)
	}
	pod, err := starling.PodOn(t.Context(), shared, n)
	if err != nil {
		t.Fatal(err)
	}
	out, err = shared.Kubectl(t.Context(), "", "-n", starling.Namespace, "exec", pod, "--", "/starling", "status")
	if err != nil || !strings.Contains(out, "default/guarded") {
		t.Errorf("status on the node: %v\n%s", err, out)
	}
}

// withStatusAuth replaces the speakers by those of the overlay until the test ends.
func withStatusAuth(t *testing.T) {
	t.Helper()
	saveLogsOnFailure(t)
	ctx := context.WithoutCancel(t.Context())
	if err := product.Remove(t.Context(), shared); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		err := errors.Join(product.Remove(ctx, shared), product.Install(ctx, shared, pools()...))
		_, deleted := shared.Kubectl(ctx, "", "delete", "clusterrolebinding", "starling-auth-delegator", "starling-reader")
		_, cleared := shared.Kubectl(ctx, "", "delete", "clusterrole", "starling-reader")
		if err := errors.Join(err, deleted, cleared); err != nil {
			t.Errorf("install the manifest again: %v", err)
		}
	})
	for input, args := range map[string][]string{
		"":     {"apply", "-k", "../manifests/overlays/status-auth"},
		reader: {"apply", "-f", "-"},
	} {
		if out, err := shared.Kubectl(t.Context(), input, args...); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	text, err := yaml.Marshal(map[string]any{"pools": asValues(pools())})
	if err != nil {
		t.Fatal(err)
	}
	if err := patchConfig(t.Context(), string(text)); err != nil {
		t.Fatal(err)
	}
	if err := starling.WaitReady(t.Context(), shared, 60*time.Second); err != nil {
		t.Fatal(err)
	}
}

// tokenOf makes a ServiceAccount until the test ends and returns a token of it.
func tokenOf(t *testing.T, name string) string {
	t.Helper()
	accounts := shared.Kube.CoreV1().ServiceAccounts(starling.Namespace)
	if _, err := accounts.Create(t.Context(), &core.ServiceAccount{ObjectMeta: meta.ObjectMeta{Name: name}}, meta.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := accounts.Delete(context.WithoutCancel(t.Context()), name, meta.DeleteOptions{}); err != nil {
			t.Error(err)
		}
	})
	token, err := accounts.CreateToken(t.Context(), name, &authentication.TokenRequest{}, meta.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return token.Status.Token
}

// secureGet asks a speaker by TLS, whose certificate it made itself, from the client.
func secureGet(ctx context.Context, n *cluster.Node, path, token string) (code int, body string, err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.Replace(starling.URL(n), "http:", "https:", 1)+path, nil)
	if err != nil {
		return 0, "", err
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	client := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true, DialContext: shared.Client.Dial, TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
	}}
	answer, err := client.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	return answer.StatusCode, string(text), err
}
