package attack

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/starling-lb/starling/e2e/cluster"
)

// asker asks for addresses from the witness, one question each askEvery, and knows each answer by
// the address that it says to have, another one in each question.
type asker struct {
	socket int
	gone   *cluster.Node // Whose MAC is no answer; nil: every node's is one.
	end    func()        // Of the listening.
	stop   func()        // Of the asking.
	done   sync.WaitGroup

	mu    sync.Mutex // Guards all following fields.
	asked []time.Time
	took  map[int]time.Duration
}

const (
	askEvery = 4 * time.Millisecond
	askTime  = time.Second // That an answer may take.
)

// ask begins to ask for these addresses in turn. An answer is one with the MAC of another node than
// gone.
func ask(t *testing.T, ips []netip.Addr, gone *cluster.Node) *asker {
	t.Helper()
	a := &asker{gone: gone, socket: wire(t, witness().Host, unix.ETH_P_ARP), took: map[int]time.Duration{}}
	a.end = listen(a.socket, a.hear)
	ctx, stop := context.WithCancel(t.Context())
	a.stop = stop
	a.done.Go(func() { every(ctx, askEvery, func() { a.next(ips) }) })
	t.Cleanup(func() {
		stop()
		a.done.Wait()
		a.end()
	})
	return a
}

func (a *asker) next(ips []netip.Addr) {
	a.mu.Lock()
	i := len(a.asked)
	a.asked = append(a.asked, time.Now())
	a.mu.Unlock()
	_, _ = unix.Write(a.socket, arp(everybody, 1, witness().MAC, sender(i), make([]byte, 6), ips[i%len(ips)])) // Else it is lost.
}

// sender is the address that the question has: those of 198.18.128.0/17, which nobody has.
func sender(i int) netip.Addr {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], 0xc6128000|uint32(i)&0x7fff)
	return netip.AddrFrom4(b)
}

func (a *asker) hear(f []byte) {
	if !isARP(f, 2) {
		return
	}
	to := binary.BigEndian.Uint32(f[38:])
	if to&^0x7fff != 0xc6128000 {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	i := int(to & 0x7fff)
	if i >= len(a.asked) {
		return
	}
	if n := shared.NodeByMAC(f[22:28]); n == nil || n == a.gone {
		return
	}
	if _, twice := a.took[i]; !twice {
		a.took[i] = time.Since(a.asked[i])
	}
}

// answers is what an asker has seen.
type answers struct {
	asked, lost int
	longest     time.Duration
}

// String is for logs.
func (s answers) String() string {
	return fmt.Sprintf("%d questions for addresses, %d without an answer, the longest took %v", s.asked, s.lost, s.longest.Round(time.Millisecond))
}

// finish ends the asking and waits for late answers.
func (a *asker) finish() (s answers) {
	a.stop()
	a.done.Wait()
	for end := time.Now().Add(askTime); time.Now().Before(end); <-time.After(20 * time.Millisecond) {
		a.mu.Lock()
		all := len(a.took) == len(a.asked)
		a.mu.Unlock()
		if all {
			break
		}
	}
	a.end()
	a.mu.Lock()
	defer a.mu.Unlock()
	s = answers{asked: len(a.asked)}
	for i := range a.asked {
		took, ok := a.took[i]
		if !ok || took > askTime {
			s.lost++
		}
		s.longest = max(s.longest, took)
	}
	return s
}
