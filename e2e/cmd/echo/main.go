// Command echo is the workload of the tests: it says which pod on which node was reached, and from
// where.
//
// It listens by TCP and UDP on each port given as argument (default 8080), on every address of its
// pod (POD_IPS, else all). A TCP client gets one line and the end of the stream; a UDP client gets
// the same line followed by its own datagram. The line is "pod node client-address:port\n". An HTTP
// request is answered as such.
package main

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"log"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

func main() {
	ports := os.Args[1:]
	if len(ports) == 0 {
		ports = []string{"8080"}
	}
	for host := range strings.SplitSeq(os.Getenv("POD_IPS"), ",") {
		for _, port := range ports {
			if err := serve(net.JoinHostPort(host, port)); err != nil {
				log.Fatal(err)
			}
		}
	}
	end := make(chan os.Signal, 1)
	signal.Notify(end, unix.SIGTERM, unix.SIGINT)
	<-end
}

// serve starts listening on addr by both protocols; errors after that end the process.
func serve(addr string) error {
	stream, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	packets, err := net.ListenPacket("udp", addr)
	if err != nil {
		return err
	}
	// What came while this process got no processor is not lost. The kernel may give less.
	if err := packets.(*net.UDPConn).SetReadBuffer(4 << 20); err != nil {
		return err
	}
	go func() { log.Fatal(serveTCP(stream)) }()
	go func() { log.Fatal(serveUDP(packets)) }()
	return nil
}

func serveTCP(l net.Listener) error {
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		go answer(c)
	}
}

// answer waits shortly for an HTTP request, so that plain clients, which send nothing, are answered
// at once when they close their side. A client that says HOLD gets back what it sends, as long as
// it likes.
func answer(c net.Conn) {
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	text, in := line(c.RemoteAddr()), bufio.NewReader(c)
	request, err := in.ReadString('\n')
	if err == nil && request == "HOLD\n" {
		_ = c.SetDeadline(time.Time{})
		_, _ = io.Copy(c, in)
		return
	}
	if err == nil && strings.Contains(request, "HTTP/") {
		fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n", len(text))
	}
	fmt.Fprint(c, text)
}

func serveUDP(p net.PacketConn) error {
	buf := make([]byte, 2048)
	for {
		n, from, err := p.ReadFrom(buf)
		if err != nil {
			return err
		}
		_, _ = p.WriteTo(append([]byte(line(from)), buf[:n]...), from)
	}
}

func line(from net.Addr) string {
	client := from.String()
	if a, err := netip.ParseAddrPort(client); err == nil {
		client = netip.AddrPortFrom(a.Addr().Unmap(), a.Port()).String()
	}
	return fmt.Sprintf("%s %s %s\n", cmp.Or(os.Getenv("POD_NAME"), "-"), cmp.Or(os.Getenv("NODE_NAME"), "-"), client)
}
