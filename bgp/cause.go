package bgp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"unicode/utf8"

	wire "github.com/osrg/gobgp/v4/pkg/packet/bgp"

	"github.com/starling-lb/starling/routes"
)

// failure is why a session ended, or did not come to be.
type failure struct {
	cause routes.Cause
	text  string
	last  *wire.BGPNotification // what to tell the router; nil: nothing
}

func (f *failure) Error() string { return fmt.Sprintf("%s: %s", f.cause, f.text) }

func failed(cause routes.Cause, format string, args ...any) *failure {
	return &failure{cause: cause, text: fmt.Sprintf(format, args...)}
}

// notDialed is why there is no connection to a router.
func notDialed(err error, r routes.Router) *failure {
	at := net.JoinHostPort(r.Address.String(), strconv.Itoa(int(r.Port)))
	switch {
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ECONNRESET):
		return failed(routes.Refused, "nothing listens at %s, or it turns this node away", at)
	case errors.Is(err, syscall.ENETUNREACH):
		return failed(routes.Unreachable, "this node has no route to %s", r.Address)
	case errors.Is(err, syscall.EHOSTUNREACH):
		return failed(routes.Unreachable, "%s does not answer ARP or neighbor discovery, or a router on the way knows no route", r.Address)
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded), errors.Is(err, syscall.ETIMEDOUT), isTimeout(err):
		return failed(routes.Unreachable, "%s does not answer%s", at, suspicion(r))
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return failed(routes.Unusable, "this node does not have the source address %s", r.Source)
	}
	return failed(routes.Unusable, "connect to %s: %v", at, bare(err))
}

// suspicion is what else silence can mean: with the wrong password packets are dropped unseen.
func suspicion(r routes.Router) string {
	if r.Password != "" {
		return "; with a wrong password it is silent too"
	}
	return "; if it expects a password it is silent too"
}

func isTimeout(err error) bool {
	n, ok := errors.AsType[net.Error](err)
	return ok && n.Timeout()
}

// bare is the innermost of what the network says, without the addresses.
func bare(err error) error {
	if o, ok := errors.AsType[*net.OpError](err); ok {
		return o.Err
	}
	return err
}

// lost is why the messages of a router ended, in a phase whose words begin with a space, if there
// are any.
func lost(err error, phase string) *failure {
	if n := broken(err); n != nil {
		return &failure{cause: routes.Rejected, text: fmt.Sprintf("the router sent a message with a mistake: %v", err), last: n}
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) {
		return failed(routes.Rejected, "the router closed the connection%s", phase)
	}
	return failed(routes.Rejected, "the connection ended%s: %v", phase, bare(err))
}

// notified is what a NOTIFICATION of the router means.
func notified(n *wire.BGPNotification, p peering) *failure {
	switch {
	case n.ErrorCode == wire.BGP_ERROR_OPEN_MESSAGE_ERROR && n.ErrorSubcode == wire.BGP_ERROR_SUB_BAD_PEER_AS:
		return failed(routes.WrongAS, "the router expects another AS of this node than %d", p.ASN)
	case n.ErrorCode == wire.BGP_ERROR_HOLD_TIMER_EXPIRED:
		return failed(routes.Timeout, "the router heard nothing of this node for the hold time")
	}
	return failed(routes.Rejected, "the router says: %s", words(n))
}

// errorNames are what the codes of a NOTIFICATION mean (RFC 4271, 4486, 6608, 8538, 9384).
var errorNames = map[uint8][]string{
	wire.BGP_ERROR_MESSAGE_HEADER_ERROR: {"message header error", "connection not synchronized", "bad message length", "bad message type"},
	wire.BGP_ERROR_OPEN_MESSAGE_ERROR:   {"OPEN message error", "unsupported version", "bad peer AS", "bad BGP identifier", "unsupported optional parameter", "authentication failure", "unacceptable hold time", "unsupported capability"},
	wire.BGP_ERROR_UPDATE_MESSAGE_ERROR: {"UPDATE message error", "malformed attribute list", "unrecognized well-known attribute", "missing well-known attribute", "attribute flags error", "attribute length error", "invalid ORIGIN", "routing loop", "invalid NEXT_HOP", "optional attribute error", "invalid network field", "malformed AS_PATH"},
	wire.BGP_ERROR_HOLD_TIMER_EXPIRED:   {"hold timer expired"},
	wire.BGP_ERROR_FSM_ERROR:            {"finite state machine error", "unexpected message in OpenSent", "unexpected message in OpenConfirm", "unexpected message in Established"},
	wire.BGP_ERROR_CEASE:                {"cease", "maximum number of prefixes reached", "administrative shutdown", "peer de-configured", "administrative reset", "connection rejected", "other configuration change", "connection collision resolution", "out of resources", "hard reset", "BFD down"},
}

// words are a NOTIFICATION for people, with the operator's message of RFC 9003.
func words(n *wire.BGPNotification) string {
	names := errorNames[n.ErrorCode]
	if len(names) == 0 {
		return fmt.Sprintf("error %d/%d", n.ErrorCode, n.ErrorSubcode)
	}
	out := names[0]
	if s := int(n.ErrorSubcode); s > 0 && s < len(names) {
		out += ", " + names[s]
	} else if s > 0 {
		out += fmt.Sprintf(" %d", s)
	}
	if m := message(n); m != "" {
		out += fmt.Sprintf(": %q", m)
	}
	return out
}

// message is what the operator of the router wants us to know, "" if nothing.
func message(n *wire.BGPNotification) string {
	about := n.ErrorSubcode == wire.BGP_ERROR_SUB_ADMINISTRATIVE_SHUTDOWN || n.ErrorSubcode == wire.BGP_ERROR_SUB_ADMINISTRATIVE_RESET
	if n.ErrorCode != wire.BGP_ERROR_CEASE || !about || len(n.Data) == 0 || int(n.Data[0]) > len(n.Data)-1 {
		return ""
	}
	text := n.Data[1 : 1+n.Data[0]]
	if !utf8.Valid(text) {
		return ""
	}
	return strings.Join(strings.Fields(string(text)), " ")
}
