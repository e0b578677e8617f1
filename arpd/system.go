package arpd

import (
	"context"
	"errors"
	"net/netip"

	"golang.org/x/net/bpf"

	"github.com/starling-lb/starling/arpd/netif"
	"github.com/starling-lb/starling/arpd/packet"
)

// errInterrupted is what a Read returns once its socket was interrupted.
var errInterrupted = errors.New("interrupted")

// system is the kernel as this package needs it: the one of a network namespace
// (linux), or a model of it in tests.
type system interface {
	// These five are as those of netif.Namespace.
	Links() ([]netif.Link, error)
	Neighbors(mac packet.HW) ([]netip.Addr, error)
	Route(to netip.Addr, vrf int) (int, error)
	Settings(names []string) (map[string]netif.Setting, error)
	Watch(ctx context.Context, seen func(netif.Change)) error

	// Packet opens a packet socket for one protocol of one interface that hands
	// out nothing until it is given a filter.
	Packet(index int, protocol uint16) (socket, error)
	// Groups opens a socket that can be a member of some multicast groups.
	Groups() (memberships, error)
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
