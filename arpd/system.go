package arpd

import (
	"context"
	"errors"
	"net/netip"

	"golang.org/x/net/bpf"
)

// errInterrupted is what a Read returns once its socket was interrupted.
var errInterrupted = errors.New("interrupted")

// system is the kernel as this package needs it: the one of a network namespace
// (linux), or a model of it in tests.
type system interface {
	// Links lists all interfaces with their addresses.
	Links() ([]link, error)
	// Neighbours lists the addresses, but link-local ones, that the kernel knows
	// at a MAC, sorted.
	Neighbours(mac hw) ([]netip.Addr, error)
	// Settings tells how the kernel treats ARP on interfaces, and on "all".
	Settings(names []string) (map[string]setting, error)
	// Watch calls seen for every change of a link or an address, from one
	// goroutine, until ctx ends (nil) or the subscription breaks (an error).
	Watch(ctx context.Context, seen func(change)) error
	// Packet opens a packet socket for one protocol of one interface that hands
	// out nothing until it is given a filter.
	Packet(index int, protocol uint16) (socket, error)
	// Groups opens a socket that can be a member of some multicast groups.
	Groups() (memberships, error)
}

// change is a netlink event, reduced to what a later list cannot tell.
type change struct {
	index int
	down  bool // the interface was not running
	gone  bool // the interface was removed; one with the same index is another
}

// socket sends and receives whole Ethernet frames of one interface.
type socket interface {
	// Read blocks. It must be called from one goroutine only, locked to its
	// thread. After Interrupt it returns errInterrupted.
	Read(b []byte) (int, error)
	// Write never blocks: a frame that does not fit into the queue is an error.
	// It may be called by several goroutines, but not after Close.
	Write(b []byte) error
	// Filter replaces the kernel filter as one step.
	Filter(prog []bpf.RawInstruction) error
	// Drain drops the frames that wait to be read and returns their number. It is
	// for the goroutine that reads.
	Drain() int
	// Interrupt makes Read return. One call may miss a Read that is just being
	// entered: it is to be called until the reader has left.
	Interrupt()
	Close() error
}

// memberships is a socket that keeps multicast groups joined; closing it leaves
// them all.
type memberships interface {
	Join(index int, group netip.Addr) error
	Leave(index int, group netip.Addr) error
	Close() error
}
