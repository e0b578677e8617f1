package cluster

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestGate: requests pass, are held back or fail as the gate is set, and pass again.
func TestGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g Gate
		handler := g.handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }))
		ask := func() (code int, took time.Duration, about meta.Status) {
			begun, answer := time.Now(), httptest.NewRecorder()
			handler.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/api/v1/services", nil))
			if answer.Code >= 500 {
				if err := json.Unmarshal(answer.Body.Bytes(), &about); err != nil {
					t.Errorf("a failure that no client of Kubernetes reads: %v", err)
				}
			}
			return answer.Code, time.Since(begun), about
		}
		if code, took, _ := ask(); code != http.StatusOK || took > 0 {
			t.Errorf("%d after %v", code, took)
		}
		g.Slow(time.Second)
		var longest time.Duration
		for range 20 {
			code, took, _ := ask()
			longest = max(longest, took)
			if code != http.StatusOK || took >= time.Second {
				t.Errorf("slow: %d after %v", code, took)
			}
		}
		if longest < 100*time.Millisecond {
			t.Errorf("slow: none of 20 took longer than %v", longest)
		}
		g.Slow(0)
		g.Fail(100)
		if code, took, about := ask(); code < 500 || code > 504 || took > 0 || int(about.Code) != code || about.Kind != "Status" {
			t.Errorf("fails: %d after %v: %+v", code, took, about)
		}
		g.Fail(50)
		codes := map[bool]int{}
		for range 200 {
			code, _, _ := ask()
			codes[code == http.StatusOK]++
		}
		if codes[true] < 50 || codes[false] < 50 {
			t.Errorf("of 200 %d passed and %d failed", codes[true], codes[false])
		}
		g.Fail(0)
		if code, _, _ := ask(); code != http.StatusOK {
			t.Errorf("%d after all is well again", code)
		}
	})
}
