package lease

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// Keep says what becomes of a bound address that its Service may not have any more. "" is
// KeepUntilReplaced. In the configuration KeepAlways and KeepNever are true and false.
type Keep string

const (
	// KeepUntilReplaced keeps the address until the Service has another one.
	KeepUntilReplaced Keep = "untilReplaced"
	// KeepAlways keeps an address that the ranges of its pool do not contain any more.
	KeepAlways Keep = "true"
	// KeepNever gives the address up after a while, whether or not there is another one.
	KeepNever Keep = "false"
)

const (
	// defaultRevoke is how long an address is kept that is given up without another one, if nothing
	// else is said.
	defaultRevoke = 30 * time.Second
	// overslept is by how much a look at the time of giving up may be late.
	overslept = 2 * time.Second
	// never stands for the time after which nothing is given up without another one.
	never = time.Duration(-1)
)

// UnmarshalJSON reads true, false or "untilReplaced".
func (k *Keep) UnmarshalJSON(text []byte) error {
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		return err
	}
	switch {
	case v == nil:
	case !isKeep(v):
		return errors.New(wantKeep)
	default:
		*k = Keep(fmt.Sprint(v))
	}
	return nil
}

// MarshalJSON writes what UnmarshalJSON reads.
func (k Keep) MarshalJSON() ([]byte, error) {
	if k == KeepAlways || k == KeepNever {
		return []byte(k), nil
	}
	return json.Marshal(string(k))
}

const wantKeep = "true, false or untilReplaced"

// isKeep reports whether a decoded value is one of those that Keep may have in a document.
func isKeep(v any) bool {
	_, ok := v.(bool)
	return ok || v == string(KeepUntilReplaced)
}

// addKeep reads what becomes of addresses that a Service may not have any more.
func (q *pool) addKeep(c Pool) []error {
	q.Keep, q.revoke = c.Keep, never
	var errs []error
	switch c.Keep {
	case "", KeepUntilReplaced, KeepAlways:
	case KeepNever:
		q.revoke = defaultRevoke
	default:
		errs = append(errs, wrongAt(fmt.Errorf("keep %q: want %s", clip(string(c.Keep)), wantKeep), "keep"))
	}
	if c.RevokeAfter != "" {
		after, err := time.ParseDuration(string(c.RevokeAfter))
		switch {
		case err != nil:
			err = errors.New("no duration; want one such as 30s or 5m")
		case after < 0:
			err = errors.New("negative; want 0s or more")
		case c.Keep != KeepNever:
			err = errors.New("has no effect without keep: false; remove it, or add keep: false")
		default:
			q.revoke = after
		}
		if err != nil {
			errs = append(errs, wrongAt(fmt.Errorf("revokeAfter %q: %w", clip(string(c.RevokeAfter)), err), "revokeAfter"))
		}
	}
	q.RevokeAfter = max(q.revoke, 0)
	return errs
}

// formatRevoke writes the rule of a pool into a lease, "" for none; parseRevoke reads it there.
func formatRevoke(after time.Duration) string {
	if after == never {
		return ""
	}
	return after.String()
}

// shortDuration writes a time for people: "1h" and not "1h0m0s".
func shortDuration(after time.Duration) string {
	text := after.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

func parseRevoke(text string) time.Duration {
	if after, err := time.ParseDuration(text); err == nil && after >= 0 {
		return after
	}
	return never
}

// revokeAfter is how long the Service keeps an address that it may not have any more, if it gets no
// other one: by the pool that contains it, else by the one that it came from, else, if that one is
// gone, by what the lease remembers of it.
func (d *draft) revokeAfter(ip netip.Addr) time.Duration {
	h := d.e.at(ip)
	q := d.v.Pools.of(ip)
	if q == nil && h != nil {
		q = d.v.Pools.byName[h.pool]
	}
	switch {
	case h != nil && h.leased && (q == nil || d.v.Freeze):
		return h.revoke
	case q != nil:
		return q.revoke
	}
	return never
}

// stray is an address that a Service has to give up. Each speaker waits for itself and nothing
// depends on whose wait is over first: the write lands only on the Service that was looked at.
type stray struct {
	since time.Time
	ripe  bool // the wait is over, and was seen to be in time
}

// revoked reports whether the Service has to give up an address that it shows now, because it may
// not have it any more; if it has to do so later, the plan says when and the failure says so to the
// user. A speaker that did not run when the wait was over has old news, and waits anew.
func (d *draft) revoked(h *hold) bool {
	after := d.revokeAfter(h.ip)
	if after == never || !h.shown || d.v.Freeze || d.e.s.Deleting {
		return false
	}
	why := d.unfit(h)
	if why == "" {
		return false
	}
	s := stray{since: d.v.Now}
	if d.e.agenda != nil && !d.e.strays[h.ip].since.IsZero() {
		s = d.e.strays[h.ip]
	}
	at := s.since.Add(after)
	if !s.ripe && d.v.Now.After(at.Add(overslept)) {
		s.since, at = d.v.Now, d.v.Now.Add(after)
	}
	s.ripe = !d.v.Now.Before(at)
	if d.strays == nil {
		d.strays = make(map[netip.Addr]stray)
	}
	if d.strays[h.ip] = s; s.ripe {
		return true
	}
	d.again = earliest(d.again, at)
	if d.fail != nil {
		d.fail.add("", fmt.Sprintf("it loses %s in %s unless it gets another one first: %s %s", h.ip, shortDuration(after), h.ip, why))
	}
	return false
}
