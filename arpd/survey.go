package arpd

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Survey lists the interfaces of the node and which of them would be used with these patterns, without opening any.
// It is for people who look for a fault.
func Survey(patterns []string) ([]Interface, error) {
	choice, err := parsePatterns(patterns)
	if err != nil {
		return nil, err
	}
	links, err := linux{}.Links()
	if err != nil {
		return nil, err
	}
	return choose(links, choice), nil
}

// Permitted tells whether the process may open packet sockets, which takes the capability NET_RAW.
func Permitted() error {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open a packet socket: %w", err)
	}
	return unix.Close(fd)
}
