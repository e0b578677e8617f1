package doctor

import (
	"fmt"
	"strings"

	"github.com/starling-lb/starling/api"
	"github.com/starling-lb/starling/health"
)

// routers reports what became of the sessions of the node with BGP routers.
func routers(s api.Snapshot) (list []Check) {
	for _, r := range s.Routers {
		at := r.Name + " (" + r.Address + ")"
		wrong := ofRouter(s, r.Name)
		switch {
		case len(wrong) > 0:
			list = append(list, wrong...)
		case r.Session == nil:
			list = append(list, Check{"bgp", OK, fmt.Sprintf("router %s learns of this node from %s", at, strings.Join(r.Up, " ")), "", ""})
		case r.Session.State == "established":
			list = append(list, Check{"bgp", OK, fmt.Sprintf("router %s has a session, with %d paths", at, r.Session.Paths), "", ""})
		default:
			list = append(list, Check{"bgp", Unknown, fmt.Sprintf("the session with router %s is not there yet: %s", at, r.Session.State), "", ""})
		}
	}
	return list
}

// ofRouter are the conditions of a router.
func ofRouter(s api.Snapshot, name string) (list []Check) {
	for _, c := range s.Conditions {
		if c.Subject != health.Router(name) {
			continue
		}
		result := Warn
		if c.Severity == health.Error {
			result = Fail
		}
		list = append(list, found("bgp", result, c))
	}
	return list
}
