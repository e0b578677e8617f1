package mesh

import (
	"context"
	"net"
	"net/netip"
	"time"

	"github.com/hashicorp/memberlist"
	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"
)

const (
	// portProbeTime is how long a kernel has to take a connection. It needs no
	// process for that, so it does it at once or not at all; who asks later has
	// judged without it.
	portProbeTime = 200 * time.Millisecond
	// portProbesAtOnce is how many gossip ports are probed at once. Of more that die
	// at one time, the others are judged without it.
	portProbesAtOnce = 32
)

// deadMember is a member that gossip has just declared dead.
type deadMember struct {
	name  string
	addr  netip.AddrPort
	since time.Time
}

// portProber asks, for each member that gossip declares dead and only once, whether its
// gossip port is still open, which the kernel of its host knows:
//
//	connection   ->
//	refused      the process has ended, or a firewall says so
//	taken        the process is there: stopped, starved, or on its way back
//	nothing      the host is dead, or a firewall is silent
//
// Only the second is worth a word: see Member.Listens. A connection is closed
// at once, after our label and before any message; memberlist takes that for
// nothing, whereas without the label the member would count a stranger.
type portProber struct {
	mesh *Mesh
	via  interface {
		DialAddressTimeout(memberlist.Address, time.Duration) (net.Conn, error)
	}
}

func (k *portProber) run(ctx context.Context) {
	var g errgroup.Group
	g.SetLimit(portProbesAtOnce)
	for {
		select {
		case <-ctx.Done():
			_ = g.Wait() // No task has an error to return.
			return
		case f := <-k.mesh.declaredDead:
			g.TryGo(func() error {
				k.probe(f)
				return nil
			})
		}
	}
}

func (k *portProber) probe(f deadMember) {
	c, err := k.via.DialAddressTimeout(memberlist.Address{Addr: f.addr.String(), Name: f.name}, portProbeTime)
	if err != nil {
		return // Which of the reasons it is makes no difference.
	}
	if k.mesh.table.listens(f.name, f.since) {
		k.mesh.logs.put(func(l *zerolog.Logger) {
			l.Info().Str("node", f.name).Msg("the gossip port of a dead member is open: its process is stopped or starved")
		})
		k.mesh.signal()
	}
	// The other side may be gone by now.
	_ = c.SetDeadline(time.Now().Add(portProbeTime))
	_ = memberlist.AddLabelHeaderToStream(c, k.mesh.cfg.Label)
	_ = c.Close()
}

// listens records that the port of a member that died then is open, and returns
// whether that is of any interest still.
func (t *table) listens(name string, since time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	i, known := t.find(name)
	if !known || t.members[i].State != Dead || !t.members[i].Since.Equal(since) {
		return false
	}
	t.members[i].Listens = true
	return true
}
