package arpd

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// publish makes list what Interfaces shows and tells of what is different. The
// caller holds mu.
func (r *Responder) publish(list []Interface) {
	if reflect.DeepEqual(list, r.list) {
		return
	}
	before := make(map[int]Interface, len(r.list))
	for _, i := range r.list {
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
	r.list = list
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
	if slices.Equal(now, r.problems) {
		return
	}
	for _, p := range now {
		if !slices.Contains(r.problems, p) {
			r.log.Warn().Str("reason", p).Msg("cannot answer for addresses")
		}
	}
	r.problems = now
	poke(r.changed)
}

// diagnose says in words what keeps this node from answering. One interface that
// fails beside others that work is none; Interfaces shows it. The caller holds
// mu.
func (r *Responder) diagnose() []string {
	var out []string
	switch {
	case r.listErr != nil:
		out = append(out, fmt.Sprintf("cannot list interfaces: %v", r.listErr))
	case !r.listed:
		out = append(out, "interfaces are not known yet")
	case r.denied != nil:
		out = append(out, fmt.Sprintf("missing NET_RAW: %v", r.denied))
	case len(r.ports) == 0:
		out = append(out, r.nothing())
	}
	for _, p := range r.ports {
		if err := p.groupTrouble(); err != nil {
			first, _, _ := strings.Cut(err.Error(), "\n")
			out = append(out, fmt.Sprintf("IPv6 neighbours cannot ask on %s: %s", p.link.name, first))
		}
	}
	slices.Sort(out)
	return out
}

// nothing says why there is no interface to use: what was asked for and is not
// there, or what is there and not fit.
func (r *Responder) nothing() string {
	var near []string
	for _, i := range r.list {
		if r.near(i.Reason) {
			near = append(near, fmt.Sprintf("%s: %s", i.Name, i.Reason))
		}
	}
	switch {
	case len(near) > 0:
		return "no usable interface: " + strings.Join(near, ", ")
	case r.choice.automatic():
		return "no usable interface"
	}
	return "no interface matches " + strings.Join(r.choice.include, ", ")
}

// near reports whether an interface that is not used for this reason is one that
// the user might have meant.
func (r *Responder) near(reason string) bool {
	far := []string{notAsked, excluded}
	if r.choice.automatic() {
		far = append(far, isLoopback, notEthernet, noARP, isMember, isVirtual, isContainer)
	}
	return !slices.ContainsFunc(far, func(f string) bool { return strings.HasPrefix(reason, f) })
}

// refused reports whether err says that the process may not open packet sockets.
func refused(err error) bool {
	return errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES)
}
