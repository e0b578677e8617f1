package watcher

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/starling-lb/starling/health"
	"github.com/starling-lb/starling/watcher/kube"
)

// A refusal is a write that failed. It never says that this node cannot do its job: it may concern
// one object or one namespace, as a webhook, a policy or a full quota does. Whether the server is
// away, or does not accept us any more, is found out by the probe, which is sent as long as there
// are refusals.
type refusal struct {
	code    health.Code // WriteForbidden or WriteRefused
	why     string      // as the API server says
	passing bool        // of the server, not of the object or a right: whatever works later ends it
	since   time.Time
	last    time.Time // when it was met last
}

// object is what was to be written.
type object struct {
	what string // "patch services/status" or "create events"
	name string // of the Service as "namespace/name", or the namespace of the Event
}

func status(k Key) object        { return object{"patch services/status", k.String()} }
func events(space string) object { return object{"create events", space} }

const (
	// believed is how long a refusal is reported after it was last met: writes are repeated within
	// half of that.
	believed = time.Minute
	// maxRefused bounds the objects whose refusals are remembered.
	maxRefused = 256
)

// wrote takes the outcome of a write. A conflict or a Service that is gone is an answer like any.
func (h *apiHealth) wrote(ctx context.Context, o object, err error) {
	switch {
	case calledOff(ctx, err):
	case err == nil, Expected(err):
		h.heard()
		h.forgive(o)
	default:
		h.refuse(o, err)
	}
}

func (h *apiHealth) refuse(o object, err error) {
	now := time.Now()
	h.mu.Lock()
	before := h.textsLocked()
	r, known := h.refused[o]
	if !known {
		r.since = now
	}
	r.code, r.why, r.passing, r.last = health.WriteRefused, reason(err), !kube.OfObject(err), now
	if kube.LacksRight(err) {
		r.code, r.passing = health.WriteForbidden, false
	}
	if known || len(h.refused) < maxRefused {
		h.refused[o] = r
	}
	words := !maps.Equal(before, h.textsLocked())
	h.mu.Unlock()
	if words {
		h.log.Warn().Str("what", o.what).Str("of", o.name).Str("reason", r.why).Msg("API server rejects a write")
		h.changed()
	}
}

// forgive ends the refusals of what could be written, and those that are out of date since
// something works.
func (h *apiHealth) forgive(written ...object) {
	h.mu.Lock()
	before := h.textsLocked()
	maps.DeleteFunc(h.refused, func(o object, r refusal) bool {
		return r.passing || slices.Contains(written, o) || time.Since(r.last) > believed
	})
	words := !maps.Equal(before, h.textsLocked())
	h.mu.Unlock()
	if words {
		h.changed()
	}
}

// refusalsLocked are the refusals as problems: one for each kind of write, however many objects it
// concerns.
func (h *apiHealth) refusalsLocked() (list []problem) {
	type kind struct {
		code health.Code
		what string
	}
	of := map[kind][]object{}
	for o, r := range h.refused {
		k := kind{r.code, o.what}
		of[k] = append(of[k], o)
	}
	for k, objects := range of {
		first := slices.MinFunc(objects, func(a, b object) int { return cmp.Compare(a.name, b.name) })
		what, since := k.what+" of "+first.name, h.refused[first].since
		if n := len(objects) - 1; n > 0 {
			what += fmt.Sprintf(" and %d more", n)
		}
		for _, o := range objects {
			if at := h.refused[o].since; at.Before(since) {
				since = at
			}
		}
		text := fmt.Sprintf("API server %s cannot %s: %s", h.host, what, h.refused[first].why)
		if k.code == health.WriteForbidden {
			text = fmt.Sprintf("forbidden by RBAC: %s (%s)", what, h.refused[first].why)
		}
		list = append(list, problem{code: k.code, text: text, since: since})
	}
	return list
}

// reason is why a write failed, in the words of the API server if it answered.
func reason(err error) string {
	switch {
	case apierrors.IsUnauthorized(err):
		return "it does not accept our credentials"
	case answered(err):
		return message(err)
	}
	return cause(err)
}
