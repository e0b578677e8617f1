package arpd

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/starling-lb/starling/arpd/netif"
	"github.com/starling-lb/starling/health"
)

// publish makes list what Interfaces shows and tells of what is different. The
// caller holds mu.
func (r *Responder) publish(list []netif.Interface) {
	if reflect.DeepEqual(list, r.listing.all) {
		return
	}
	before := make(map[int]netif.Interface, len(r.listing.all))
	for _, i := range r.listing.all {
		before[i.Index] = i
	}
	for _, i := range list {
		was, known := before[i.Index]
		switch {
		case i.Used && (!was.Used || !slices.Equal(was.Prefixes, i.Prefixes) || was.MAC != i.MAC):
			r.log.Info().Str("iface", i.Name).Str("mac", i.MAC).Stringers("prefixes", stringers(i.Prefixes)).Msg("interface used")
		case !i.Used && was.Used:
			r.log.Info().Str("iface", i.Name).Str("reason", i.Reason).Msg("interface no longer used")
		case !i.Used && (!known || was.Reason != i.Reason):
			r.log.Debug().Str("iface", i.Name).Str("reason", i.Reason).Msg("interface not used")
		}
	}
	r.listing.all = list
	poke(r.changed)
}

func stringers[T fmt.Stringer](in []T) []fmt.Stringer {
	out := make([]fmt.Stringer, len(in))
	for i, s := range in {
		out[i] = s
	}
	return out
}

// review finds the problems anew and tells of a change. The caller holds mu.
func (r *Responder) review() {
	now := r.diagnose()
	if slices.Equal(now, r.listing.problems) {
		return
	}
	for _, p := range now {
		if !slices.Contains(r.listing.problems, p) {
			r.log.Warn().Str("reason", p.Words).Msg("cannot answer for addresses")
		}
	}
	r.listing.problems = now
	poke(r.changed)
}

// diagnose finds what keeps this node from answering. One interface that
// fails beside others that work is none; Interfaces shows it. The caller holds
// mu.
func (r *Responder) diagnose() []health.Condition {
	var out []health.Condition
	add := func(code health.Code, words string) { out = append(out, health.New(code, health.Node(""), words)) }
	switch {
	case r.listing.err != nil:
		add(health.NoInterface, fmt.Sprintf("cannot list interfaces: %v", r.listing.err))
	case !r.listing.known:
		add(health.InterfacesUnlisted, "interfaces are not known yet")
	case r.listing.denied != nil:
		add(health.NoNetRaw, fmt.Sprintf("missing NET_RAW: %v", r.listing.denied))
	case len(r.ifaces) == 0:
		out = append(out, r.nothing())
	}
	for _, p := range r.ifaces {
		if err := p.groupError(); err != nil {
			first, _, _ := strings.Cut(err.Error(), "\n")
			add(health.NoMulticast, fmt.Sprintf("IPv6 neighbors cannot ask on %s: %s", p.link.Name, first))
		}
	}
	slices.SortFunc(out, health.Condition.Compare)
	return out
}

// nothing says why there is no interface to use: what was asked for and is not
// there, or what is there and not fit.
func (r *Responder) nothing() health.Condition {
	var near []string
	for _, i := range r.listing.all {
		if r.choice.Near(i.Reason) {
			near = append(near, fmt.Sprintf("%s: %s", i.Name, i.Reason))
		}
	}
	words, advice := "no usable interface", ""
	switch {
	case len(near) > 0:
		words += ": " + strings.Join(near, ", ")
	case !r.choice.Automatic():
		words = "no interface matches " + strings.Join(r.choice.Include, ", ")
		advice = "correct --interface; `starling doctor` lists the interfaces there are"
	}
	return health.New(health.NoInterface, health.Node(""), words).Do(advice)
}

// refused reports whether err says that the process may not open packet sockets.
func refused(err error) bool {
	return errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES)
}
