package mesh

import (
	"bytes"
	"context"
	"encoding/binary"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"golang.org/x/time/rate"
)

// flooder opens streams that carry the label, say that they are encrypted and 19 MB long, and send
// 50 MB a second in all, until end.
type flooder struct {
	tasks sync.WaitGroup
	ctx   context.Context
	stop  context.CancelFunc
	pace  *rate.Limiter // Of streams and of pieces of junk.
}

// piece is how much is sent at once.
const piece = 64 << 10

func flood(from netip.Addr, to netip.AddrPort, streams int) *flooder {
	f := &flooder{pace: rate.NewLimiter(50<<20/piece, 128)}
	f.ctx, f.stop = context.WithCancel(context.Background())
	head := binary.BigEndian.AppendUint32([]byte("\xf4\x07cluster\x0a"), 19<<20)
	junk := bytes.Repeat([]byte{0xa5}, piece)
	for range streams {
		f.tasks.Go(func() {
			for f.send(from, to, head, junk) {
			}
		})
	}
	return f
}

// send uses one stream until it breaks, and returns false at the end of the flood.
func (f *flooder) send(from netip.Addr, to netip.AddrPort, head, junk []byte) bool {
	d := net.Dialer{Timeout: time.Second, LocalAddr: &net.TCPAddr{IP: from.AsSlice()}}
	if f.pace.Wait(f.ctx) != nil {
		return false
	}
	if c, err := d.DialContext(f.ctx, "tcp", to.String()); err == nil {
		_ = c.SetDeadline(time.Now().Add(2 * time.Second))
		_, err = c.Write(head)
		for err == nil && f.pace.Wait(f.ctx) == nil {
			_, err = c.Write(junk)
		}
		_ = c.Close()
	}
	return f.ctx.Err() == nil
}

func (f *flooder) end() {
	f.stop()
	f.tasks.Wait()
}

// TestSocketsFlood: whoever knows the label and no key fills at most the room that strangers have,
// also from the address of a member's node; meanwhile members exchange their states, and one joins.
func TestSocketsFlood(t *testing.T) {
	for name, from := range map[string]string{"a stranger": "127.0.0.50", "from a member's node": "127.0.0.2"} {
		t.Run(name, func(t *testing.T) {
			n1 := runPeer(t, Config{Name: "n1", Bind: loopback(1), Keys: keysOf(1)})
			n2 := runPeer(t, Config{Name: "n2", Bind: loopback(2), Keys: keysOf(1), Seeds: through(n1)})
			n1.until("n2", func() bool { return n1.sees("n2") == Alive })
			f := flood(netip.MustParseAddr(from), n1.at(), 128)
			most := watchHeap(t)
			n1.until("streams that are refused", func() bool { return testutil.ToFloat64(n1.metrics.rejected.WithLabelValues(string(kindExcess))) > 500 })
			n3 := runPeer(t, Config{Name: "n3", Bind: loopback(3), Keys: keysOf(1), Seeds: through(n1)})
			n1.until("n3 in spite of it", func() bool { return n1.sees("n3") == Alive && n3.sees("n2") == Alive })
			f.end()
			if got := most(); got > 96<<20 {
				t.Errorf("the heap grew to %d MB", got>>20)
			}
			if n2.sees("n1") != Alive || n1.sees("n2") != Alive {
				t.Error("members lost each other")
			}
		})
	}
}

// watchHeap returns a function that ends the watch and returns the largest heap in bytes since.
func watchHeap(t *testing.T) (most func() uint64) {
	t.Helper()
	var largest uint64
	end, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			largest = max(largest, m.HeapAlloc)
			select {
			case <-tick.C:
			case <-end:
				return
			}
		}
	}()
	return func() uint64 {
		close(end)
		<-done
		return largest
	}
}
