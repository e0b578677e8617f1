package cluster

import (
	"errors"
	"net/netip"
	"os"
	"testing"
	"time"
)

// replies sends so many datagrams and counts the answers, until none has come for a while.
func replies(t *testing.T, from *Host, address string, count int) (got int) {
	t.Helper()
	conn, err := from.Dial(t.Context(), "udp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	buf := make([]byte, 1)
	take := func(patience time.Duration) bool {
		_ = conn.SetReadDeadline(time.Now().Add(patience))
		_, err := conn.Read(buf)
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal(err)
		}
		return err == nil
	}
	for range count {
		if _, err := conn.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		for take(time.Millisecond) {
			got++
		}
	}
	for take(300 * time.Millisecond) {
		got++
	}
	return got
}

// TestImpair: the switch loses or repeats frames of one host, and none after that.
func TestImpair(t *testing.T) {
	_, a, b := wire(t)
	serve(t, b, "7")
	address := netip.AddrPortFrom(b.IP4, 7).String()
	soon(t, a, address)
	const count = 400
	for _, tt := range []struct {
		name        string
		act         func() error
		least, most int
	}{
		{"nothing", func() error { return nil }, count, count},
		{"a fifth lost, there and back", func() error { return b.Lose(t.Context(), 20) }, count * 50 / 100, count * 78 / 100},
		{"as before", func() error { return b.EndImpair(t.Context()) }, count, count},
		{"half of them twice", func() error { return b.Repeat(t.Context(), 50) }, count * 130 / 100, count * 300 / 100},
		{"as before again", func() error { return b.EndImpair(t.Context()) }, count, count},
	} {
		if err := tt.act(); err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		got := replies(t, a, address, count)
		t.Logf("%s: %d answers to %d datagrams", tt.name, got, count)
		if got < tt.least || got > tt.most {
			t.Errorf("%s: %d answers to %d datagrams, want %d to %d", tt.name, got, count, tt.least, tt.most)
		}
	}
}
