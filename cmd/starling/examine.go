//go:build linux

package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/starling-lb/starling/api"
	"github.com/starling-lb/starling/arpd"
	"github.com/starling-lb/starling/arpd/netif"
	"github.com/starling-lb/starling/doctor"
	"github.com/starling-lb/starling/mesh"
	"github.com/starling-lb/starling/watcher"
)

// proxyModeURL is where kube-proxy tells its mode to those on its node, unless its
// --metrics-bind-address says otherwise.
const proxyModeURL = "http://127.0.0.1:10249/proxyMode"

// examiner examines this node. Without a mesh other nodes are not tried.
func examiner(node string, snapshot func() api.Snapshot) *doctor.Examiner {
	return &doctor.Examiner{
		Node: node, Snapshot: snapshot, Socket: arpd.Permitted,
		Dial: func(ctx context.Context, addr string) error {
			var d net.Dialer
			conn, err := d.DialContext(ctx, "tcp", addr)
			if err != nil {
				return err
			}
			return conn.Close()
		},
		Proxy: func(ctx context.Context) (string, error) { return proxyMode(ctx, proxyModeURL) },
		Sysctl: func(name string) (string, error) {
			text, err := os.ReadFile(filepath.Join("/proc/sys", name))
			return string(text), err
		},
	}
}

// proxyMode asks kube-proxy.
func proxyMode(ctx context.Context, url string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return "", fmt.Errorf("ask %s: %w", url, err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err // names the URL
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 64))
	if err != nil || resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("ask %s: it answers %s", url, resp.Status)
	}
	return strings.TrimSpace(string(text)), nil
}

// others are the other nodes with the addresses of their gossip, sorted by name: where a living
// member says it is, else the first address that Kubernetes knows of a family that this node has,
// else the first.
func others(self string, local []netip.AddrPort, nodes []watcher.Node, members []mesh.Member) []doctor.Peer {
	at := map[string]netip.AddrPort{}
	for _, n := range nodes {
		if len(n.Addresses) == 0 || len(local) == 0 {
			continue
		}
		i := slices.IndexFunc(n.Addresses, func(a netip.Addr) bool {
			return slices.ContainsFunc(local, func(l netip.AddrPort) bool { return familyOf(l.Addr()) == familyOf(a) })
		})
		at[n.Name] = netip.AddrPortFrom(n.Addresses[max(i, 0)], local[0].Port())
	}
	for _, m := range members {
		if m.State == mesh.Alive && m.Addr.IsValid() {
			at[m.Name] = m.Addr
		}
	}
	delete(at, self)
	var list []doctor.Peer
	for name, addr := range at {
		list = append(list, doctor.Peer{Name: name, Addr: addr})
	}
	slices.SortFunc(list, func(a, b doctor.Peer) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// examineHere examines the node that the command runs on, on which there need be no speaker.
func examineHere(ctx context.Context, patterns []string) ([]doctor.Answer, error) {
	name, err := os.Hostname()
	if err != nil {
		return nil, fmt.Errorf("name of this node: %w", err)
	}
	s, err := survey(name, patterns)
	if err != nil {
		return nil, err
	}
	begun := time.Now()
	r := examiner(name, func() api.Snapshot { return s }).Alone(ctx)
	return []doctor.Answer{{Name: name, Report: r, Begun: begun, Ended: time.Now()}}, nil
}

// survey is what a node can be told to be without a speaker: its interfaces.
func survey(node string, patterns []string) (api.Snapshot, error) {
	list, err := netif.Survey(patterns)
	if err != nil {
		return api.Snapshot{}, err
	}
	s := api.Snapshot{Node: node, Version: version()}
	for _, i := range list {
		s.Interfaces = append(s.Interfaces, api.Interface{Name: i.Name, MAC: i.MAC, Used: i.Used, Reason: i.Reason})
	}
	return s, nil
}
