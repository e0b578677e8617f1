package watcher

import (
	"context"
	"crypto/tls"
	"encoding/pem"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/client-go/rest"

	"github.com/starling-lb/starling/watcher/apitest"
	"github.com/starling-lb/starling/watcher/kube"
)

// A freezer is a network that can stop passing anything on, without closing connections.
type freezer struct {
	server chan net.Conn
	over   chan struct{} // closed: nothing is accepted any more

	mu     sync.Mutex
	frozen chan struct{} // closed: passing is over for the connections of that time
	dials  int
}

func newFreezer() *freezer {
	return &freezer{server: make(chan net.Conn), over: make(chan struct{}), frozen: make(chan struct{})}
}

func (f *freezer) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case f.server <- server:
	case <-f.over:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.dials++
	return &freezing{Conn: client, frozen: f.frozen, closed: make(chan struct{})}, nil
}

// freeze stops all present connections; later ones pass.
func (f *freezer) freeze() {
	f.mu.Lock()
	defer f.mu.Unlock()
	close(f.frozen)
	f.frozen = make(chan struct{})
}

func (f *freezer) dialed() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.dials
}

// Accept implements net.Listener.
func (f *freezer) Accept() (net.Conn, error) {
	select {
	case c := <-f.server:
		return c, nil
	case <-f.over:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (f *freezer) Close() error { return nil }

// Addr implements net.Listener.
func (f *freezer) Addr() net.Addr { return &net.UnixAddr{Name: "freezer"} }

type freezing struct {
	net.Conn
	frozen chan struct{}
	once   sync.Once
	closed chan struct{}
}

// Read returns nothing once frozen, what was on its way included.
func (c *freezing) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	select {
	case <-c.frozen:
		<-c.closed
		return 0, net.ErrClosed
	default:
		return n, err
	}
}

// Write seems to succeed once frozen, as into a socket's buffer.
func (c *freezing) Write(b []byte) (int, error) {
	select {
	case <-c.frozen:
		return len(b), nil
	default:
		return c.Conn.Write(b)
	}
}

// Close implements net.Conn.
func (c *freezing) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}

// TestDeadConnection: a connection on which nothing arrives any more, and which nobody closes, is
// given up within seconds, and the watches are resumed on another.
func TestDeadConnection(t *testing.T) {
	ts := httptest.NewTLSServer(nil)
	certificate, ca := ts.TLS.Certificates[0], ts.Certificate()
	ts.Close()
	synctest.Test(t, func(t *testing.T) {
		srv, net := apitest.New(), newFreezer()
		web := &http.Server{Handler: srv, ErrorLog: log.New(io.Discard, "", 0), TLSConfig: &tls.Config{Certificates: []tls.Certificate{certificate}}}
		go func() { _ = web.ServeTLS(net, "", "") }()
		t.Cleanup(func() { close(net.over); web.Close() })
		srv.Before(func(q *http.Request, _ apitest.Request) error {
			if q.ProtoMajor != 2 {
				t.Errorf("%s instead of HTTP/2", q.Proto)
			}
			return nil
		})
		w := start(t, &rest.Config{
			Host: "https://example.com", Dial: net.dial,
			TLSClientConfig: rest.TLSClientConfig{CAData: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.Raw})},
		})
		srv.Create(lb("there"))
		w.has("there")
		w.awaitSynced()
		synctest.Wait()
		dials := net.dialed()
		for range 60 { // an idle connection stays
			time.Sleep(time.Second)
		}
		if n := net.dialed() - dials; n != 0 {
			t.Fatalf("%d new connections while idle", n)
		}
		net.freeze()
		srv.Create(lb("a"))
		begin := time.Now()
		w.has("a", "there")
		if took := time.Since(begin); took > kube.PingIdle+kube.PingAnswer+time.Second {
			t.Errorf("noticed after %s", took)
		}
		if diff := asked(srv); len(diff) != 3 || diff[1] != "head" || diff[2] != "watch" {
			t.Errorf("asked %q, want the watch resumed", diff)
		}
		if err := w.end(); err != nil {
			t.Error(err)
		}
	})
}
