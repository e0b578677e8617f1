package lease

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// maxRequest bounds what is read of a requesting annotation.
const maxRequest = 256

// The annotations under which requests are understood, in order of precedence.
var (
	askPool  = askNames(AskPoolAnnotation)
	askIPs   = askNames(AskIPsAnnotation)
	askShare = askNames(AskShareAnnotation)
)

func askNames(annotation string) [3]string {
	name := strings.TrimPrefix(annotation, Prefix)
	return [3]string{annotation, "metallb.io/" + name, "metallb.universe.tf/" + name}
}

// request is what a Service asks for, read once for each revision of it.
type request struct {
	slots    []slot
	need     int    // how many of the slots make sense together: all, or any one
	pool     string // the pool asked for, or ""
	poolFrom string // and by what
	share    string // the sharing key, or ""
	source   string // what asked for the addresses, for messages
}

// slot is one address that a Service is to have.
type slot struct {
	family int
	ip     netip.Addr // the one asked for, or invalid for any
}

// parseRequest reads annotations and spec. Its error is for the user: it names rule and value.
func parseRequest(s *Service) (request, error) {
	var r request
	var err error
	if r.share, _, err = asked(s, askShare); err != nil {
		return request{}, err
	}
	if r.pool, r.poolFrom, err = asked(s, askPool); err != nil {
		return request{share: r.share}, err
	}
	ips, err := r.readIPs(s)
	if err != nil {
		return request{share: r.share}, err
	}
	if err := r.fill(s, ips); err != nil {
		return request{share: r.share}, err
	}
	return r, nil
}

// asked returns a request and the annotation that it came from. The same request may be written
// under several prefixes, but not a different one.
func asked(s *Service, names [3]string) (value, from string, err error) {
	for _, key := range names {
		v := strings.TrimSpace(s.note(key))
		switch {
		case v == "":
		case len(v) > maxRequest:
			return "", "", fmt.Errorf("annotation %s: longer than %d bytes", key, maxRequest)
		case from == "":
			value, from = v, key
		case v != value:
			return "", "", fmt.Errorf("annotations contradict each other: %s is %q and %s is %q", from, clip(value), key, clip(v))
		}
	}
	return value, from, nil
}

// readIPs returns the addresses asked for, by annotation or by spec.loadBalancerIP.
func (r *request) readIPs(s *Service) ([]netip.Addr, error) {
	text, from, err := asked(s, askIPs)
	if err != nil {
		return nil, err
	}
	ips, err := parseIPs(text, "annotation "+from)
	if err != nil {
		return nil, err
	}
	r.source = "annotation " + from
	const field = "spec.loadBalancerIP"
	spec, err := parseIPs(s.LoadBalancerIP, field)
	switch {
	case err != nil:
		return nil, err
	case len(spec) == 0:
		return ips, nil
	case len(ips) == 0:
		r.source = field
		return spec, nil
	case !slices.Equal(ips, spec):
		return nil, fmt.Errorf("requests contradict each other: annotation %s is %q and %s is %q", from, clip(text), field, clip(s.LoadBalancerIP))
	}
	return ips, nil
}

// parseIPs reads addresses, at most one of each family.
func parseIPs(text, from string) ([]netip.Addr, error) {
	if len(text) > maxRequest {
		return nil, fmt.Errorf("%s: longer than %d bytes", from, maxRequest)
	}
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	var ips []netip.Addr
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part == "" {
			return nil, fmt.Errorf("%s: %q has a comma too many; want one address, or one of each family with a comma between them", from, clip(text))
		}
		ip, err := parseAddr(part)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", from, err)
		}
		for _, other := range ips {
			if other.Is4() == ip.Is4() {
				return nil, fmt.Errorf("%s: %s and %s are both %s: at most one of each family", from, other, ip, familyName(family(ip)))
			}
		}
		ips = append(ips, ip)
	}
	return ips, nil
}

// fill makes the slots: one for each family that the Service is to have.
func (r *request) fill(s *Service, ips []netip.Addr) error {
	families := familiesOf(s)
	for _, f := range families {
		r.slots = append(r.slots, slot{family: f})
	}
	for _, ip := range ips {
		i := slices.Index(families, family(ip))
		if i < 0 {
			return fmt.Errorf("%s asks for %s, which is no %s address: the Service is %s only", r.source, ip, familyName(families[0]), familyName(families[0]))
		}
		r.slots[i].ip = ip
	}
	if len(families) < 2 && s.FamilyPolicy == requireDualStack {
		return fmt.Errorf("spec.ipFamilyPolicy is %s, but the cluster gave the Service %s only", requireDualStack, familyName(families[0]))
	}
	r.need = 1
	if s.FamilyPolicy == requireDualStack {
		r.need = len(r.slots)
	}
	return nil
}

// familiesOf returns the wanted families, the primary one first; without any it is IPv4.
func familiesOf(s *Service) []int {
	var fs []int
	for _, name := range s.Families {
		f := btoi(name == ipv6)
		if (name == ipv4 || name == ipv6) && !slices.Contains(fs, f) {
			fs = append(fs, f)
		}
	}
	if len(fs) == 0 {
		return []int{0}
	}
	if len(fs) == 2 && s.FamilyPolicy != preferDualStack && s.FamilyPolicy != requireDualStack {
		return fs[:1]
	}
	return fs
}
