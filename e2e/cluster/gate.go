package cluster

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	gateTable = "starling_e2e_gate"
	gatePort  = "6444"
)

// Gate stands between the pods in the network of their host, such as speakers, and the API server,
// which they know by its Service. It can be slow, and it can fail. Kubernetes' own programs go past
// it, and so do pods with a network of their own. While the API server is stopped, who goes through
// the gate gets 502, and not a refused connection.
type Gate struct {
	server *http.Server
	nodes  []*Node

	delay   atomic.Int64 // The longest that a request is held back, in nanoseconds.
	failing atomic.Int64 // How many of a hundred requests fail.
}

// AddGate makes one, until Remove. Connections that exist already go past it.
func (c *Cluster) AddGate(ctx context.Context) (*Gate, error) {
	dir := filepath.Join(c.Dir, "control")
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "apiserver.crt"), filepath.Join(dir, "apiserver.key"))
	if err != nil {
		return nil, fmt.Errorf("gate: %w", err)
	}
	ca, err := os.ReadFile(filepath.Join(dir, "ca.crt"))
	if err != nil {
		return nil, fmt.Errorf("gate: %w", err)
	}
	trusted := x509.NewCertPool()
	trusted.AppendCertsFromPEM(ca)
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "https", Host: "127.0.0.1:6443"})
	proxy.FlushInterval = -1 // Watches bring events one by one.
	proxy.Transport = &http.Transport{
		DialContext: c.control.host.Dial, TLSClientConfig: &tls.Config{RootCAs: trusted, MinVersion: tls.VersionTLS12}, MaxIdleConnsPerHost: 100,
	}
	silent := log.New(io.Discard, "", 0)
	proxy.ErrorLog = silent // What ends in the middle is what is wanted here.
	proxy.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) }
	g := &Gate{nodes: c.Nodes}
	g.server = &http.Server{
		Handler: g.handler(proxy), TLSConfig: &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12},
		ReadHeaderTimeout: time.Minute, ErrorLog: silent,
	}
	var l net.Listener
	err = c.control.host.Space.Do(func() (err error) {
		l, err = net.Listen("tcp", net.JoinHostPort(c.control.host.IP4.String(), gatePort))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("gate: %w", err)
	}
	go func() { _ = g.server.ServeTLS(l, "", "") }()
	rules := fmt.Sprintf(`table ip %s { chain out { type nat hook output priority -110; ip daddr %s tcp dport 443 dnat to %s; }; }`,
		gateTable, kubeIP, l.Addr())
	err = eachNode(c.Nodes, func(n *Node) error {
		_, err := n.Run(ctx, "nft", rules)
		return err
	})
	if err != nil {
		return nil, errors.Join(err, g.Remove(context.WithoutCancel(ctx)))
	}
	return g, nil
}

// Slow holds each request back, for a random time up to this.
func (g *Gate) Slow(most time.Duration) { g.delay.Store(int64(most)) }

// Fail has so many of a hundred requests fail with a code between 500 and 504.
func (g *Gate) Fail(percent int) { g.failing.Store(int64(percent)) }

// handler does what Slow and Fail have set. What has begun already, such as a watch, goes on.
func (g *Gate) handler(to http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if most := g.delay.Load(); most > 0 {
			select {
			case <-r.Context().Done():
				return
			case <-time.After(time.Duration(rand.Int64N(most))):
			}
		}
		if rand.Int64N(100) >= g.failing.Load() {
			to.ServeHTTP(w, r)
			return
		}
		code := []int{http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout}[rand.IntN(4)]
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		_ = json.NewEncoder(w).Encode(meta.Status{
			TypeMeta: meta.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: meta.StatusFailure, Code: int32(code),
			Message: "the gate of the test fails this request",
		})
	})
}

// Remove takes the gate away. Who goes through it is cut off, and goes past it from then on.
func (g *Gate) Remove(ctx context.Context) error {
	err := eachNode(g.nodes, func(n *Node) error {
		_, err := n.Run(ctx, "nft", "delete table ip "+gateTable)
		return err
	})
	return errors.Join(err, g.server.Close())
}
