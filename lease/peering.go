package lease

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Peering is the key bgp of the configuration: who we are and who our routers are.
type Peering struct {
	// ASN is the AS of the speakers, 1 to 4294967295.
	ASN int64 `json:"asn"`
	// Sessions say which speakers hold sessions: SessionsAuto (default), SessionsFew or
	// SessionsEach.
	Sessions string `json:"sessions,omitempty"`
	// Peers are the routers.
	Peers []Peer `json:"peers"`
}

// Peer is a router as the configuration tells it.
type Peer struct {
	// Name is one as pools have. Entries of announce name routers by it.
	Name string `json:"name"`
	// Address is IPv4 or IPv6.
	Address string `json:"address"`
	// ASN is the AS of the router; the same as ours means iBGP.
	ASN int64 `json:"asn"`
	// Port is of TCP. Default 179.
	Port *int `json:"port,omitempty"`
	// NodeSelectors say which nodes may have a session with it: those whose labels match one of
	// them. Empty: all on its network; all if Multihop is set, or if no node is on it.
	NodeSelectors []Selector `json:"nodeSelectors,omitempty"`
	// SourceAddress is where the session begins, on every node. Empty: as the kernel chooses.
	SourceAddress string `json:"sourceAddress,omitempty"`
	// Multihop is the TTL for a router that is on no network of the nodes. Default 0: it is on one.
	Multihop int `json:"multihop,omitempty"`
	// HoldTime and KeepaliveTime are durations in whole seconds. Default 90s, and a third of the
	// hold time, 30s at most.
	HoldTime      Duration `json:"holdTime,omitempty"`
	KeepaliveTime Duration `json:"keepaliveTime,omitempty"`
	// PasswordFile, a file on the nodes, or PasswordSecret, a Secret of our namespace with the key
	// password, hold the password of TCP MD5 (RFC 2385). Empty: none.
	PasswordFile   string `json:"passwordFile,omitempty"`
	PasswordSecret string `json:"passwordSecret,omitempty"`
	// BFD turns on bidirectional forwarding detection (RFC 5880). Nil: none.
	BFD *BFD `json:"bfd,omitempty"`
}

// BFD says how soon a silent router is noticed, and a silent node by it.
type BFD struct {
	// Interval is a duration in whole milliseconds, 10ms to 60s. Default 300ms.
	Interval Duration `json:"interval,omitempty"`
	// Multiplier is how many intervals of silence end the session, 1 to 255. Default 3.
	Multiplier *int `json:"multiplier,omitempty"`
}

const (
	maxASN           = int64(math.MaxUint32) // typed: int has 32 bits on some nodes
	ourASN           = "the AS of the nodes, 1 to 4294967295; 64512 to 65534 are for private use"
	routerASN        = "the AS that the router has in its own configuration, 1 to 4294967295"
	defaultLocalPref = 100
	defaultPort      = 179
	defaultHold      = 90 * time.Second
	mostKeepalive    = 30 * time.Second // by default
	leastHold        = 3 * time.Second  // RFC 4271, section 4.2
	mostHold         = math.MaxUint16 * time.Second
	defaultInterval  = 300 * time.Millisecond
	leastInterval    = 10 * time.Millisecond
	mostInterval     = time.Minute
	defaultMissed    = 3
	// keepalives is how many keepalives must fit the hold time.
	keepalives = 3
)

// compilePeers checks the key bgp and returns one error for each mistake, with its place below the
// key.
func compilePeers(c Peering) (*BGP, []error) {
	b := &BGP{Sessions: cmp.Or(c.Sessions, SessionsAuto)}
	var errs []error
	fail := func(where place, err error) { errs = append(errs, mistake{where, fmt.Errorf("bgp: %w", err)}) }
	if err := checkASN(c.ASN, ourASN); err != nil {
		fail(place{"asn"}, err)
	}
	b.ASN = uint32(c.ASN)
	if known := []string{SessionsAuto, SessionsFew, SessionsEach}; !slices.Contains(known, b.Sessions) {
		fail(place{"sessions"}, fmt.Errorf("sessions %q: want %s", clip(c.Sessions), strings.Join(known, ", ")))
	}
	if len(c.Peers) == 0 {
		fail(place{"peers"}, errors.New("it has no peers; name a router, or remove the key bgp"))
	}
	names, ends := map[string]bool{}, map[netip.AddrPort]string{}
	for i, peer := range c.Peers {
		r, wrong := compilePeer(peer)
		title := fmt.Sprintf("peer %q", r.Name)
		if peer.Name == "" || checkName(peer.Name) != nil {
			title = fmt.Sprintf("peer %d", i+1)
		} else if names[r.Name] {
			wrong = append(wrong, wrongAt(errors.New("the name is used twice"), "name"))
		}
		end := netip.AddrPortFrom(r.Address, r.Port)
		if other := ends[end]; other != "" && r.Address.IsValid() {
			wrong = append(wrong, wrongAt(fmt.Errorf("%s has the same address and port; a router is there once", other), "address"))
		}
		names[r.Name], ends[end] = true, cmp.Or(ends[end], title)
		for _, err := range below(wrong, "peers", i) {
			var m mistake
			errors.As(err, &m)
			fail(m.where, fmt.Errorf("%s: %w", title, m.error))
		}
		b.Routers = append(b.Routers, r)
	}
	slices.SortStableFunc(b.Routers, func(a, b Router) int { return strings.Compare(a.Name, b.Name) })
	return b, errs
}

// checkASN checks the number of an AS. want says which one is wanted.
func checkASN(asn int64, want string) error {
	switch {
	case asn == 0:
		return fmt.Errorf("asn: missing or 0; want %s", want)
	case asn < 0 || asn > maxASN:
		return fmt.Errorf("asn %d: want %s", asn, want)
	}
	return nil
}

// compilePeer checks a router and returns one error for each mistake.
func compilePeer(c Peer) (Router, []error) {
	r := Router{
		Name: c.Name, ASN: uint32(c.ASN), Port: defaultPort, Multihop: uint8(c.Multihop),
		PasswordFile: c.PasswordFile, PasswordSecret: c.PasswordSecret,
	}
	var errs []error
	fail := func(key string, err error) {
		if err != nil {
			errs = append(errs, wrongAt(err, key))
		}
	}
	if c.Name == "" {
		fail("name", errors.New("it has no name"))
	} else {
		fail("name", checkName(c.Name))
	}
	fail("asn", checkASN(c.ASN, routerASN))
	if c.Port != nil {
		if r.Port = uint16(*c.Port); *c.Port < 1 || *c.Port > math.MaxUint16 {
			fail("port", fmt.Errorf("port %d: want 1 to %d", *c.Port, math.MaxUint16))
		}
	}
	if c.Multihop < 0 || c.Multihop > math.MaxUint8 {
		fail("multihop", fmt.Errorf("multihop %d: want 0 (the router is on a network of the nodes) to %d", c.Multihop, math.MaxUint8))
	}
	nodes, wrong := compileSelectors("nodeSelectors", c.NodeSelectors)
	r.nodes, r.NodeSelectors = nodes, nodes.texts()
	errs = append(errs, wrong...)
	errs = append(errs, r.addAddresses(c)...)
	errs = append(errs, r.addTimes(c)...)
	errs = append(errs, r.addPassword(c)...)
	return r, append(errs, r.addBFD(c.BFD)...)
}

func (r *Router) addAddresses(c Peer) (errs []error) {
	for _, a := range []struct {
		key, text string
		into      *netip.Addr
	}{{"address", c.Address, &r.Address}, {"sourceAddress", c.SourceAddress, &r.Source}} {
		if a.text == "" {
			continue
		}
		ip, err := netip.ParseAddr(a.text)
		switch {
		case err != nil:
			err = errors.New("no IP address")
		case ip.Zone() != "" || ip.IsLinkLocalUnicast():
			err = errors.New("link-local; want one that is the same on all nodes")
		case ip.IsUnspecified() || ip.IsMulticast():
			err = errors.New("no address of a host")
		}
		if err != nil {
			errs = append(errs, wrongAt(fmt.Errorf("%s %q: %w", a.key, clip(a.text), err), a.key))
			continue
		}
		*a.into = ip.Unmap()
	}
	switch {
	case c.Address == "":
		errs = append(errs, wrongAt(errors.New("it has no address"), "address"))
	case r.Address.IsValid() && r.Source.IsValid() && r.Address.Is4() != r.Source.Is4():
		errs = append(errs, wrongAt(fmt.Errorf("sourceAddress %s: of another family than the address %s", r.Source, r.Address), "sourceAddress"))
	}
	return errs
}

func (r *Router) addTimes(c Peer) (errs []error) {
	r.Hold = defaultHold
	sound := true
	read := func(key string, text Duration, into *time.Duration, least time.Duration) {
		if text == "" {
			return
		}
		d, err := wholeDuration(text, time.Second, least, mostHold)
		if err != nil {
			sound = false
			errs = append(errs, wrongAt(fmt.Errorf("%s %q: %w", key, clip(string(text)), err), key))
		}
		*into = d
	}
	read("holdTime", c.HoldTime, &r.Hold, leastHold)
	r.Keepalive = min(mostKeepalive, (r.Hold / keepalives).Truncate(time.Second))
	read("keepaliveTime", c.KeepaliveTime, &r.Keepalive, time.Second)
	if sound && r.Hold < keepalives*r.Keepalive {
		key := "keepaliveTime"
		errs = append(errs, wrongAt(fmt.Errorf("holdTime %s: under three keepaliveTimes of %s", shortDuration(r.Hold), shortDuration(r.Keepalive)), key))
	}
	return errs
}

// wholeDuration reads a duration of whole units.
func wholeDuration(text Duration, unit, least, most time.Duration) (time.Duration, error) {
	d, err := time.ParseDuration(string(text))
	switch {
	case err != nil:
		return 0, fmt.Errorf("no duration; want one such as %s", shortDuration(least))
	case d < least || d > most:
		return 0, fmt.Errorf("want %s to %s", shortDuration(least), most)
	case d%unit != 0:
		return 0, fmt.Errorf("want a multiple of %s", unit)
	}
	return d, nil
}

func (r *Router) addPassword(c Peer) []error {
	if c.PasswordFile != "" && c.PasswordSecret != "" {
		return []error{wrongAt(errors.New("passwordFile and passwordSecret; give one of them"), "passwordFile")}
	}
	if c.PasswordSecret == "" {
		return nil
	}
	for part := range strings.SplitSeq(c.PasswordSecret, ".") {
		if err := checkDNSLabel(part); err != nil {
			return []error{wrongAt(fmt.Errorf("passwordSecret %q: no name of a Secret: %w", clip(c.PasswordSecret), err), "passwordSecret")}
		}
	}
	return nil
}

func (r *Router) addBFD(c *BFD) (errs []error) {
	if c == nil {
		return nil
	}
	r.BFDInterval, r.BFDMultiplier = defaultInterval, defaultMissed
	if c.Interval != "" {
		d, err := wholeDuration(c.Interval, time.Millisecond, leastInterval, mostInterval)
		if err != nil {
			errs = append(errs, wrongAt(fmt.Errorf("bfd: interval %q: %w", clip(string(c.Interval)), err), "bfd", "interval"))
		}
		r.BFDInterval = d
	}
	if c.Multiplier != nil {
		if *c.Multiplier < 1 || *c.Multiplier > math.MaxUint8 {
			errs = append(errs, wrongAt(fmt.Errorf("bfd: multiplier %d; want 1 to %d", *c.Multiplier, math.MaxUint8), "bfd", "multiplier"))
		}
		r.BFDMultiplier = uint8(*c.Multiplier)
	}
	return errs
}
