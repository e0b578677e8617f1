package apitest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
)

// A call is one request on its way through the server.
type call struct {
	server *Server
	kind   kind
	req    Request
	http   *http.Request
	w      http.ResponseWriter
	codec  codec
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	c := &call{server: s, http: q, w: w, codec: s.negotiate(q.Header.Get("Accept"))}
	if err := c.handle(); err != nil {
		c.fail(err)
	}
}

func (c *call) handle() error {
	if err := c.read(); err != nil {
		return err
	}
	c.server.mu.Lock()
	c.server.requests = append(c.server.requests, c.req)
	before := c.server.faults.before
	c.server.mu.Unlock()
	if before != nil {
		if err := before(c.http, c.req); err != nil {
			return err
		}
	}
	switch c.req.Verb {
	case "watch":
		return c.watch()
	case "list":
		return c.list()
	}
	return c.single()
}

// read takes a request apart.
func (c *call) read() error {
	k, namespace, name, sub, ok := findKind(c.http.URL.Path)
	if !ok {
		return apierrors.NewGenericServerResponse(http.StatusNotFound, c.http.Method, k.groupResource(), "", c.http.URL.Path+" is not served", 0, true)
	}
	body, err := io.ReadAll(c.http.Body)
	if err != nil {
		return apierrors.NewBadRequest("read body: " + err.Error())
	}
	c.kind = k
	c.req = Request{
		Resource: k.resource, Subresource: sub, Namespace: namespace, Name: name, Query: c.http.URL.Query(), Body: body,
		ContentType: c.http.Header.Get("Content-Type"), Accept: c.http.Header.Get("Accept"), UserAgent: c.http.UserAgent(),
	}
	c.req.Verb = verb(c.http.Method, c.req)
	return nil
}

func verb(method string, r Request) string {
	switch {
	case method != http.MethodGet:
		return map[string]string{
			http.MethodPost: "create", http.MethodPut: "update", http.MethodPatch: "patch", http.MethodDelete: "delete",
		}[method]
	case r.Name != "":
		return "get"
	case r.Query.Get("watch") == "true" || r.Query.Get("watch") == "1":
		return "watch"
	}
	return "list"
}

func (c *call) id() id { return id{c.kind.resource, c.req.Namespace, c.req.Name} }

// single serves everything about one object.
func (c *call) single() error {
	c.server.mu.Lock()
	o, err := c.act()
	if err == nil && c.req.Verb != "get" {
		c.server.changed()
	}
	c.server.mu.Unlock()
	if err != nil {
		return err
	}
	code := http.StatusOK
	if c.req.Verb == "create" {
		code = http.StatusCreated
	}
	return c.reply(code, o)
}

// act is called with the server's lock held.
func (c *call) act() (Object, error) {
	switch st := c.server.store; c.req.Verb {
	case "get":
		return st.get(c.id())
	case "create", "update":
		o, err := c.object(c.req.Body)
		if err != nil {
			return nil, err
		}
		if c.req.Verb == "create" {
			return st.create(o)
		}
		return st.update(o, c.req.Subresource)
	case "patch":
		o, err := c.patched(st)
		if err != nil {
			return nil, err
		}
		return st.update(o, c.req.Subresource)
	case "delete":
		uid, version, err := c.preconditions()
		if err != nil {
			return nil, err
		}
		return st.delete(c.id(), uid, version)
	}
	return nil, apierrors.NewMethodNotSupported(c.kind.groupResource(), c.http.Method)
}

// object decodes a body, JSON or protobuf, into an object at the place that the path names.
func (c *call) object(body []byte) (Object, error) {
	into := c.kind.object()
	o, _, err := c.server.codecs.UniversalDeserializer().Decode(body, nil, into)
	if err != nil {
		return nil, apierrors.NewBadRequest("decode body: " + err.Error())
	}
	got, ok := o.(Object)
	if !ok || kindOf(got).resource != c.kind.resource {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("body is a %T", o))
	}
	if got.GetNamespace() == "" {
		got.SetNamespace(c.req.Namespace)
	}
	return got, nil
}

// patched applies a merge patch (RFC 7386), the only kind of patch here. What the patch does not
// name keeps the stored value, uid and resourceVersion included.
func (c *call) patched(st *store) (Object, error) {
	if c.req.ContentType != string(types.MergePatchType) {
		return nil, apierrors.NewGenericServerResponse(http.StatusUnsupportedMediaType, "patch", c.kind.groupResource(), c.req.Name,
			"apitest knows merge patches alone", 0, true)
	}
	old, err := st.get(c.id())
	if err != nil {
		return nil, err
	}
	doc, err := json.Marshal(old)
	if err != nil {
		return nil, apierrors.NewInternalError(err)
	}
	merged, err := jsonpatch.MergePatch(doc, c.req.Body)
	if err != nil {
		return nil, apierrors.NewBadRequest("merge patch: " + err.Error())
	}
	next := c.kind.object()
	if err := json.Unmarshal(merged, next); err != nil {
		return nil, apierrors.NewBadRequest("patched object: " + err.Error())
	}
	return next, nil
}

func (c *call) preconditions() (types.UID, string, error) {
	if len(c.req.Body) == 0 {
		return "", "", nil
	}
	kind := metav1.SchemeGroupVersion.WithKind("DeleteOptions")
	decoded, _, err := c.server.codecs.UniversalDeserializer().Decode(c.req.Body, &kind, &metav1.DeleteOptions{})
	if err != nil {
		return "", "", apierrors.NewBadRequest("delete options: " + err.Error())
	}
	o, ok := decoded.(*metav1.DeleteOptions)
	if !ok || o.Preconditions == nil {
		return "", "", nil
	}
	var uid types.UID
	var version string
	if o.Preconditions.UID != nil {
		uid = *o.Preconditions.UID
	}
	if o.Preconditions.ResourceVersion != nil {
		version = *o.Preconditions.ResourceVersion
	}
	return uid, version, nil
}

func (c *call) reply(code int, o runtime.Object) error {
	body, err := c.codec.encode(o, c.kind.group)
	if err != nil {
		return apierrors.NewInternalError(err)
	}
	c.w.Header().Set("Content-Type", c.codec.info.MediaType)
	c.w.WriteHeader(code)
	_, _ = c.w.Write(body) // the client is gone
	return nil
}

// fail answers with the Status of an error.
func (c *call) fail(err error) {
	status := statusOf(err)
	if d := status.Details; d != nil && d.RetryAfterSeconds > 0 {
		c.w.Header().Set("Retry-After", strconv.Itoa(int(d.RetryAfterSeconds)))
	}
	if err := c.reply(int(status.Code), status); err != nil {
		http.Error(c.w, err.Error(), http.StatusInternalServerError)
	}
}

func statusOf(err error) *metav1.Status {
	var known apierrors.APIStatus
	if !errors.As(err, &known) {
		known = apierrors.NewInternalError(err)
	}
	status := known.Status()
	return &status
}

// protobuf reports whether a client prefers protobuf; the first type that it names wins.
func protobuf(accept string) bool {
	first, _, _ := strings.Cut(accept, ",")
	return strings.HasPrefix(strings.TrimSpace(first), runtime.ContentTypeProtobuf)
}
