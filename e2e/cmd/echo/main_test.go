package main

import (
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"
)

// start runs the program's servers on the loopback and returns their address.
func start(t *testing.T) string {
	t.Helper()
	t.Setenv("POD_NAME", "pod")
	t.Setenv("NODE_NAME", "n1")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	if err := serve(address); err != nil {
		t.Fatal(err)
	}
	return address
}

func TestAnswers(t *testing.T) {
	address := start(t)
	tests := []struct{ name, network, send, want string }{
		{"udp: the line, then what was sent", "udp", "12\x0034", "pod n1 CLIENT\n12\x0034"},
		{"tcp: the line when the client has nothing to say", "tcp", "", "pod n1 CLIENT\n"},
		{"tcp: other words are not needed", "tcp", "hello\n", "pod n1 CLIENT\n"},
		{"http", "tcp", "GET / HTTP/1.1\r\n", "HTTP/1.1 200 OK\r\nContent-Length: LENGTH\r\nConnection: close\r\n\r\npod n1 CLIENT\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			conn, err := net.Dial(tt.network, address)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
			if _, err := io.WriteString(conn, tt.send); err != nil {
				t.Fatal(err)
			}
			var got []byte
			if tcp, ok := conn.(*net.TCPConn); ok {
				if err := tcp.CloseWrite(); err != nil {
					t.Fatal(err)
				}
				got, err = io.ReadAll(conn)
			} else {
				got = make([]byte, 100)
				var n int
				n, err = conn.Read(got)
				got = got[:n]
			}
			if err != nil {
				t.Fatal(err)
			}
			client := conn.LocalAddr().String()
			text := strings.ReplaceAll(tt.want, "CLIENT", client)
			text = strings.ReplaceAll(text, "LENGTH", strconv.Itoa(len("pod n1 "+client+"\n")))
			if string(got) != text {
				t.Errorf("got %q, want %q", got, text)
			}
		})
	}
}

func TestServeTwice(t *testing.T) {
	if err := serve(start(t)); err == nil {
		t.Error("two servers on one address")
	}
}
