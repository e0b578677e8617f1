package watcher

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/starling-lb/starling/watcher/apitest"
)

func TestFollow(t *testing.T) {
	srv := apitest.Start(t)
	srv.Create(lb("a"))
	srv.Create(clusterIP("b"))
	srv.Create(node("n1", "198.18.0.1"))
	srv.Create(endpointSlice("a-1", "a", "n1", "n2-"))
	w := start(t, srv.Config())
	w.awaitSynced()
	if diff := cmp.Diff(map[Key]Endpoints{{"d", "a"}: {Nodes: []string{"n1"}}}, w.State().Endpoints); diff != "" {
		t.Errorf("endpoints (-want +got):\n%s", diff)
	}
	if _, ok := w.services[Key{"d", "a"}]; !ok || len(w.services) != 1 {
		t.Errorf("services %v", w.services)
	}
	srv.Create(lb("c"))
	w.await("c", func() bool { return len(w.services) == 2 })
	if err := w.end(); err != nil {
		t.Errorf("Run: %v", err)
	}
	for _, r := range srv.Requests() {
		t.Log(r, r.Query, r.Accept)
	}
}
