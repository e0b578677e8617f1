package arpd

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/starling-lb/starling/arpd/netif"
)

const (
	// readTimeout bounds how long a reader sleeps without looking around. More
	// than that, it is what makes a signal end a blocked read: without a timeout
	// the kernel would restart the call (signal(7), "Interruption of system calls
	// and library functions by signal handlers").
	readTimeout = 10 * time.Second

	// receiveBuffer holds some thousand questions that come at once; the kernel
	// caps it at net.core.rmem_max.
	receiveBuffer = 4 << 20
)

// linux is the kernel of a network namespace.
type linux struct{ netif.Namespace }

// Packet opens the socket without a protocol, so that no frame comes in before
// the filter stands.
func (l linux) Packet(index int, protocol uint16) (socket, error) {
	var s *packetSocket
	err := l.Inside(func() error {
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("open packet socket: %w", err)
		}
		s = &packetSocket{fd: fd}
		if err := s.prepare(index, protocol); err != nil {
			unix.Close(fd)
			return fmt.Errorf("prepare packet socket of interface %d: %w", index, err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return s, nil
}

// packetSocket is an AF_PACKET socket in plain blocking mode.
type packetSocket struct {
	fd          int
	tid         atomic.Int32 // thread of the reader, 0: none yet
	interrupted atomic.Bool
}

func (s *packetSocket) prepare(index int, protocol uint16) error {
	nothing, err := bpf.Assemble([]bpf.Instruction{bpf.RetConstant{Val: 0}})
	if err != nil {
		return fmt.Errorf("assemble empty filter: %w", err)
	}
	if err := s.Filter(nothing); err != nil {
		return err
	}
	wait := unix.NsecToTimeval(readTimeout.Nanoseconds())
	if err := unix.SetsockoptTimeval(s.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &wait); err != nil {
		return fmt.Errorf("set receive timeout: %w", err)
	}
	if err := unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_RCVBUF, receiveBuffer); err != nil {
		return fmt.Errorf("set receive buffer: %w", err)
	}
	at := unix.SockaddrLinklayer{Ifindex: index, Protocol: protocol<<8 | protocol>>8}
	if err := unix.Bind(s.fd, &at); err != nil {
		return fmt.Errorf("bind: %w", err)
	}
	return nil
}

func (s *packetSocket) Read(b []byte) (int, error) {
	if s.tid.Load() == 0 {
		s.tid.Store(int32(unix.Gettid()))
	}
	for !s.interrupted.Load() {
		n, err := unix.Read(s.fd, b)
		if err == nil {
			return n, nil
		}
		if !errors.Is(err, unix.EINTR) && !errors.Is(err, unix.EAGAIN) {
			return 0, fmt.Errorf("read packet socket: %w", err)
		}
	}
	return 0, errInterrupted
}

// drainMost bounds Drain: more frames do not fit into the buffer.
const drainMost = 1 << 16

func (s *packetSocket) Drain() int {
	var b [1]byte
	for n := range drainMost {
		if _, _, err := unix.Recvfrom(s.fd, b[:], unix.MSG_DONTWAIT); err != nil {
			return n
		}
	}
	return drainMost
}

func (s *packetSocket) Write(b []byte) error {
	if err := unix.Send(s.fd, b, unix.MSG_DONTWAIT); err != nil {
		return fmt.Errorf("write packet socket: %w", err)
	}
	return nil
}

func (s *packetSocket) Filter(prog []bpf.RawInstruction) error {
	raw := make([]unix.SockFilter, len(prog))
	for i, p := range prog {
		raw[i] = unix.SockFilter{Code: p.Op, Jt: p.Jt, Jf: p.Jf, K: p.K}
	}
	fprog := unix.SockFprog{Len: uint16(len(raw)), Filter: &raw[0]}
	if err := unix.SetsockoptSockFprog(s.fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &fprog); err != nil {
		return fmt.Errorf("attach filter of %d instructions: %w", len(raw), err)
	}
	return nil
}

// Interrupt sends the reader's thread the signal that the Go runtime itself uses
// to interrupt threads and ignores when it comes without need.
func (s *packetSocket) Interrupt() {
	s.interrupted.Store(true)
	if tid := s.tid.Load(); tid != 0 {
		// An error means that the thread is gone, and the reader with it.
		_ = unix.Tgkill(os.Getpid(), int(tid), unix.SIGURG)
	}
}

func (s *packetSocket) Close() error {
	if err := unix.Close(s.fd); err != nil {
		return fmt.Errorf("close packet socket: %w", err)
	}
	return nil
}

// Groups opens an unbound UDP socket: enough to be a member, and no capability
// is needed for it.
func (l linux) Groups() (memberships, error) {
	m := &groupSocket{fd: -1}
	err := l.Inside(func() (err error) {
		m.fd, err = unix.Socket(unix.AF_INET6, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("open multicast socket: %w", err)
	}
	return m, nil
}

type groupSocket struct{ fd int }

func (m *groupSocket) Join(index int, group netip.Addr) error {
	return m.set(unix.IPV6_JOIN_GROUP, "join", index, group)
}

func (m *groupSocket) Leave(index int, group netip.Addr) error {
	return m.set(unix.IPV6_LEAVE_GROUP, "leave", index, group)
}

func (m *groupSocket) set(option int, verb string, index int, group netip.Addr) error {
	req := unix.IPv6Mreq{Multiaddr: group.As16(), Interface: uint32(index)}
	if err := unix.SetsockoptIPv6Mreq(m.fd, unix.IPPROTO_IPV6, option, &req); err != nil {
		return fmt.Errorf("%s group %s: %w", verb, group, err)
	}
	return nil
}

func (m *groupSocket) Close() error {
	if err := unix.Close(m.fd); err != nil {
		return fmt.Errorf("close multicast socket: %w", err)
	}
	return nil
}

// Permitted reports whether the process may open packet sockets, which takes the capability
// NET_RAW.
func Permitted() error {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open a packet socket: %w", err)
	}
	return unix.Close(fd)
}
