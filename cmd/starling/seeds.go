package main

import (
	"context"
	"net"
	"net/netip"
	"strconv"
	"time"

	"github.com/starling-lb/starling/watcher"
)

// resolveLimit bounds looking up the names of --join at every join attempt.
const resolveLimit = 2 * time.Second

// seeds gives the addresses to join: those of all nodes and those of --join. A
// name that does not resolve now is tried again at the next attempt.
func seeds(nodes func() []watcher.Node, join []string, port uint16) func() []netip.AddrPort {
	return func() []netip.AddrPort {
		var r []netip.AddrPort
		for _, n := range nodes() {
			for _, a := range n.Addresses {
				r = append(r, netip.AddrPortFrom(a, port))
			}
		}
		ctx, cancel := context.WithTimeout(context.Background(), resolveLimit)
		defer cancel()
		for _, j := range join {
			r = append(r, resolve(ctx, j)...)
		}
		return r
	}
}

// resolve looks up host:port, which parseConfig has checked.
func resolve(ctx context.Context, hostPort string) []netip.AddrPort {
	host, p, err := net.SplitHostPort(hostPort)
	if err != nil {
		return nil
	}
	port, err := strconv.ParseUint(p, 10, 16)
	if err != nil {
		return nil
	}
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil
	}
	var r []netip.AddrPort
	for _, ip := range ips {
		r = append(r, netip.AddrPortFrom(ip.Unmap(), uint16(port)))
	}
	return r
}
