package attack

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/starling-lb/starling/e2e/cluster"
)

// A flood comes from so many addresses of the stranger, since one alone gets few places, by so many
// threads.
const (
	floodFrom    = 16
	floodThreads = 4
	floodStep    = 10 * time.Millisecond
	piece        = 64 << 10 // Bytes that are sent at once.
)

// sources are addresses that the stranger gives to itself.
func sources(t *testing.T) (all []netip.Addr) {
	t.Helper()
	ip := shared.Client.IP4
	for range floodFrom {
		ip = ip.Next()
		if err := shared.Client.Take(ip); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = shared.Client.GiveUp(ip) })
		all = append(all, ip)
	}
	return all
}

// flood is an attack that goes on until end is called.
type flood struct {
	from   []netip.Addr
	to     unix.SockaddrInet4
	tasks  sync.WaitGroup
	ctx    context.Context
	stop   context.CancelFunc
	next   atomic.Uint64 // Of the sources.
	opened atomic.Int64
	bytes  atomic.Int64
}

func newFlood(t *testing.T, from []netip.Addr, n *cluster.Node, port int) *flood {
	t.Helper()
	f := &flood{from: from, to: unix.SockaddrInet4{Port: port, Addr: n.IP4.As4()}}
	f.ctx, f.stop = context.WithCancel(t.Context())
	t.Cleanup(f.end)
	return f
}

// end may be called more than once.
func (f *flood) end() {
	f.stop()
	f.tasks.Wait()
}

// thread runs a function among the stranger's sockets.
func (f *flood) thread(work func()) {
	f.tasks.Go(func() {
		_ = shared.Client.Space.Do(func() error { // Its namespace is there as long as the cluster.
			work()
			return nil
		})
	})
}

// open opens a connection from the next source. It is called by a thread.
func (f *flood) open() (fd int, err error) {
	if fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0); err != nil {
		return 0, err
	}
	from := f.from[f.next.Add(1)%uint64(len(f.from))]
	for _, step := range []func() error{
		func() error {
			return unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &unix.Timeval{Usec: 300_000})
		},
		func() error { return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 4<<10) },
		func() error { return unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1) },
		func() error { return unix.Bind(fd, &unix.SockaddrInet4{Addr: from.As4()}) },
		func() error { return unix.Connect(fd, &f.to) },
	} {
		if err := step(); err != nil {
			_ = unix.Close(fd)
			return 0, err
		}
	}
	f.opened.Add(1)
	return fd, nil
}

// crowd opens so many connections a second, sends a request by each, and neither reads nor closes
// any that the speaker keeps.
func crowd(t *testing.T, from []netip.Addr, n *cluster.Node, path string, rate int) *flood {
	t.Helper()
	f := newFlood(t, from, n, 7928)
	request := fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", path, n.Name)
	each := rate * int(floodStep/time.Millisecond) / 1000 / floodThreads
	for range floodThreads {
		f.thread(func() {
			var kept []int
			every(f.ctx, floodStep, func() {
				for range each {
					if fd, err := f.open(); err == nil {
						_ = unix.Send(fd, request, unix.MSG_NOSIGNAL)
						kept = append(kept, fd)
					}
				}
				kept = sweep(kept)
			})
			for _, fd := range kept {
				_ = unix.Close(fd)
			}
		})
	}
	return f
}

// sweep closes what the other side has closed.
func sweep(all []int) (open []int) {
	var b [1]byte
	for _, fd := range all {
		n, _, err := unix.Recvfrom(fd, b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
		if n > 0 || errors.Is(err, unix.EAGAIN) {
			open = append(open, fd)
			continue
		}
		_ = unix.Close(fd)
	}
	return open
}

// streams keeps up streams to the gossip port that carry the label, say that they are encrypted and
// 19 MB long, and send so many bytes a second in all. What is refused is opened again, as many
// times in a second as there are streams.
func streams(t *testing.T, from []netip.Addr, n *cluster.Node, label string, width, rate int) *flood {
	t.Helper()
	f := newFlood(t, from, n, gossipPort)
	const message, encrypted = 244, 10 // As memberlist marks a label and what is encrypted.
	head := append([]byte{message, byte(len(label))}, label...)
	head = binary.BigEndian.AppendUint32(append(head, encrypted), 19<<20)
	junk := bytes.Repeat([]byte{0xa5}, piece)

	pieces, dials, dialed := f.pace(rate/piece), f.pace(width), make(chan net.Conn)
	for range floodThreads {
		f.thread(func() { f.dial(dials, dialed) })
	}
	for range width {
		f.tasks.Go(func() {
			for {
				select {
				case c := <-dialed:
					f.pour(c, head, junk, pieces)
				case <-f.ctx.Done():
					return
				}
			}
		})
	}
	return f
}

// pace gives leave so many times a second. What nobody took within a second is lost.
func (f *flood) pace(rate int) <-chan struct{} {
	leave := make(chan struct{}, rate)
	f.tasks.Go(func() {
		due := float64(rate) // The first second's at once.
		every(f.ctx, floodStep, func() {
			for ; due >= 1; due-- {
				select {
				case leave <- struct{}{}:
				default:
				}
			}
			due += float64(rate) * floodStep.Seconds()
		})
	})
	return leave
}

// dial opens connections, at a pace, for who takes them.
func (f *flood) dial(leave <-chan struct{}, dialed chan<- net.Conn) {
	for {
		select {
		case <-leave:
		case <-f.ctx.Done():
			return
		}
		fd, err := f.open()
		if err != nil {
			continue
		}
		file := os.NewFile(uintptr(fd), "stream")
		c, err := net.FileConn(file)
		_ = file.Close()
		if err != nil {
			continue
		}
		select {
		case dialed <- c:
		case <-f.ctx.Done():
			_ = c.Close()
			return
		}
	}
}

// pour sends by a stream until it breaks.
func (f *flood) pour(c net.Conn, head, junk []byte, pieces <-chan struct{}) {
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(2 * time.Second))
	_, err := c.Write(head)
	for err == nil {
		select {
		case <-pieces:
			var n int
			n, err = c.Write(junk)
			f.bytes.Add(int64(n))
		case <-f.ctx.Done():
			return
		}
	}
}
