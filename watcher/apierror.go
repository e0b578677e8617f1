package watcher

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/starling-lb/starling/health"
)

// words says in one line why an attempt such as "list services" failed, for people: who was asked,
// and what to look at.
func (h *apiHealth) words(what string, err error) (health.Code, string) {
	var status apierrors.APIStatus
	switch {
	case apierrors.IsForbidden(err):
		return health.APIForbidden, fmt.Sprintf("forbidden by RBAC: %s (%s)", what, message(err))
	case apierrors.IsUnauthorized(err):
		return health.APIUnauthorized, fmt.Sprintf("API server %s does not accept our credentials", h.host)
	case errors.As(err, &status):
		return health.APIFailing, fmt.Sprintf("API server %s cannot %s: %s", h.host, what, message(err))
	}
	return health.APIUnreachable, fmt.Sprintf("API server %s unreachable: %s", h.host, cause(err))
}

// message returns what the API server said, or its reason when it said nothing. What is forbidden
// is said before.
func message(err error) string {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return err.Error()
	}
	s := status.Status()
	if s.Message == "" {
		return strings.ToLower(http.StatusText(int(s.Code)))
	}
	if _, who, ok := strings.Cut(s.Message, " is forbidden: "); ok {
		return who
	}
	return s.Message
}

// cause strips a transport error of addresses and operations that the line names already.
func cause(err error) string {
	var (
		errno   syscall.Errno
		timeout net.Error
		dns     *net.DNSError
		request *url.Error
	)
	switch {
	case errors.As(err, &errno):
		return errno.Error()
	case errors.As(err, &dns):
		return dns.Err + " " + dns.Name
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "connection closed"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "no answer in time"
	case errors.As(err, &request):
		err = request.Err
	}
	return strings.TrimPrefix(err.Error(), "http2: ")
}
