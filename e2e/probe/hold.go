package probe

import (
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Holder keeps connections open on which bytes go back and forth, and counts those that were cut.
type Holder struct {
	stop  context.CancelFunc
	done  sync.WaitGroup
	all   int
	cut   atomic.Int64
	bytes atomic.Int64
	begun time.Time

	mu        sync.Mutex    // Guards all following fields.
	wait      time.Duration // Longest for a byte to come back.
	slowestAt time.Duration // When that byte was sent, after begun.
}

// holdEvery is the time between two bytes of a connection, holdPatience how long one may take until
// the connection counts as cut: TCP sends again what was lost.
const (
	holdEvery    = 50 * time.Millisecond
	holdPatience = 20 * time.Second
)

// Hold opens so many connections to an echo server, and returns when each has brought back a byte.
func Hold(ctx context.Context, config Config, connections int) (*Holder, error) {
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	h := &Holder{stop: stop, all: connections, begun: time.Now()}
	for i := range connections {
		c, err := config.Dial(ctx, "tcp", config.Address)
		if err == nil {
			_, err = c.Write([]byte("HOLD\n"))
		}
		if err == nil {
			err = h.exchange(c)
		}
		if err != nil {
			h.Stop()
			return nil, fmt.Errorf("connection %d of %d to %s: %w", i+1, connections, config.Address, err)
		}
		h.done.Go(func() { h.hold(running, c) })
	}
	return h, nil
}

// hold exchanges bytes until the connection breaks or the Holder is stopped.
func (h *Holder) hold(ctx context.Context, c net.Conn) {
	defer c.Close()
	tick := time.NewTicker(holdEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := h.exchange(c); err != nil {
				h.cut.Add(1)
				return
			}
		}
	}
}

// exchange sends a byte and waits until it is back.
func (h *Holder) exchange(c net.Conn) error {
	begun, b := time.Now(), []byte{'x'}
	if err := c.SetDeadline(begun.Add(holdPatience)); err != nil {
		return err
	}
	if _, err := c.Write(b); err != nil {
		return err
	}
	if _, err := c.Read(b); err != nil {
		return err
	}
	h.bytes.Add(1)
	h.mu.Lock()
	defer h.mu.Unlock()
	if took := time.Since(begun); took > h.wait {
		h.wait, h.slowestAt = took, begun.Sub(h.begun)
	}
	return nil
}

// Held is what a Holder has seen.
type Held struct {
	Connections, Cut, Bytes int
	Wait                    time.Duration // Longest that a byte took.
	SlowestAt               time.Duration // When that byte was sent, after the beginning.
}

// String is one line for people.
func (h Held) String() string {
	return fmt.Sprintf("%d of %d connections cut, %d bytes back and forth, the longest took %v, %v after the beginning",
		h.Cut, h.Connections, h.Bytes, h.Wait.Round(time.Millisecond), h.SlowestAt.Round(time.Millisecond))
}

// Stop closes the connections and reports.
func (h *Holder) Stop() Held {
	h.stop()
	h.done.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	return Held{h.all, int(h.cut.Load()), int(h.bytes.Load()), h.wait, h.slowestAt}
}
