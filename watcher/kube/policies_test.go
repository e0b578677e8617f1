package kube

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/client-go/rest"
)

func TestPolicies(t *testing.T) {
	t.Parallel()
	const path = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"
	policy := `{"metadata":{"name":"starling-services"},"spec":{"matchConditions":[{"name":"speaker","expression":"request.userInfo.username == \"system:serviceaccount:mine:starling\""}]}}`
	for _, tt := range []struct {
		name, body string
		status     int
		want       []Policy
		known      bool
		failed     bool
	}{
		{"one", `{"items":[` + policy + `]}`, http.StatusOK, []Policy{{"starling-services", []string{"system:serviceaccount:mine:starling"}}}, true, false},
		{"none", `{"items":[]}`, http.StatusOK, nil, true, false},
		{"unknown to the cluster", "", http.StatusNotFound, nil, false, false},
		{"forbidden", "", http.StatusForbidden, nil, false, false},
		{"an error", "", http.StatusInternalServerError, nil, false, true},
		{"nonsense", "[", http.StatusOK, nil, false, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != path || r.FormValue("labelSelector") != "app.kubernetes.io/name=starling" {
					t.Errorf("asked for %s", r.URL)
				}
				w.WriteHeader(tt.status)
				_, _ = w.Write([]byte(tt.body))
			}))
			t.Cleanup(srv.Close)
			c, err := NewClient(&rest.Config{Host: srv.URL})
			if err != nil {
				t.Fatal(err)
			}
			got, known, err := Policies(t.Context(), c)
			if diff := cmp.Diff(tt.want, got); diff != "" || known != tt.known || (err != nil) != tt.failed {
				t.Errorf("known %t, %v, (-want +got):\n%s", known, err, diff)
			}
		})
	}
}
