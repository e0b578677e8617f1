package cluster

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"
)

// authority signs the certificates of one cluster.
type authority struct {
	cert *x509.Certificate
	pem  []byte
	key  *ecdsa.PrivateKey
}

// newAuthority makes a fresh one; its key is never written to a file.
func newAuthority() (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := certificate(pkix.Name{CommonName: "starling-e2e"})
	template.IsCA, template.BasicConstraintsValid = true, true
	template.KeyUsage |= x509.KeyUsageCertSign
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	return &authority{cert: cert, pem: pemBlock("CERTIFICATE", der), key: key}, err
}

func certificate(subject pkix.Name) *x509.Certificate {
	return &x509.Certificate{
		Subject:     subject,                      // The serial number is made by CreateCertificate.
		NotBefore:   time.Now().AddDate(0, 0, -1), // clocks of speakers jump an hour back
		NotAfter:    time.Now().AddDate(1, 0, 0),
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
}

// sign makes a key pair for a user (name and groups) or a server (names it is reached by), in PEM.
func (a *authority) sign(user string, groups []string, names ...string) (cert, key []byte, err error) {
	pair, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	template := certificate(pkix.Name{CommonName: user, Organization: groups})
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, pair.Public(), a.key)
	if err != nil {
		return nil, nil, fmt.Errorf("certificate of %s: %w", user, err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(pair)
	return pemBlock("CERTIFICATE", der), pemBlock("PRIVATE KEY", private), err
}

// write puts the certificate of a server or user into dir as NAME.crt and NAME.key.
func (a *authority) write(dir, file, user string, groups []string, names ...string) error {
	cert, key, err := a.sign(user, groups, names...)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, file+".crt"), cert, 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, file+".key"), key, 0o600)
}

// kubeconfig writes a file by which a user reaches the API server at that URL.
func (a *authority) kubeconfig(path, server, user string, groups ...string) error {
	cert, key, err := a.sign(user, groups)
	if err != nil {
		return err
	}
	text := fmt.Sprintf(`apiVersion: v1
kind: Config
current-context: e2e
contexts: [{name: e2e, context: {cluster: e2e, user: e2e}}]
clusters: [{name: e2e, cluster: {server: %q, certificate-authority-data: %s}}]
users: [{name: e2e, user: {client-certificate-data: %s, client-key-data: %s}}]
`, server, encode(a.pem), encode(cert), encode(key))
	return os.WriteFile(path, []byte(text), 0o600)
}

func encode(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

func pemBlock(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}
