package watcher

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/rest"

	"github.com/starling-lb/starling/watcher/apitest"
)

// TestRecoveredServerIsBelieved: for six seconds nothing is accepted. What failed then, and is not
// made again, is no condition any more soon after, in a cluster that is idle and in a busy one.
func TestRecoveredServerIsBelieved(t *testing.T) {
	for name, busy := range map[string]bool{"idle": false, "busy": true} {
		t.Run(name, func(t *testing.T) {
			virtual(t, func(t *testing.T, srv *apitest.Server, config *rest.Config) {
				srv.Create(lb("web"))
				w := start(t, config)
				w.has("web")
				s := w.services[Key{Namespace: "d", Name: "web"}]
				time.Sleep(time.Minute)
				srv.Before(func(*http.Request, apitest.Request) error { return apierrors.NewUnauthorized("no") })
				begun := time.Now()
				_ = w.Write(t.Context(), Write{Key: s.Key(), UID: s.UID, Version: s.Version, Annotations: map[string]string{"a": "b"}})
				w.Event(webAllocated)
				live := func(d time.Duration) {
					for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(time.Second) {
						if busy {
							srv.WritePast(srv.Version())
							relabel(srv, "web", time.Now().String())
						}
						synctest.Wait()
					}
				}
				live(6*time.Second - time.Since(begun))
				if len(w.State().Conditions) == 0 {
					t.Error("no condition while nothing is accepted")
				}
				srv.Before(nil)
				live(probeEvery + 5*time.Second)
				if got := w.State().Conditions; len(got) != 0 {
					t.Errorf("conditions: %v", got)
				}
			})
		})
	}
}
