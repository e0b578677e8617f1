package watcher

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
)

const (
	// maxBreak is the longest break after which a watch goes on where it ended. An API server that
	// was away for longer has to list for most of its clients anyway.
	maxBreak = 3 * time.Second
	// listAgain is when a stream lists anew although nothing went wrong, up to a half later at
	// random: 10,000 Services are about 15 MB.
	listAgain = time.Hour
	// onTime is how much before its time a watch may end and still count as one that lasted for as
	// long as it was to.
	onTime = time.Second
)

// A proof is what a stream knows of its place in the history of the API server, to find out whether
// the server still has that history. A version is no more than a number: after etcd was restored
// from a backup and written to, it stands for something else, and a watch from there would go on
// without a word.
//
// The server has no name for its history. What it has is objects, and each carries the version of
// its last change. So the newest object that the stream has seen is its witness: if the server has
// that very object, to the last field, then it has the history up to the object's version. From
// there the watch goes on, not from the position, which bookmarks and changes of other resources
// have moved on: whatever comes between the two shows that the histories differ, or that an object
// was deleted, and the stream lists anew. So it does without a witness, that is after a deletion.
type proof struct {
	mu      sync.Mutex // guards all following fields
	witness runtime.Object
	ended   time.Time // when a list or the last watch ended
	regular bool      // and whether nothing speaks of anything but the same server, which went on
	renew   time.Time // when to list anew in any case
}

// listing begins a list.
func (p *proof) listing() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.witness = nil
	p.renew = time.Now().Add(listAgain + rand.N(listAgain/2))
}

// passed notes what has just been handed on by a list or watch.
func (p *proof) passed(event watch.EventType, o runtime.Object) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch event {
	case watch.Deleted:
		p.witness = nil
	case watch.Added, watch.Modified: // the objects of a list are in no order of versions
		if p.witness == nil || versionNumber(o) > versionNumber(p.witness) {
			p.witness = o
		}
	}
}

// stopped notes the end of a list or watch.
func (p *proof) stopped(regular bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended, p.regular = time.Now(), regular
}

// doubt says why a watch may not go on, whatever the server has: "" if it may.
func (p *proof) doubt() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch now := time.Now(); {
	case now.Sub(p.ended) > maxBreak:
		return fmt.Sprintf("interrupted for more than %s", maxBreak)
	case now.After(p.renew):
		return "listed long ago"
	case p.witness == nil && !p.regular:
		return "interrupted, and no known object proves the history"
	}
	return ""
}

// needed returns the witness that a watch has to have to go on, nil for none.
func (p *proof) needed() runtime.Object {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.regular {
		return nil
	}
	return p.witness
}

// from says from which version a watch may begin that stands at a position, 0 none. The error
// "expired" makes the reflector list instead. For a list the position is only the least that it has
// to show.
func (s *stream) from(ctx context.Context, position uint64, listing bool) (uint64, error) {
	switch why := s.proof.doubt(); {
	case position == 0:
		return 0, nil
	case !listing && why != "":
		return 0, s.expire(why)
	}
	witness := s.proof.needed()
	if listing || witness == nil || versionNumber(witness) > position {
		_, err := s.head(ctx, position, s.only)
		return position, err
	}
	same, err := s.has(ctx, position, witness)
	if err == nil && !same {
		err = s.expire("the newest object that was known is gone or changed")
	}
	return versionNumber(witness), err
}

func (s *stream) expire(why string) error {
	return apierrors.NewResourceExpired(s.resource + ": " + why)
}

// has reports whether the API server has this very object.
func (s *stream) has(ctx context.Context, at uint64, o runtime.Object) (bool, error) {
	m, err := meta.Accessor(o)
	if err != nil {
		return false, fmt.Errorf("witness: %w", err)
	}
	list, err := s.head(ctx, at, Key{Namespace: m.GetNamespace(), Name: m.GetName()})
	if err != nil {
		return false, err
	}
	same := false
	err = meta.EachListItem(list, func(got runtime.Object) error {
		same = same || equality.Semantic.DeepEqual(got, o)
		return nil
	})
	return same, err
}

// head asks for one object, or for the first of all, as of now. It notices an API server whose
// history was set back and has not caught up with the position yet: until then a watch would stay
// silent.
func (s *stream) head(ctx context.Context, at uint64, only Key) (runtime.Object, error) {
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	list, err := s.requestOne(metav1.ListOptions{Limit: 1}, only).Do(ctx).Get()
	if err != nil {
		return nil, err
	}
	m, err := meta.ListAccessor(list)
	if err != nil {
		return nil, err
	}
	if now := number(m.GetResourceVersion()); now != 0 && now < at {
		return nil, s.expire(fmt.Sprintf("the server is at version %d, we were at %d", now, at))
	}
	return list, nil
}

// note remembers the newest object of a list. It is a copy, because the objects of a list are held
// together.
func (p *proof) note(list runtime.Object) {
	var newest runtime.Object
	_ = meta.EachListItem(list, func(o runtime.Object) error { // an answer that is no list is refused by the reflector
		if newest == nil || versionNumber(o) > versionNumber(newest) {
			newest = o
		}
		return nil
	})
	if newest != nil {
		p.passed(watch.Added, newest.DeepCopyObject())
	}
}

// number reads a resourceVersion; 0 is none.
func number(version string) uint64 {
	n, err := strconv.ParseUint(version, 10, 64)
	if err != nil {
		return 0
	}
	return n
}

func versionNumber(o any) uint64 { return number(versionOf(o)) }
