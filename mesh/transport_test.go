package mesh

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/memberlist"
)

func listenTest(t *testing.T, bind string) *transport {
	t.Helper()
	tr, err := listenTransport(netip.MustParseAddrPort(bind))
	if err != nil {
		t.Fatalf("listen on %s: %v", bind, err)
	}
	t.Cleanup(func() {
		if err := tr.Shutdown(); err != nil && !errors.Is(err, net.ErrClosed) {
			t.Errorf("shutdown: %v", err)
		}
	})
	return tr.(*transport)
}

func (w *transport) at() string { return w.tcp.Addr().String() }

func TestWireDatagrams(t *testing.T) {
	for _, bind := range []string{"127.0.0.2:0", "[::1]:0"} {
		a, b := listenTest(t, bind), listenTest(t, bind)
		for _, text := range []string{"first", "second"} {
			if _, err := a.WriteTo([]byte(text), b.at()); err != nil {
				t.Fatal(err)
			}
		}
		first := <-b.PacketCh()
		second := <-b.PacketCh() // Must not have overwritten the first.
		if string(first.Buf) != "first" || string(second.Buf) != "second" || first.From.String() != a.udp.LocalAddr().String() {
			t.Errorf("%s: got %q, %q from %s, want them from %s", bind, first.Buf, second.Buf, first.From, a.udp.LocalAddr())
		}
		if cap(first.Buf) > 64 {
			t.Errorf("%s: a buffer of %d bytes is kept for 5", bind, cap(first.Buf))
		}
		if age := time.Since(first.Timestamp); age < 0 || age > time.Minute {
			t.Errorf("%s: received %v ago", bind, age)
		}
	}
}

// One socket for both families.
func TestWireUnspecified(t *testing.T) {
	all, four := listenTest(t, "[::]:0"), listenTest(t, "127.0.0.2:0")
	port := all.tcp.Addr().(*net.TCPAddr).Port
	if _, err := four.WriteTo([]byte("there"), netip.AddrPortFrom(loopback(1).Addr(), uint16(port)).String()); err != nil {
		t.Fatal(err)
	}
	p := <-all.PacketCh()
	if got := p.From.String(); got != four.udp.LocalAddr().String() {
		t.Errorf("datagram from %s, want plain %s", got, four.udp.LocalAddr())
	}
	if _, err := all.WriteTo([]byte("back"), p.From.String()); err != nil {
		t.Fatal(err)
	}
	if p := <-four.PacketCh(); string(p.Buf) != "back" {
		t.Errorf("got %q", p.Buf)
	}
	c, err := all.DialTimeout(four.at(), time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

func TestWireStreams(t *testing.T) {
	a, b := listenTest(t, "127.0.0.2:0"), listenTest(t, "127.0.0.3:0")
	go func() {
		c := <-b.StreamCh()
		_, _ = io.Copy(c, c)
		_ = c.Close()
	}()
	c, err := a.DialTimeout(b.at(), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if got := c.LocalAddr().(*net.TCPAddr).IP.String(); got != "127.0.0.2" {
		t.Errorf("dialled from %s, want the address that is listened on", got)
	}
	if _, err := c.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 5)
	if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, []byte("hello")) {
		t.Fatalf("echo %q, %v", got, err)
	}
	if len(a.open) != 1 {
		t.Errorf("%d connections are open, want 1", len(a.open))
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if err := c.Close(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("second Close: %v", err)
	}
	if len(a.open) != 0 {
		t.Errorf("%d connections are open after Close", len(a.open))
	}
}

func TestWireAdvertise(t *testing.T) {
	w := listenTest(t, "127.0.0.2:0")
	port := w.tcp.Addr().(*net.TCPAddr).Port
	tests := []struct {
		ip       string
		port     int
		want     string
		wantPort int
		fails    bool
	}{
		{"", 0, "127.0.0.2", port, false},
		{"", 99, "127.0.0.2", port, false},
		{"198.18.0.1", 99, "198.18.0.1", 99, false},
		{"198.18.0.1", 0, "198.18.0.1", port, false},
		{"2001:db8::1", 99, "2001:db8::1", 99, false},
		{"node", 99, "<nil>", 0, true},
	}
	for _, tt := range tests {
		ip, p, err := w.FinalAdvertiseAddr(tt.ip, tt.port)
		if ip.String() != tt.want || p != tt.wantPort || (err != nil) != tt.fails {
			t.Errorf("%q %d: %s %d %v, want %s %d", tt.ip, tt.port, ip, p, err, tt.want, tt.wantPort)
		}
	}
	if ip, _, _ := w.FinalAdvertiseAddr("", 0); len(ip) != 4 {
		t.Errorf("an IPv4 address has %d bytes: two notations of one address would conflict", len(ip))
	}
}

func TestWireErrors(t *testing.T) {
	w := listenTest(t, "127.0.0.2:0")
	if _, err := w.WriteTo(nil, "node:1"); err == nil {
		t.Error("sent to a name")
	}
	// The kernel sends nothing from a loopback address to elsewhere.
	_, err := w.WriteTo([]byte("x"), "198.18.0.9:9")
	if e, ok := err.(*net.OpError); !ok || e.Op != "write" { //nolint:errorlint // memberlist looks at the very type.
		t.Errorf("error %#v of sending, want a bare *net.OpError", err)
	}
	closed := listenTest(t, "127.0.0.3:0")
	at := closed.at()
	if err := closed.Shutdown(); err != nil {
		t.Fatal(err)
	}
	if _, err := w.DialTimeout(at, time.Second); !errors.Is(err, errNoAnswer) || !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("error %v of dialing a closed port, want no answer, refused", err)
	}
	if _, err := closed.DialTimeout(w.at(), time.Second); !errors.Is(err, errNoAnswer) {
		t.Errorf("error %v of dialing after shutdown", err)
	}
}

func TestWireBusyPort(t *testing.T) {
	w := listenTest(t, "127.0.0.2:0")
	at := netip.MustParseAddrPort(w.at())
	if _, err := listenTransport(at); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("both busy: %v", err)
	}
	if err := w.tcp.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := listenTransport(at); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("only udp busy: %v", err)
	}
	l, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(at))
	if err != nil {
		t.Fatalf("the failed attempt keeps the tcp port: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := listenTransport(netip.MustParseAddrPort("198.18.99.99:7927")); !errors.Is(err, syscall.EADDRNOTAVAIL) {
		t.Errorf("address of nobody: %v", err)
	}
}

func TestWireShutdownEndsEverything(t *testing.T) {
	a, b := listenTest(t, "127.0.0.2:0"), listenTest(t, "127.0.0.3:0")
	out, err := a.DialAddressTimeout(memberlist.Address{Addr: b.at()}, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	in := <-b.StreamCh()
	if _, err := b.WriteTo([]byte("unread"), a.at()); err != nil { // The receiver is stuck handing it over.
		t.Fatal(err)
	}
	begin := time.Now()
	if err := a.Shutdown(); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	if took := time.Since(begin); took > atMost {
		t.Errorf("Shutdown took %v", took)
	}
	if _, err := out.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("read of our own connection: %v", err)
	}
	if _, err := in.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("read on the other side: %v", err)
	}
}
