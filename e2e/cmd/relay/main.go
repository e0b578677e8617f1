// Command relay joins two networks: it accepts connections on a listening socket that it inherits
// as file 3, made in one network namespace, and carries each to the address given as argument, in
// the namespace it runs in.
//
// So the API server of a test cluster, which lives in a namespace without a way out, can be reached
// on the loopback of the machine, by kubectl and by the tests.
package main

import (
	"io"
	"log"
	"net"
	"os"
)

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: relay ADDRESS:PORT 3<listening-socket")
	}
	l, err := net.FileListener(os.NewFile(3, "listener"))
	if err != nil {
		log.Fatal("inherit listener: ", err)
	}
	for {
		from, err := l.Accept()
		if err != nil {
			log.Fatal(err)
		}
		go carry(from, os.Args[1])
	}
}

// carry copies both ways until either side has ended.
func carry(from net.Conn, address string) {
	defer from.Close()
	to, err := net.Dial("tcp", address)
	if err != nil {
		return // Seen by the client as a closed connection, as when a server is down.
	}
	defer to.Close()
	done := make(chan struct{}, 2)
	for _, pair := range [][2]net.Conn{{from, to}, {to, from}} {
		go func() {
			_, _ = io.Copy(pair[0], pair[1])
			done <- struct{}{}
		}()
	}
	<-done
}
