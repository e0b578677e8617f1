package kube

import (
	"errors"
	"net/http"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// LacksRight reports whether the API server says that our user may not do something, as opposed to
// what admission forbids.
func LacksRight(err error) bool {
	return apierrors.IsForbidden(err) && strings.Contains(err.Error(), `User "`) && strings.Contains(err.Error(), `" cannot `)
}

// OfObject reports whether an answer is about what was written, or about its namespace: admission
// does not let it in, it is invalid, or its namespace goes.
func OfObject(err error) bool {
	var status apierrors.APIStatus
	if !errors.As(err, &status) || LacksRight(err) {
		return false
	}
	switch code := status.Status().Code; code {
	case http.StatusUnauthorized, http.StatusRequestTimeout, http.StatusTooManyRequests:
		return false
	case http.StatusInternalServerError:
		return strings.Contains(err.Error(), "failed calling webhook")
	default:
		return code < http.StatusInternalServerError
	}
}
