package apitest

import (
	"fmt"
	"net/http"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
)

// A page is the rest of a list that was asked for in parts: later parts are of the same version as
// the first.
type page struct {
	version uint64
	rest    []Object
}

// A filter is what a list or watch selects.
type filter struct {
	label     labels.Selector
	field     fields.Selector
	namespace string
}

func (c *call) filter() (filter, error) {
	label, err := labels.Parse(c.req.Query.Get("labelSelector"))
	if err != nil {
		return filter{}, apierrors.NewBadRequest("labelSelector: " + err.Error())
	}
	field, err := fields.ParseSelector(c.req.Query.Get("fieldSelector"))
	if err != nil {
		return filter{}, apierrors.NewBadRequest("fieldSelector: " + err.Error())
	}
	return filter{label, field, c.req.Namespace}, nil
}

func (f filter) match(o Object) bool {
	if o == nil || f.namespace != "" && o.GetNamespace() != f.namespace {
		return false
	}
	set := fields.Set{"metadata.name": o.GetName(), "metadata.namespace": o.GetNamespace()}
	if e, ok := o.(*corev1.Event); ok {
		set["involvedObject.kind"], set["involvedObject.name"] = e.InvolvedObject.Kind, e.InvolvedObject.Name
		set["involvedObject.uid"] = string(e.InvolvedObject.UID)
	}
	return f.label.Matches(labels.Set(o.GetLabels())) && f.field.Matches(set)
}

func (c *call) list() error {
	f, err := c.filter()
	if err != nil {
		return err
	}
	c.server.mu.Lock()
	list, err := c.part(f)
	c.server.mu.Unlock()
	if err != nil {
		return err
	}
	return c.reply(http.StatusOK, list)
}

// part returns a list or the part of it that was asked for. It is called with the server's lock
// held.
func (c *call) part(f filter) (runtime.Object, error) {
	st := c.server.store
	p := page{version: st.version}
	if token := c.req.Query.Get("continue"); token != "" {
		var ok bool
		if p, ok = c.server.pages[token]; !ok {
			return nil, apierrors.NewResourceExpired("the continue token is too old")
		}
		delete(c.server.pages, token)
	} else {
		if err := notYet(c.req.Query.Get("resourceVersion"), st.version); err != nil {
			return nil, err
		}
		for _, o := range st.all(c.kind.resource, f.namespace) {
			if f.match(o) {
				p.rest = append(p.rest, o)
			}
		}
	}
	return c.cutPage(p)
}

// cutPage takes limit objects off a list. Like a real server's cache, a list at version "0" is
// never cut.
func (c *call) cutPage(p page) (runtime.Object, error) {
	limit, _ := strconv.Atoi(c.req.Query.Get("limit"))
	list := c.kind.list()
	m, err := meta.ListAccessor(list)
	if err != nil {
		return nil, apierrors.NewInternalError(err)
	}
	now := p.rest
	if limit > 0 && limit < len(p.rest) && c.req.Query.Get("resourceVersion") != "0" {
		now = p.rest[:limit]
		token := fmt.Sprintf("%d-%d", p.version, len(p.rest)-limit)
		c.server.pages[token] = page{p.version, p.rest[limit:]}
		m.SetContinue(token)
		left := int64(len(p.rest) - limit)
		m.SetRemainingItemCount(&left)
	}
	items := make([]runtime.Object, len(now))
	for i, o := range now {
		items[i] = o
	}
	m.SetResourceVersion(strconv.FormatUint(p.version, 10))
	if err := meta.SetList(list, items); err != nil {
		return nil, apierrors.NewInternalError(err)
	}
	return list, nil
}

// notYet refuses a version that the server has not reached.
func notYet(version string, now uint64) error {
	want, err := parseVersion(version)
	if err != nil || want <= now {
		return err
	}
	e := apierrors.NewTimeoutError(fmt.Sprintf("Too large resource version: %d, current: %d", want, now), 1)
	e.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: metav1.CauseTypeResourceVersionTooLarge, Message: "Too large resource version"}}
	return e
}

func parseVersion(version string) (uint64, error) {
	if version == "" {
		return 0, nil
	}
	v, err := strconv.ParseUint(version, 10, 64)
	if err != nil {
		return 0, apierrors.NewBadRequest("resourceVersion: " + err.Error())
	}
	return v, nil
}
