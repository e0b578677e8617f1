package attack

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// ghosts are made-up members.
type ghosts struct {
	end        func()
	sent, acks atomic.Int64
}

// haunt tells every speaker of made-up members, all of them once a second, and answers when these
// are pinged, until end is called.
func haunt(t *testing.T, as gossiper) *ghosts {
	t.Helper()
	var conn *net.UDPConn
	err := shared.Client.Space.Do(func() (err error) {
		conn, err = net.ListenUDP("udp4", &net.UDPAddr{IP: shared.Client.IP4.AsSlice()})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	at := conn.LocalAddr().(*net.UDPAddr).AddrPort()
	ctx, stop := context.WithCancel(t.Context())
	g := &ghosts{}
	var tasks sync.WaitGroup
	next := 0
	tasks.Go(func() {
		every(ctx, 10*time.Millisecond, func() {
			for range madeUp / 100 {
				d := as.seal(alive(madeUpName(next%madeUp), uint32(1+next/madeUp), at, says(next%madeUp)))
				for _, n := range shared.Nodes {
					_, _ = conn.WriteToUDPAddrPort(d, netip.AddrPortFrom(n.IP4, gossipPort)) // They are sent again.
					g.sent.Add(1)
				}
				next++
			}
		})
	})
	tasks.Go(func() { g.answer(conn, as) })
	g.end = sync.OnceFunc(func() {
		stop()
		conn.Close()
		tasks.Wait()
	})
	t.Cleanup(g.end)
	return g
}

// answer answers pings until the socket is closed.
func (g *ghosts) answer(conn *net.UDPConn, as gossiper) {
	buffer := make([]byte, 64<<10)
	for {
		size, from, err := conn.ReadFromUDPAddrPort(buffer)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil || as.code == nil {
			continue
		}
		for _, m := range as.open(buffer[:size]) {
			if a, ok := ack(m); ok {
				_, _ = conn.WriteToUDPAddrPort(as.seal(a), from) // A ping comes again.
				g.acks.Add(1)
			}
		}
	}
}
