// Package doctor examines whether nodes can do their job, and says of everything that is wrong what
// to do.
//
// Most of it only the node itself can know: whether a packet socket may be opened, which interfaces
// there are, how kube-proxy works, which nodes the gossip port reaches. So every speaker examines
// its own node when it is asked ([Examiner.Examine], /api/v1/doctor), and the command puts the
// reports of all speakers together ([Together]): each reaches the others, so all directions are
// tested; clocks and views are compared.
//
//	gossip-tcp   a connection to the gossip port of every other node
//	gossip-udp   a gossip probe to every other node and its answer: there and back
//	bgp          the node's sessions with routers, which know of port 179, the TTL and the AS
//
// A firewall that drops is silent and one that rejects answers; nobody listening is "connection
// refused". A node with another key takes connections and answers no probe, and the gossip itself
// knows of it.
//
// Whoever reaches the status port may ask, so an examination is held at most once in some seconds
// and its outcome kept for those who come meanwhile.
package doctor

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/starling-lb/starling/api"
	"github.com/starling-lb/starling/health"
)

// Results of a check, the worst last.
const (
	OK      = "ok"
	Info    = "info"    // explains what is seen
	Unknown = "unknown" // cannot be told, and need not be wrong
	Warn    = "warn"
	Fail    = "fail"
)

// Check is one thing that was looked at.
type Check struct {
	Name   string      `json:"name"`
	Result string      `json:"result"`
	Words  string      `json:"words"` // what was found
	Todo   string      `json:"todo"`  // what to do about it, "" nothing
	Code   health.Code `json:"code"`  // of the condition that was found, "" none
}

// Report is what one speaker found on its node. Its JSON is the contract of /api/v1/doctor.
type Report struct {
	Node   string    `json:"node"`
	At     time.Time `json:"at"` // by the clock of the node
	Checks []Check   `json:"checks"`
	Pools  []string  `json:"pools"` // ranges, to be compared with those that the user names
	View   string    `json:"view"`  // a hash of who announces what, to be compared with those of others
	Nodes  []string  `json:"nodes"` // whose speakers it knows, its own included, to tell whether all were asked
}

// Peer is another node of the cluster.
type Peer struct {
	Name string
	Addr netip.AddrPort // of its gossip
}

// Examiner examines the node that it runs on.
type Examiner struct {
	Node     string
	Snapshot func() api.Snapshot
	Dial     func(ctx context.Context, addr string) error       // by tcp
	Socket   func() error                                       // opens a packet socket
	Proxy    func(ctx context.Context) (mode string, err error) // kube-proxy's
	Sysctl   func(name string) (string, error)                  // "net/ipv4/conf/all/arp_ignore"

	mu    sync.Mutex // held during an examination; guards all following fields
	last  Report
	peers func() []Peer // nil: nobody is known yet
	ping  func(ctx context.Context, p Peer) (time.Duration, error)
}

// Meet tells who the other nodes are, and how to send one a probe of gossip.
func (e *Examiner) Meet(peers func() []Peer, ping func(context.Context, Peer) (time.Duration, error)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.peers, e.ping = peers, ping
}

const (
	// fresh is how long the outcome of an examination is kept for others who ask.
	fresh = 3 * time.Second
	// patience is how long a node may take to answer.
	patience = time.Second
	// abreast is how many nodes are asked at a time.
	abreast = 64
)

// Examine looks at everything.
func (e *Examiner) Examine(ctx context.Context) Report {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.last.At.IsZero() && time.Since(e.last.At) < fresh {
		return e.last
	}
	ctx, cancel := context.WithTimeout(ctx, 4*patience)
	defer cancel()
	s := e.Snapshot()
	r := Report{Node: e.Node, Checks: []Check{}, Pools: []string{}, View: s.Digest(), Nodes: s.Nodes()}
	for _, p := range s.Pools {
		r.Pools = append(r.Pools, p.Ranges...)
	}
	r.Checks = slices.Concat(r.Checks, e.socket(), interfaces(s), e.kubeProxy(ctx, s), e.gossip(ctx, s), keys(s), pools(s), routers(s), conditions(s))
	r.At = time.Now()
	if ctx.Err() == nil { // who hung up must not leave half a report to others
		e.last = r
	}
	return r
}

// Alone looks at what a node can be told of without a speaker: it tries no other nodes.
func (e *Examiner) Alone(ctx context.Context) Report {
	s := e.Snapshot()
	return Report{Node: e.Node, Checks: slices.Concat(e.socket(), interfaces(s), e.kubeProxy(ctx, s)), Pools: []string{}, Nodes: []string{}, At: time.Now()}
}

// keys reports whether all members have the same key.
func keys(s api.Snapshot) []Check {
	var list []Check
	for _, c := range s.Conditions {
		if c.Code == health.GossipKeyMismatch {
			list = append(list, found("keys", Fail, c))
		}
	}
	switch {
	case len(list) > 0:
	case len(s.Keys.Held) == 1 && strings.HasPrefix(s.Keys.State, "all "):
		list = append(list, Check{"keys", OK, s.Keys.State, "", ""})
	default:
		list = append(list, Check{"keys", Warn, s.Keys.State, "`starling key status` shows who holds which", ""})
	}
	return list
}

// found is a condition as the outcome of a check.
func found(name, result string, c health.Condition) Check {
	return Check{Name: name, Result: result, Words: c.Words, Todo: c.Advice, Code: c.Code}
}

// pools reports whether there is anything to hand out.
func pools(s api.Snapshot) []Check {
	if len(s.Pools) == 0 {
		return []Check{{"pools", Warn, "no pool is configured", "put your addresses into the ConfigMap starling", health.NoPool}}
	}
	var free uint64
	for _, p := range s.Pools {
		free += min(p.Free, 1<<62)
	}
	if free == 0 {
		return []Check{{"pools", Warn, "no pool has a free address", "add addresses to a pool", ""}}
	}
	return []Check{{"pools", OK, fmt.Sprintf("%d pools have free addresses", len(s.Pools)), "", ""}}
}

// conditions are what the speaker itself finds, without what other checks say better. What only
// explains is nothing to be done.
func conditions(s api.Snapshot) []Check {
	var list []Check
	for _, c := range s.Conditions {
		if c.Subject.Kind == health.KindRouter { // bgp
			continue
		}
		switch c.Code {
		case health.GossipKeyMismatch: // keys
			continue
		case health.GossipBlocked, health.GossipNoFamily: // gossip-tcp, gossip-udp
			continue
		case health.KubeProxyMissing:
			if c.Subject == health.Node(s.Node) { // kube-proxy
				continue
			}
		case health.KernelAnswers, health.KernelAsks:
			if byIPVS(s) { // strict-arp
				continue
			}
		}
		switch c.Severity {
		case health.Information:
			if c.Code == health.NoSpeaker {
				list = append(list, found("speaker", Info, c))
			}
		case health.Error:
			list = append(list, found("status", Fail, c))
		case health.Warning:
			list = append(list, found("status", Warn, c))
		}
	}
	if !slices.ContainsFunc(list, func(c Check) bool { return c.Name == "status" }) {
		list = append(list, Check{Name: "status", Result: OK, Words: "the speaker reports nothing"})
	}
	return list
}
