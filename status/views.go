package status

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/starling-lb/starling/api"
	"github.com/starling-lb/starling/health"
	"github.com/starling-lb/starling/status/page"
)

const (
	viewAge   = 3 * time.Second        // after which the others are asked again, if anybody watches
	viewStale = 10 * time.Second       // after which a page waits for the answers
	viewTime  = time.Second            // for one to answer
	viewPause = 700 * time.Millisecond // before a difference counts: addresses may be about to move
	viewsAtA  = 16                     // asked at a time
	maxView   = 256 << 10              // bytes
	wholeBase = 1 << 20                // bytes of a whole status without addresses and members
	wholeEach = 4 << 10                // bytes more for each of them
	viewMost  = 20                     // conditions of one view
)

func viewOf(s api.Snapshot) api.View {
	own := append([]health.Condition{}, s.Own()...)
	own = own[:min(len(own), viewMost)]
	return api.View{
		Node: s.Node, Addresses: len(s.VIPs), Digest: s.Digest(), Places: s.Places(),
		Findings: api.Findings(own, s.Node), Conditions: own,
	}
}

// views asks the other speakers how they see the addresses. Each is asked for the digest of its
// view, and only one that differs for everything, after a pause, because in the moment of a move
// two speakers may differ who agree. There is one round at a time, and none when nobody watches.
type views struct {
	snapshot func() api.Snapshot
	port     func() string // of the other speakers' status, "" while it is not known
	peers    peers
	stop     <-chan struct{}

	whole sync.Mutex // held while a whole status is read: one at a time

	mu      sync.Mutex // guards all following fields
	last    []page.View
	at      time.Time
	running chan struct{} // closed at the end of the round under way; nil: none is
}

// now is what the last round brought. It begins a new one when that is old, and waits for it when
// it is too old to be shown.
func (v *views) now(ctx context.Context) []page.View {
	v.mu.Lock()
	age := time.Since(v.at)
	if age >= viewAge && v.running == nil {
		v.running = make(chan struct{})
		go v.round(v.running)
	}
	last, running := v.last, v.running
	v.mu.Unlock()
	if age < viewStale || running == nil {
		return last
	}
	select {
	case <-running:
	case <-ctx.Done():
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.last
}

// round asks everybody once.
func (v *views) round(done chan struct{}) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		select {
		case <-v.stop:
			cancel()
		case <-ctx.Done():
		}
	}()
	all := v.ask(ctx)
	v.mu.Lock()
	defer v.mu.Unlock()
	v.last, v.at, v.running = all, time.Now(), nil
	close(done)
}

// ask is the views of all members that may be there, sorted by name.
func (v *views) ask(ctx context.Context) []page.View {
	s, port := v.snapshot(), v.port()
	var peers []api.Member
	for _, m := range s.Members {
		if m.Name != s.Node && (m.State == "alive" || m.State == "wire") {
			peers = append(peers, m)
		}
	}
	r := make([]page.View, len(peers))
	var g errgroup.Group
	g.SetLimit(viewsAtA)
	for i, m := range peers {
		g.Go(func() error {
			r[i] = v.compare(ctx, m, port)
			return nil
		})
	}
	_ = g.Wait() // each says in its view what went wrong
	slices.SortFunc(r, func(a, b page.View) int { return cmp.Compare(a.Node, b.Node) })
	return r
}

// compare asks one member.
func (v *views) compare(ctx context.Context, m api.Member, port string) page.View {
	r := page.View{Node: m.Name}
	base, err := v.statusAt(m, port)
	if err != nil {
		r.Silent = err.Error()
		return r
	}
	r.Page = base + "/"
	its, err := v.fetchView(ctx, base)
	if err == nil && its.Node != m.Name {
		err = fmt.Errorf("ask %s: the answer is that of %q", base, its.Node)
	}
	if err != nil {
		r.Silent = err.Error()
		return r
	}
	r.Conditions, r.Places = its.Conditions, its.Places
	if its.Digest != v.snapshot().Digest() {
		pause(ctx, viewPause)
		r.Differs, err = v.differences(ctx, base)
	}
	if err != nil {
		r.Silent = err.Error()
	}
	return r
}

// statusAt is where a member serves its status: where its gossip is, at the port that this one
// serves at.
func (v *views) statusAt(m api.Member, port string) (string, error) {
	if port == "" {
		return "", errors.New("this speaker does not serve its status yet")
	}
	at, err := netip.ParseAddrPort(m.Addr)
	if err != nil {
		return "", fmt.Errorf("its address is not known: %q", m.Addr)
	}
	return v.peers.scheme() + net.JoinHostPort(at.Addr().String(), port), nil
}

// fetchView asks for the short form.
func (v *views) fetchView(ctx context.Context, base string) (api.View, error) {
	return fetch[api.View](ctx, v.peers, base, "/api/v1/view", maxView)
}

// fetch asks another speaker for something.
func fetch[T any](ctx context.Context, p peers, base, path string, most int64) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, viewTime)
	defer cancel()
	body, err := p.get(ctx, base, path, most)
	if err != nil {
		var none T
		return none, err
	}
	r, err := decode[T](body)
	if err != nil {
		return r, fmt.Errorf("ask %s: read the answer: %w", base, err)
	}
	return r, nil
}

// decode reads an answer.
func decode[T any](body []byte) (r T, err error) {
	err = json.Unmarshal(body, &r)
	return r, err
}

// owners are what is read of another speaker's whole status.
type owners struct {
	VIPs []struct {
		IP    string `json:"ip"`
		Owner string `json:"owner"`
	} `json:"vips"`
}

// differences asks for everything and compares address by address. The other speaker may know twice
// as many addresses and members as this one.
func (v *views) differences(ctx context.Context, base string) ([]page.Difference, error) {
	v.whole.Lock()
	defer v.whole.Unlock()
	here := v.snapshot()
	there, err := fetch[owners](ctx, v.peers, base, "/api/v1/status", wholeBase+2*wholeEach*int64(len(here.VIPs)+len(here.Members)))
	if err != nil {
		return nil, err
	}
	return differences(here.VIPs, there), nil
}

// differences are the addresses that two speakers see at different announcers, sorted by text.
func differences(here []api.VIP, there owners) []page.Difference {
	all := make(map[string]page.Difference, len(here))
	for _, v := range here {
		all[v.IP] = page.Difference{IP: v.IP, Here: v.Owner, Known: true}
	}
	for _, v := range there.VIPs {
		d := all[v.IP]
		d.IP, d.There, d.Heard = v.IP, v.Owner, true
		all[v.IP] = d
	}
	var r []page.Difference
	for _, d := range all {
		if d.Here != d.There || d.Known != d.Heard {
			r = append(r, d)
		}
	}
	slices.SortFunc(r, func(a, b page.Difference) int { return cmp.Compare(a.IP, b.IP) })
	return r
}
