package status

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
)

// allowOne knows the token "good" of prometheus, who may get /metrics, and one of somebody with no
// rights but those that all have.
func allowOne(_ context.Context, _ netip.Prefix, token, path string) (string, bool, error) {
	switch token {
	case "good":
		return "prometheus", path == "/metrics", nil
	case "discovery":
		return "somebody", strings.HasPrefix(path, "/api/"), nil
	case "nobody knows":
		return "", false, errors.New("connection refused")
	}
	return "", false, nil
}

func TestGuard(t *testing.T) {
	t.Parallel()
	h := handle(testConfig(func(c *Config) { c.Allow = allowOne }))
	const far, near, near6 = "198.18.0.9:4000", "127.0.0.1:4000", "[::1]:4000"
	for _, tt := range []struct {
		name, from, path, header string
		code                     int
		words                    string
	}{
		{"allowed", far, "/metrics", "Bearer good", 200, ""},
		{"another path", far, "/api/v1/status", "Bearer good", 403, "prometheus may not get /starling/api/v1/status"},
		{"what Kubernetes lets everybody get of its own", far, "/api/v1/leases", "Bearer discovery", 403, "somebody may not get /starling/api/v1/leases"},
		{"page", far, "/", "Bearer good", 403, "prometheus may not get /"},
		{"made up", far, "/metrics", "Bearer bad", 401, "a token"},
		{"no token", far, "/metrics", "", 401, "a token"},
		{"password", far, "/metrics", "Basic Z29vZA==", 401, "a token"},
		{"no answer", far, "/metrics", "Bearer nobody knows", 503, "try again"},
		{"alive", far, "/healthz", "", 200, ""},
		{"ready", far, "/readyz", "", 200, ""},
		{"on the node", near, "/api/v1/status", "", 200, ""},
		{"on the node by IPv6", near6, "/api/v1/leases", "", 200, ""},
		{"mapped", "[::ffff:127.0.0.1]:4000", "/", "", 200, ""},
		{"forged loopback", far, "/api/v1/status", "", 401, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest(http.MethodGet, tt.path, http.NoBody)
			r.RemoteAddr = tt.from
			r.Header.Set("X-Forwarded-For", "127.0.0.1")
			if tt.header != "" {
				r.Header.Set("Authorization", tt.header)
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != tt.code || !strings.Contains(w.Body.String(), tt.words) {
				t.Errorf("%d %q, want %d with %q", w.Code, w.Body, tt.code, tt.words)
			}
			if (w.Code == 401) != (w.Header().Get("WWW-Authenticate") != "") {
				t.Errorf("%d with WWW-Authenticate %q", w.Code, w.Header().Get("WWW-Authenticate"))
			}
		})
	}
}

// foreign makes all connections look as if they came from another machine.
type foreign struct{ net.Listener }

func (f foreign) Accept() (net.Conn, error) {
	c, err := f.Listener.Accept()
	return foreignConn{c}, err
}

type foreignConn struct{ net.Conn }

func (foreignConn) RemoteAddr() net.Addr {
	return &net.TCPAddr{IP: net.IPv4(198, 18, 0, 9), Port: 4000}
}

// TestTLS: others are answered by TLS only.
func TestTLS(t *testing.T) {
	t.Parallel()
	cert, err := SelfSigned("n1")
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: handle(testConfig(func(c *Config) { c.Allow = allowOne })), ErrorLog: log.New(io.Discard, "", 0)}
	go func() { _ = srv.Serve(secureListener{foreign{ln}, tlsConfig(cert)}) }()
	t.Cleanup(func() { srv.Close() })
	for _, tt := range []struct {
		name, scheme string
		most         uint16 // version of TLS
		want         string
	}{
		{"TLS", "https", 0, "200 OK"},
		{"TLS 1.2", "https", tls.VersionTLS12, "200 OK"},
		{"TLS 1.1", "https", tls.VersionTLS11, "protocol version"},
		{"plain HTTP", "http", 0, "400 Bad Request"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			client := http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots(t, cert), ServerName: "n1", MinVersion: tls.VersionTLS10, MaxVersion: tt.most}}}
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, tt.scheme+"://"+ln.Addr().String()+"/metrics", http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Authorization", "Bearer good")
			got := ""
			if resp, err := client.Do(req); err != nil {
				got = err.Error()
			} else {
				got = resp.Status
				resp.Body.Close()
			}
			if !strings.Contains(got, tt.want) {
				t.Errorf("%s, want %s", got, tt.want)
			}
		})
	}
}

func roots(t *testing.T, get Certificate) *x509.CertPool {
	t.Helper()
	c, err := get()
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(c.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	return pool
}

// TestLoopbackSpeaksPlain: kubectl exec and port-forward need neither certificate nor token.
func TestLoopbackSpeaksPlain(t *testing.T) {
	t.Parallel()
	cert, err := SelfSigned("n1")
	if err != nil {
		t.Fatal(err)
	}
	logs := make(logLines, 10)
	s := New(testConfig(func(c *Config) { c.Cert, c.Allow, c.Log = cert, allowOne, zerolog.New(logs) }))
	start(t, s)
	logs.want(t, "serving the status page")
	if _, err := Get(t.Context(), "http://"+s.Addr(), snapshotPath); err != nil {
		t.Error(err)
	}
}

// TestCertificateFiles: a new certificate is taken without a restart, a broken one is not.
func TestCertificateFiles(t *testing.T) {
	certFile, keyFile := filepath.Join(t.TempDir(), "tls.crt"), filepath.Join(t.TempDir(), "tls.key")
	if _, err := CertificateFiles(certFile, keyFile); err == nil || !strings.Contains(err.Error(), certFile) {
		t.Errorf("error %v does not name the file", err)
	}
	synctest.Test(t, func(t *testing.T) {
		saveCertificate(t, "first", certFile, keyFile)
		get, err := CertificateFiles(certFile, keyFile)
		if err != nil {
			t.Fatal(err)
		}
		name := func() string {
			t.Helper()
			time.Sleep(11 * time.Second)
			c, err := get()
			if err != nil {
				t.Fatal(err)
			}
			parsed, err := x509.ParseCertificate(c.Certificate[0])
			if err != nil {
				t.Fatal(err)
			}
			return parsed.Subject.CommonName
		}
		saveCertificate(t, "second", certFile, keyFile)
		if got := name(); got != "second" {
			t.Errorf("certificate of %q after a change", got)
		}
		if err := os.WriteFile(certFile, []byte("oops"), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := name(); got != "second" {
			t.Errorf("certificate of %q after a mistake", got)
		}
		saveCertificate(t, "the third", certFile, keyFile)
		if got := name(); got != "the third" {
			t.Errorf("certificate of %q after the mistake was mended", got)
		}
	})
}

func saveCertificate(t *testing.T, name, certFile, keyFile string) {
	t.Helper()
	get, err := SelfSigned(name)
	if err != nil {
		t.Fatal(err)
	}
	c, err := get()
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: c.Certificate[0]}, keyFile: {Type: "PRIVATE KEY", Bytes: key}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
