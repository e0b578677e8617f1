package speaker

import (
	"reflect"

	"github.com/starling-lb/starling/lease"
	"github.com/starling-lb/starling/owner"
	"github.com/starling-lb/starling/watcher"
)

// roll keeps what elections were held on and what came out: a turn in which nothing of it has changed elects
// nobody anew, and when a member dies the candidates are at hand. A change of any Service or endpoint still
// costs the candidates and the elections of all addresses.
type roll struct {
	vips      []lease.VIP
	endpoints map[watcher.Key]watcher.Endpoints
	voters    *owner.Electorate
	scopes    scopes

	candidates []owner.VIP
	verdicts   []owner.Verdict // without yields; never changed in place
}

// call brings the roll up to the world. The table never changes a list of addresses that it handed out, nor
// the watcher a map of endpoints, so those that are the same have the same contents.
func (s *Speaker) call(w *world) []owner.Verdict {
	r := &s.roll
	same := !w.edited && len(r.vips) == len(w.vips) && (len(w.vips) == 0 || &r.vips[0] == &w.vips[0]) &&
		reflect.ValueOf(r.endpoints).Pointer() == reflect.ValueOf(w.cluster.Endpoints).Pointer()
	if same && r.voters != nil && r.voters.Equal(w.voters) && r.scopes.equal(w.scopes) {
		return r.verdicts
	}
	if !same {
		r.candidates = make([]owner.VIP, len(w.vips))
		for i, v := range w.vips {
			r.candidates[i] = s.candidate(w, v)
		}
	}
	r.vips, r.endpoints, r.voters, r.scopes = w.vips, w.cluster.Endpoints, w.voters, w.scopes
	r.verdicts = make([]owner.Verdict, len(w.vips))
	for i, c := range r.candidates {
		c.Scope = w.scopes.of(w.vips[i].Pool)
		r.verdicts[i] = w.voters.Elect(c)
	}
	return r.verdicts
}
