package probe

import (
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Holder keeps connections open on which bytes go to and fro, and counts those that were cut.
type Holder struct {
	stop  context.CancelFunc
	done  sync.WaitGroup
	all   int
	cut   atomic.Int64
	bytes atomic.Int64
	wait  atomic.Int64 // longest for a byte to come back, in nanoseconds
}

// holdEvery is the time between two bytes of a connection, holdPatience how long one may take until the connection
// counts as cut: TCP sends again what was lost.
const (
	holdEvery    = 50 * time.Millisecond
	holdPatience = 20 * time.Second
)

// Hold opens so many connections to an echo server, and returns when each has brought back a byte.
func Hold(ctx context.Context, config Config, connections int) (*Holder, error) {
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	h := &Holder{stop: stop, all: connections}
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
	for took := int64(time.Since(begun)); ; {
		longest := h.wait.Load()
		if took <= longest || h.wait.CompareAndSwap(longest, took) {
			return nil
		}
	}
}

// Held is what a Holder has seen.
type Held struct {
	Connections, Cut, Bytes int
	Wait                    time.Duration // Longest that a byte took.
}

// String is one line for people.
func (h Held) String() string {
	return fmt.Sprintf("%d of %d connections cut, %d bytes to and fro, the longest took %v", h.Cut, h.Connections, h.Bytes, h.Wait.Round(time.Millisecond))
}

// Stop closes the connections and reports.
func (h *Holder) Stop() Held {
	h.stop()
	h.done.Wait()
	return Held{h.all, int(h.cut.Load()), int(h.bytes.Load()), time.Duration(h.wait.Load())}
}
