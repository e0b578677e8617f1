package cluster

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// TestKubeconfig logs in to a server by a written kubeconfig, over TLS with certificates of both
// sides.
func TestKubeconfig(t *testing.T) {
	ca, err := newAuthority()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := ca.write(dir, "server", "server", nil, "127.0.0.1", "example.org"); err != nil {
		t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "server.crt"), filepath.Join(dir, "server.key"))
	if err != nil {
		t.Fatal(err)
	}
	trusted := x509.NewCertPool()
	trusted.AddCert(ca.cert)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		subject := r.TLS.PeerCertificates[0].Subject
		if subject.CommonName != "somebody" || subject.Organization[0] != "some" {
			w.WriteHeader(http.StatusForbidden)
		}
	}))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, ClientCAs: trusted, ClientAuth: tls.RequireAndVerifyClientCert}
	server.StartTLS()
	defer server.Close()
	for group, want := range map[string]int{"some": http.StatusOK, "others": http.StatusForbidden} {
		path := filepath.Join(dir, group)
		if err := ca.kubeconfig(path, server.URL, "somebody", group); err != nil {
			t.Fatal(err)
		}
		if got := login(t, path, server.URL); got != want {
			t.Errorf("group %s: status %d, want %d", group, got, want)
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("a kubeconfig holds a key, but its mode is %v, %v", info.Mode(), err)
		}
	}
}

func login(t *testing.T, kubeconfig, url string) int {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	return answer.StatusCode
}

func TestServerNames(t *testing.T) {
	ca, err := newAuthority()
	if err != nil {
		t.Fatal(err)
	}
	pem, _, err := ca.sign("server", nil, "127.0.0.1", "2001:db8::1", "example.org")
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(pem, mustKey(t, ca))
	if err == nil {
		t.Fatal("the key of another certificate fits", pair)
	}
	path := filepath.Join(t.TempDir(), "no", "folder")
	if err := ca.write(path, "x", "x", nil); !os.IsNotExist(err) {
		t.Errorf("write without folder: %v", err)
	}
	if err := ca.kubeconfig(path, "https://x", "x"); !os.IsNotExist(err) {
		t.Errorf("kubeconfig without folder: %v", err)
	}
}

func mustKey(t *testing.T, ca *authority) []byte {
	t.Helper()
	_, key, err := ca.sign("other", nil)
	if err != nil {
		t.Fatal(err)
	}
	return key
}
