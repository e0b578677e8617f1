package mesh

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"
	"github.com/rs/zerolog"

	"github.com/starling-lb/starling/health"
)

const (
	// refusalsMost is how many refused members are remembered. Who makes members up makes as many
	// as it likes.
	refusalsMost = 1000
	// nameMost is how long the name of a Node may be.
	nameMost = 253
)

// errNoNode refuses a member. memberlist logs it, and [libraryLog] knows that it has been counted.
var errNoNode = errors.New("no Node has this name")

// refusals are the members that were refused lately, since [Config.Admit] does not know their
// names. The Node of one may have been made a moment ago, and this node not have seen it yet; so
// they are looked at again.
type refusals struct {
	mu sync.Mutex // Guards of.
	of map[string]refusal
}

type refusal struct {
	addr netip.AddrPort
	last time.Time
}

// see remembers a refused member, and reports whether it is a new one.
func (r *refusals) see(name string, addr netip.AddrPort, now time.Time) (first bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, known := r.of[name]
	switch {
	case !known && len(r.of) >= refusalsMost:
		return false
	case r.of == nil:
		r.of = map[string]refusal{}
	}
	r.of[name] = refusal{addr, now}
	return !known
}

// names are those that are remembered, in no order.
func (r *refusals) names() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Collect(maps.Keys(r.of))
}

// expire forgets what was not seen for a while, and returns how many it forgot.
func (r *refusals) expire(now time.Time) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	before := len(r.of)
	maps.DeleteFunc(r.of, func(_ string, of refusal) bool { return now.Sub(of.last) >= conditionTime })
	return before - len(r.of)
}

// take forgets a refused member and returns where it is.
func (r *refusals) take(name string) (addr netip.AddrPort) {
	r.mu.Lock()
	defer r.mu.Unlock()
	addr = r.of[name].addr
	delete(r.of, name)
	return addr
}

// admits reports whether a name may be a member's.
func (m *Mesh) admits(name string) bool {
	return name == m.cfg.Name || m.cfg.Admit == nil || m.cfg.Admit(name)
}

func (m *Mesh) stranger(name string) bool { return !m.admits(name) }

// refuse reports whether a member that is told of is to be refused. One that is in stays: it leaves
// as it would with a Node.
func (m *Mesh) refuse(n *memberlist.Node) bool {
	if m.admits(n.Name) || m.table.lives(n.Name) {
		return false
	}
	m.see(condition{kind: kindNoNode, who: n.Name})
	name, addr := shown(n.Name), addrOf(n)
	if m.refusals.see(name, addr, time.Now()) {
		m.logs.put(func(l *zerolog.Logger) {
			l.Debug().Str("node", name).Stringer("addr", addr).Msg("member without a Node refused")
		})
		m.signal()
	}
	return true
}

// shown is the name of a member without a Node for people, who shall not have to read anything.
// That of a Node is as it is.
func shown(name string) string {
	name = strings.Clone(name[:min(len(name), nameMost)])
	if quoted := strconv.QuoteToASCII(name); quoted != `"`+name+`"` {
		return quoted
	}
	return name
}

// welcome returns where the refused members are that may come in by now, a few of them: who joins
// one learns of the others.
func (m *Mesh) welcome() (addrs []netip.AddrPort) {
	for _, name := range slices.DeleteFunc(m.refusals.names(), m.stranger) {
		if len(addrs) == joinFew {
			break
		}
		if addr := m.refusals.take(name); !m.table.lives(name) {
			addrs = append(addrs, addr)
		}
	}
	return addrs
}

// nodeless is what is said of members without a Node, refused ones and others, however many there
// are.
func (m *Mesh) nodeless() []health.Condition {
	names := slices.DeleteFunc(m.table.living(), m.admits)
	names = append(names, slices.DeleteFunc(m.refusals.names(), m.admits)...)
	slices.Sort(names)
	verb, whose := "is", "that name"
	switch names = slices.Compact(names); len(names) {
	case 0:
		return nil
	case 1:
	default:
		verb, whose = "are", "those names"
	}
	return []health.Condition{health.New(health.MemberWithoutNode, health.Cluster(), fmt.Sprintf("%s %s heard by gossip, and Kubernetes has no Node of %s", health.Some(names, 3), verb, whose))}
}

// living are the names of the members that are alive.
func (t *table) living() (names []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range t.members {
		if t.members[i].State == Alive {
			names = append(names, t.members[i].Name)
		}
	}
	return names
}

// lives reports whether a member of that name is alive.
func (t *table) lives(name string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	i, known := t.find(name)
	return known && t.members[i].State == Alive
}
