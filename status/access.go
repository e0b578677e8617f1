package status

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

// Allow tells whose token it is, "" if no one's, and whether that user may get the path; an error
// that nobody knows. The source is the address that asks, or the network that counts as one.
type Allow func(ctx context.Context, source netip.Prefix, token, path string) (user string, allowed bool, err error)

// guard asks for a token, but for the probes, which kubelet sends without one, and on the loopback,
// where only the node itself is: kubectl exec and port-forward come that way, and have been allowed
// by the API server already. Other speakers show that they are some, see peer.go.
func guard(allow Allow, secrets Secrets, source func(*http.Request) netip.Prefix, log zerolog.Logger, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked := r.Header.Get(peerHeader); asked != "" && forPeers(r.URL.Path) {
			if key, ok := secrets.asks(asked, r.URL.Path, time.Now()); ok {
				proven(w, r, key, next)
				return
			}
		}
		if allow == nil {
			next.ServeHTTP(w, r)
			return
		}
		if r.URL.Path == "/healthz" || r.URL.Path == "/readyz" || local(r.RemoteAddr) {
			next.ServeHTTP(w, r)
			return
		}
		token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if token == "" {
			unknown(w)
			return
		}
		path := reviewed(r.URL.Path)
		user, allowed, err := allow(r.Context(), source(r), token, path)
		switch {
		case err != nil:
			log.Debug().Err(err).Msg("cannot review a token")
			plain(w, http.StatusServiceUnavailable, "the API server does not say who may ask; try again")
		case user == "":
			unknown(w)
		case !allowed:
			plain(w, http.StatusForbidden, fmt.Sprintf("%s may not get %s: a ClusterRole with this nonResourceURL and verb is needed", user, path))
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// reviewed is the path that a user must be allowed to get. Kubernetes lets everybody with a token
// get /api/*, which means its own API (ClusterRole system:discovery), so ours has another name
// there.
func reviewed(path string) string {
	if strings.HasPrefix(path, "/api") {
		return "/starling" + path
	}
	return path
}

func unknown(w http.ResponseWriter) {
	w.Header().Set("WWW-Authenticate", "Bearer")
	plain(w, http.StatusUnauthorized, "a token of this Kubernetes cluster is needed, as Authorization: Bearer TOKEN")
}

// local reports whether an address is a loopback's.
func local(addr string) bool {
	ap, err := netip.ParseAddrPort(addr)
	return err == nil && ap.Addr().Unmap().IsLoopback()
}

// secureListener speaks TLS with everybody but the loopback, on one port, so that kubectl exec and
// port-forward go on without certificates.
type secureListener struct {
	net.Listener
	config *tls.Config
}

func (l secureListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil || local(c.RemoteAddr().String()) {
		return c, err
	}
	return tls.Server(c, l.config), nil
}

// Certificate gives the certificate of a connection.
type Certificate func() (*tls.Certificate, error)

func tlsConfig(get Certificate) *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return get() },
	}
}

// certificateLook is how often files of a certificate are looked at, at most.
const certificateLook = 10 * time.Second

// CertificateFiles reads the certificate now, and again when the files have changed. Changed files
// that do not fit together leave the certificate of before.
func CertificateFiles(certFile, keyFile string) (Certificate, error) {
	cert, err := loadPair(certFile, keyFile)
	if err != nil {
		return nil, err
	}
	var mu sync.Mutex // guards the following and cert
	looked, read := time.Now(), modified(certFile, keyFile)
	return func() (*tls.Certificate, error) {
		mu.Lock()
		defer mu.Unlock()
		if time.Since(looked) < certificateLook {
			return cert, nil
		}
		looked = time.Now()
		if now := modified(certFile, keyFile); now != read {
			if fresh, err := loadPair(certFile, keyFile); err == nil {
				cert, read = fresh, now
			}
		}
		return cert, nil
	}, nil
}

func loadPair(certFile, keyFile string) (*tls.Certificate, error) {
	c, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return nil, fmt.Errorf("certificate %q with key %q: %w", certFile, keyFile, err)
	}
	return &c, nil
}

// modified changes when one of the files does.
func modified(files ...string) string {
	var all strings.Builder
	for _, f := range files {
		if info, err := os.Stat(f); err == nil {
			fmt.Fprint(&all, info.ModTime().UnixNano(), " ", info.Size(), " ")
		}
	}
	return all.String()
}

// SelfSigned makes a certificate for this process. It keeps tokens from those who only listen; who
// the server is it does not prove.
func SelfSigned(name string) (Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()),
		Subject:      pkix.Name{CommonName: name},
		DNSNames:     []string{name},
		NotBefore:    now.Add(-time.Hour),
		NotAfter:     now.AddDate(10, 0, 0),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("make a certificate for %q: %w", name, err)
	}
	cert := &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	return func() (*tls.Certificate, error) { return cert, nil }, nil
}
