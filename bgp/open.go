package bgp

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"

	wire "github.com/osrg/gobgp/v4/pkg/packet/bgp"

	"github.com/starling-lb/starling/routes"
)

// peering is what a session is with and by. A session that is there ends when any of it changes.
type peering struct {
	ASN      uint32
	RouterID netip.Addr
	router   routes.Router // without paths
}

func peeringOf(set routes.Set, r routes.Router) peering {
	r.Paths = nil
	return peering{set.ASN, set.RouterID, r}
}

func (p peering) internal() bool { return p.ASN == p.router.ASN }

// open is our OPEN. A speaker that restarts says so (R), and always that this node goes on
// forwarding while its speaker is away (F), since its kernel does (RFC 4724, 3).
func (p peering) open(restarts bool) *wire.BGPMessage {
	var offers []wire.ParameterCapabilityInterface
	var keeps []*wire.CapGracefulRestartTuple
	var several []*wire.CapAddPathTuple
	for _, f := range families {
		offers = append(offers, wire.NewCapMultiProtocol(f))
		keeps = append(keeps, wire.NewCapGracefulRestartTuple(f, true))
		several = append(several, wire.NewCapAddPathTuple(f, wire.BGP_ADD_PATH_SEND))
	}
	offers = append(offers, wire.NewCapRouteRefresh(), wire.NewCapFourOctetASNumber(p.ASN))
	if p.router.Restart > 0 {
		offers = append(offers, wire.NewCapGracefulRestart(restarts, false, restartTime(p.router.Restart), keeps))
	}
	if p.router.AddPath {
		offers = append(offers, wire.NewCapAddPath(several))
	}
	return &wire.BGPMessage{
		Header: wire.BGPHeader{Type: wire.BGP_MSG_OPEN},
		Body: &wire.BGPOpen{
			Version: 4, MyAS: short(p.ASN), HoldTime: seconds(p.router.Hold), ID: p.RouterID,
			OptParams: []wire.OptionParameterInterface{wire.NewOptionParameterCapability(offers)},
		},
	}
}

// restartTime is in seconds, in twelve bits.
func restartTime(d time.Duration) uint16 { return min(seconds(d), 1<<12-1) }

func seconds(d time.Duration) uint16 {
	return uint16(min(max(d/time.Second, 0), 1<<16-1))
}

// agreed is what an OPEN of the router and ours come to.
type agreed struct {
	terms
	offered [2]bool       // families of which the router takes several paths, whether we asked or not
	hold    time.Duration // 0: neither side expects a word of the other
	pause   time.Duration // between two KEEPALIVE messages
}

// within is how long the router may take for what it is sent.
func (a agreed) within() time.Duration {
	if a.hold > 0 {
		return min(openTime, a.hold)
	}
	return openTime
}

// answer reads the router's OPEN.
func (p peering) answer(o *wire.BGPOpen) (agreed, error) {
	asn, caps := uint32(o.MyAS), map[wire.BGPCapabilityCode][]wire.ParameterCapabilityInterface{}
	for _, param := range o.OptParams {
		if c, ok := param.(*wire.OptionParameterCapability); ok {
			for _, c := range c.Capability {
				caps[c.Code()] = append(caps[c.Code()], c)
			}
		}
	}
	wide, four := last[*wire.CapFourOctetASNumber](caps[wire.BGP_CAP_FOUR_OCTET_AS_NUMBER])
	if four {
		asn = wide.CapValue
	}
	if err := p.objection(o, asn); err != nil {
		return agreed{}, err
	}
	a := agreed{terms: terms{asn: p.ASN, internal: p.internal(), narrow: !four, takes: takes(caps)}}
	for _, c := range caps[wire.BGP_CAP_ADD_PATH] {
		for _, t := range c.(*wire.CapAddPath).Tuples {
			for i, f := range families {
				if t.Family == f && t.Mode&wire.BGP_ADD_PATH_RECEIVE != 0 {
					a.offered[i] = true
					a.addPath[i] = p.router.AddPath
				}
			}
		}
	}
	a.hold = min(time.Duration(o.HoldTime)*time.Second, p.router.Hold.Truncate(time.Second))
	a.pause = a.hold / 3
	if k := p.router.Keepalive; k > 0 {
		a.pause = min(k, a.pause)
	}
	return a, nil
}

// last is the last of some capabilities, which counts.
func last[C any](caps []wire.ParameterCapabilityInterface) (C, bool) {
	var none C
	if len(caps) == 0 {
		return none, false
	}
	c, ok := caps[len(caps)-1].(C)
	return c, ok
}

// takes are the families that the router takes paths of: IPv4 if it names none (RFC 4760).
func takes(caps map[wire.BGPCapabilityCode][]wire.ParameterCapabilityInterface) [2]bool {
	named := caps[wire.BGP_CAP_MULTIPROTOCOL]
	out := [2]bool{len(named) == 0, false}
	for _, c := range named {
		for i, f := range families {
			if m, ok := c.(*wire.CapMultiProtocol); ok && m.CapValue == f {
				out[i] = true
			}
		}
	}
	return out
}

// objection is why there can be no session after an OPEN like that.
func (p peering) objection(o *wire.BGPOpen, asn uint32) error {
	refuse := func(subcode uint8, cause routes.Cause, data []byte, format string, args ...any) error {
		return &failure{
			cause: cause, text: fmt.Sprintf(format, args...),
			last: &wire.BGPNotification{ErrorCode: wire.BGP_ERROR_OPEN_MESSAGE_ERROR, ErrorSubcode: subcode, Data: data},
		}
	}
	switch {
	case o.Version != 4:
		return refuse(wire.BGP_ERROR_SUB_UNSUPPORTED_VERSION_NUMBER, routes.Rejected, []byte{0, 4}, "the router speaks version %d of BGP", o.Version)
	case asn != p.router.ASN:
		return refuse(wire.BGP_ERROR_SUB_BAD_PEER_AS, routes.WrongAS, nil, "the router has AS %d, the configuration says %d", asn, p.router.ASN)
	case o.ID.IsUnspecified() || p.internal() && o.ID == p.RouterID:
		return refuse(wire.BGP_ERROR_SUB_BAD_BGP_IDENTIFIER, routes.Rejected, nil, "the router has the router ID %s, which is none or ours", o.ID)
	case o.HoldTime == 1 || o.HoldTime == 2:
		return refuse(wire.BGP_ERROR_SUB_UNACCEPTABLE_HOLD_TIME, routes.Rejected, binary.BigEndian.AppendUint16(nil, o.HoldTime), "the router has a hold time of %d s, and 3 s are the least", o.HoldTime)
	}
	return nil
}
