package apitest

import (
	"fmt"
	"net/http"
	"strconv"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apimachinery/pkg/watch"
)

// A watching is one open watch.
type watching struct {
	*call
	filter   filter
	at       uint64 // everything up to here was sent
	epoch    int
	sent     int
	bookmark bool // the client takes bookmarks
}

// watch serves a watch until it ends; an error means that nothing was sent.
func (c *call) watch() error {
	f, err := c.filter()
	if err != nil {
		return err
	}
	w := &watching{call: c, filter: f, bookmark: c.req.Query.Get("allowWatchBookmarks") == "true"}
	initial, err := w.begin()
	if err != nil {
		return err
	}
	w.w.Header().Set("Content-Type", w.codec.streamType())
	w.w.WriteHeader(http.StatusOK)
	w.flush()
	for _, e := range initial {
		if !w.send(e.event, e.object) {
			return nil
		}
	}
	w.flush()
	w.follow()
	return nil
}

// outgoing is an event on its way; before is not needed any more.
type outgoing struct {
	event  watch.EventType
	object runtime.Object
}

// begin finds where the watch starts and what it sends at once.
func (w *watching) begin() ([]outgoing, error) {
	w.server.mu.Lock()
	defer w.server.mu.Unlock()
	st := w.server.store
	w.epoch = w.server.faults.epoch
	version, err := parseVersion(w.req.Query.Get("resourceVersion"))
	if err != nil {
		return nil, err
	}
	if w.req.Query.Get("sendInitialEvents") == "true" {
		if err := w.streamable(); err != nil {
			return nil, err
		}
		if err := notYet(w.req.Query.Get("resourceVersion"), st.version); err != nil {
			return nil, err
		}
		return append(w.present(st), outgoing{watch.Bookmark, w.mark(st.version, true)}), nil
	}
	if version == 0 {
		return w.present(st), nil
	}
	w.at = version
	if _, ok := st.since(version); !ok {
		return []outgoing{{watch.Error, statusOf(apierrors.NewResourceExpired(fmt.Sprintf("too old resource version: %d (%d)", version, st.floor)))}}, nil
	}
	return nil, nil
}

// streamable refuses streamed lists where the server does not know them, or the request is not
// complete.
func (w *watching) streamable() error {
	q := w.req.Query
	if !w.server.faults.noWatchList && q.Get("resourceVersionMatch") == "NotOlderThan" && w.bookmark {
		return nil
	}
	return apierrors.NewInvalid(schema.GroupKind{Group: "meta.k8s.io", Kind: "ListOptions"}, "", field.ErrorList{
		field.Forbidden(field.NewPath("sendInitialEvents"), "sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled"),
	})
}

// present returns every selected object as added.
func (w *watching) present(st *store) []outgoing {
	w.at = st.version
	var out []outgoing
	for _, o := range st.all(w.kind.resource, w.filter.namespace) {
		if w.filter.match(o) {
			out = append(out, outgoing{watch.Added, o})
		}
	}
	return out
}

func (w *watching) mark(version uint64, endOfList bool) Object {
	o := w.kind.object()
	o.SetResourceVersion(strconv.FormatUint(version, 10))
	if endOfList {
		o.SetAnnotations(map[string]string{metav1.InitialEventsAnnotationKey: "true"})
	}
	return o
}

// follow sends changes until the watch ends.
func (w *watching) follow() {
	end := w.timeout()
	for {
		out, wake, every, alive := w.next()
		for _, e := range out {
			if !w.send(e.event, e.object) {
				return
			}
		}
		w.flush()
		if !alive {
			return
		}
		select {
		case <-wake:
		case <-time.After(every):
			if w.bookmark && !w.sendBookmark() {
				return
			}
		case <-end:
			return
		case <-w.http.Context().Done():
			return
		}
	}
}

func (w *watching) timeout() <-chan time.Time {
	if seconds, err := strconv.Atoi(w.req.Query.Get("timeoutSeconds")); err == nil && seconds > 0 {
		return time.After(time.Duration(seconds) * time.Second)
	}
	return nil
}

// next collects what has happened since, and says whether the watch goes on after that.
func (w *watching) next() (out []outgoing, wake <-chan struct{}, every time.Duration, alive bool) {
	w.server.mu.Lock()
	defer w.server.mu.Unlock()
	fs, st := &w.server.faults, w.server.store
	if fs.epoch != w.epoch {
		if fs.torn {
			w.tear(st)
		}
		return nil, nil, 0, false
	}
	if fs.held[w.kind.resource] {
		return nil, w.server.wake, fs.bookmarks, true
	}
	changes, ok := st.since(w.at)
	if !ok {
		gone := apierrors.NewResourceExpired(fmt.Sprintf("too old resource version: %d (%d)", w.at, st.floor))
		return []outgoing{{watch.Error, statusOf(gone)}}, nil, 0, false
	}
	for _, ch := range changes {
		if e, ok := w.translate(ch); ok {
			out = append(out, e)
			w.sent++
		}
		w.at = ch.version
		if fs.cutAfter > 0 && w.sent >= fs.cutAfter {
			return out, nil, 0, false
		}
	}
	return out, w.server.wake, fs.bookmarks, true
}

// translate turns a change into an event as this watch sees it: an object that stops matching was
// deleted.
func (w *watching) translate(c change) (outgoing, bool) {
	if c.id.resource != w.kind.resource {
		return outgoing{}, false
	}
	was, is := w.filter.match(c.before), w.filter.match(c.object) && c.event != watch.Deleted
	switch {
	case is && was:
		return outgoing{watch.Modified, c.object}, true
	case is:
		return outgoing{watch.Added, c.object}, true
	case was:
		return outgoing{watch.Deleted, c.object}, true
	}
	return outgoing{}, false
}

func (w *watching) sendBookmark() bool {
	w.server.mu.Lock()
	held := w.server.faults.held[w.kind.resource]
	w.server.mu.Unlock()
	return held || w.send(watch.Bookmark, w.mark(w.at, false))
}

func (w *watching) send(event watch.EventType, o runtime.Object) bool {
	b, err := w.codec.event(event, o, w.kind.group)
	if err != nil {
		panic(fmt.Sprintf("apitest: %v", err))
	}
	_, err = w.w.Write(b)
	return err == nil
}

// tear writes half an event and breaks the connection. It is called with the server's lock held.
func (w *watching) tear(st *store) {
	b, err := w.codec.event(watch.Modified, w.mark(st.version, false), w.kind.group)
	if err != nil {
		panic(fmt.Sprintf("apitest: %v", err))
	}
	w.server.mu.Unlock()
	defer w.server.mu.Lock()
	if _, err := w.w.Write(b[:len(b)/2]); err == nil {
		w.flush()
	}
	panic(http.ErrAbortHandler)
}

func (w *watching) flush() {
	if f, ok := w.w.(http.Flusher); ok {
		f.Flush()
	}
}
