package bgp

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/starling-lb/starling/routes"
)

// dialTime is how long a connection may take to come about. A kernel that gets no reply to ARP says
// so after three seconds.
const dialTime = 5 * time.Second

// neighborTTL is the TTL of packets to a neighbor: a router that demands that no router lies
// between (RFC 5082) takes nothing else, and all others take it too.
const neighborTTL = 255

// dial connects to a router.
func dial(ctx context.Context, r routes.Router) (net.Conn, error) {
	d := net.Dialer{
		Timeout: dialTime, KeepAlive: -1,
		Control: control(func(fd int) error { return prepare(fd, r) }),
	}
	if r.Source.IsValid() {
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(r.Source, 0))
	}
	return d.DialContext(ctx, "tcp", net.JoinHostPort(r.Address.String(), strconv.Itoa(int(r.Port))))
}

// localOf is the address of this node in a connection, the zero one if it has none.
func localOf(conn net.Conn) netip.Addr {
	if at, ok := conn.LocalAddr().(*net.TCPAddr); ok {
		return at.AddrPort().Addr().Unmap().WithZone("")
	}
	return netip.Addr{}
}

// control calls f with a socket before it connects.
func control(f func(fd int) error) func(network, address string, c syscall.RawConn) error {
	return func(_, _ string, c syscall.RawConn) error {
		var err error
		if e := c.Control(func(fd uintptr) { err = f(int(fd)) }); e != nil {
			return e
		}
		return err
	}
}

// prepare sets TTL and password.
func prepare(fd int, r routes.Router) error {
	ttl := neighborTTL
	if r.Multihop > 0 {
		ttl = int(r.Multihop)
	}
	if err := setTTL(fd, r.Address, ttl); err != nil {
		return err
	}
	if r.Password == "" {
		return nil
	}
	if len(r.Password) > unix.TCP_MD5SIG_MAXKEYLEN {
		return fmt.Errorf("the password has %d bytes, and the kernel takes %d", len(r.Password), unix.TCP_MD5SIG_MAXKEYLEN)
	}
	if err := unix.SetsockoptTCPMD5Sig(fd, unix.IPPROTO_TCP, unix.TCP_MD5SIG, signature(r)); err != nil {
		return fmt.Errorf("set the password (TCP MD5): %w", err)
	}
	return nil
}

func setTTL(fd int, to netip.Addr, ttl int) error {
	level, option := unix.IPPROTO_IP, unix.IP_TTL
	if to.Is6() {
		level, option = unix.IPPROTO_IPV6, unix.IPV6_UNICAST_HOPS
	}
	if err := unix.SetsockoptInt(fd, level, option, ttl); err != nil {
		return fmt.Errorf("set the TTL to %d: %w", ttl, err)
	}
	return nil
}

// signature is the password in the shape that the kernel wants it in.
func signature(r routes.Router) *unix.TCPMD5Sig {
	s := &unix.TCPMD5Sig{Keylen: uint16(len(r.Password))}
	copy(s.Key[:], r.Password)
	if r.Address.Is4() {
		s.Addr.Family = unix.AF_INET
		a := r.Address.As4()
		copy(s.Addr.Data[2:], a[:])
		return s
	}
	s.Addr.Family = unix.AF_INET6
	a := r.Address.As16()
	copy(s.Addr.Data[6:], a[:])
	return s
}
