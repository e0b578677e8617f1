package watcher

import (
	"maps"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"

	"github.com/starling-lb/starling/watcher/apitest"
)

// A churn makes changes to Services: all of them LoadBalancers, so that every change matters.
type churn struct {
	srv   *apitest.Server
	rand  *rand.Rand
	alive map[string]bool
	n     int
}

func newChurn(srv *apitest.Server, keys int, seed uint64) *churn {
	c := &churn{srv: srv, rand: rand.New(rand.NewPCG(seed, 0)), alive: map[string]bool{}}
	for i := range keys {
		c.alive["s"+strconv.Itoa(i)] = true
		srv.Create(lb("s" + strconv.Itoa(i)))
	}
	return c
}

func (c *churn) step() {
	name := "s" + strconv.Itoa(c.rand.IntN(len(c.alive)))
	c.n++
	switch {
	case !c.alive[name]:
		c.srv.Create(lb(name))
		c.alive[name] = true
	case c.rand.IntN(5) == 0:
		c.srv.Delete(lb(name))
		c.alive[name] = false
	default:
		apitest.Edit(c.srv, lb(name), "", func(s *corev1.Service) { s.Labels = map[string]string{"n": strconv.Itoa(c.n)} })
	}
}

// TestDrainIsAPrefix holds the one thing that leases are built upon: whatever happens to lists and
// watches, what has been drained is at any time exactly the state of the server at one version, and
// that version never goes back.
func TestDrainIsAPrefix(t *testing.T) {
	faults := map[string]func(*apitest.Server, *rand.Rand){
		"none":        func(*apitest.Server, *rand.Rand) {},
		"plain lists": func(s *apitest.Server, _ *rand.Rand) { s.NoWatchList() },
		"cut watches": func(s *apitest.Server, _ *rand.Rand) { s.CutAfter(7) },
		"torn watches": func(s *apitest.Server, r *rand.Rand) {
			if r.IntN(30) == 0 {
				s.Tear()
			}
		},
		"expired watches": func(s *apitest.Server, r *rand.Rand) {
			if r.IntN(30) == 0 {
				s.Hold("services")
				s.Expire()
				s.Cut()
				s.Release("services")
			}
		},
		"expired watches and plain lists": func(s *apitest.Server, r *rand.Rand) {
			s.NoWatchList()
			if r.IntN(30) == 0 {
				s.Expire()
				s.Cut()
			}
		},
	}
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			virtual(t, func(t *testing.T, srv *apitest.Server, config *rest.Config) {
				c := newChurn(srv, 30, 1)
				w := start(t, config)
				w.patience = 10 * time.Minute // each lost history makes the next list wait longer
				w.awaitSynced()
				steps, last, drains := 300, uint64(0), 0
				w.await("the last change", func() bool {
					last = prefix(w, srv, last)
					drains++
					for range min(steps, c.rand.IntN(5)+1) { // while the stream goes on beside us
						fault(srv, c.rand)
						c.step()
						steps--
					}
					return steps == 0 && last == srv.Version()
				})
				t.Logf("%d drains up to version %d", drains, last)
			})
		})
	}
}

// prefix drains once more and compares with the server's history.
func prefix(w *running, srv *apitest.Server, last uint64) uint64 {
	w.t.Helper()
	c, version := w.Watcher.services.drain()
	if c.Reset {
		clear(w.services)
	}
	for _, k := range c.Deleted {
		delete(w.services, k)
	}
	for _, s := range c.Put {
		w.services[s.Key()] = *s
	}
	position, err := strconv.ParseUint(version, 10, 64)
	if err != nil {
		w.t.Fatalf("position %q: %v", version, err)
	}
	if position < last {
		w.t.Fatalf("position went back from %d to %d", last, position)
	}
	if diff := cmp.Diff(srv.ServicesAt(position), w.versions()); diff != "" {
		w.t.Fatalf("drained Services are not those of version %d (-want +got):\n%s", position, diff)
	}
	return position
}

// TestInformersAreNotInOrder shows why the table is not built from an informer. A Service is
// changed after the watch was lost, then another; the list that follows brings both. Our table
// makes one step. An informer's handlers get one Service at a time, in an order of the
// informer's own, and in between its store says more than they were told.
func TestInformersAreNotInOrder(t *testing.T) {
	const keys = 50
	srv := apitest.Start(t)
	churn := newChurn(srv, keys, 1)
	w := start(t, srv.Config())
	w.awaitSynced()
	inf := newInformed(t, w)
	start := srv.Version()
	inf.await(srv.ServicesAt(start))

	srv.Hold("services") // both learn of nothing, and must list again
	for range 200 {
		churn.step()
	}
	srv.Expire()
	end := srv.Version()
	srv.Cut()
	srv.Release("services")
	inf.await(srv.ServicesAt(end))
	last := uint64(0)
	w.await("the list", func() bool { last = prefix(w, srv, last); return last >= end })

	mixtures, ahead := inf.check(srv, start, end)
	t.Logf("%d changes in one list: the informer's handlers passed through %d states that never were, and were behind their own store in %d calls", end-start, mixtures, ahead)
	if mixtures == 0 || ahead == 0 {
		t.Error("the informer behaved: has client-go changed? Then the table could be simpler")
	}
}

// An informed is a table built from an informer's handlers, as most controllers have it.
type informed struct {
	t     *testing.T
	store cache.Store

	mu     sync.Mutex
	table  map[string]string
	states []map[string]string // after each handler call
	ahead  int                 // calls in which the store knew more than the handlers were told
	news   chan struct{}
}

func newInformed(t *testing.T, w *running) *informed {
	t.Helper()
	lw := cache.NewListWatchFromClient(w.client.Core, "services", metav1.NamespaceAll, fields.Everything())
	inf := cache.NewSharedIndexInformer(lw, &corev1.Service{}, 0, cache.Indexers{})
	i := &informed{t: t, store: inf.GetStore(), table: map[string]string{}, news: make(chan struct{}, 1)}
	_, err := inf.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(o any) { i.told(o, false) },
		UpdateFunc: func(_, o any) { i.told(o, false) },
		DeleteFunc: func(o any) { i.told(o, true) },
	})
	if err != nil {
		t.Fatal(err)
	}
	var busy sync.WaitGroup
	ctx := klog.NewContext(t.Context(), logr.Discard())
	busy.Go(func() { inf.RunWithContext(ctx) })
	t.Cleanup(busy.Wait)
	return i
}

func (i *informed) told(o any, deleted bool) {
	if tomb, ok := o.(cache.DeletedFinalStateUnknown); ok {
		o = tomb.Obj
	}
	s, ok := o.(*corev1.Service)
	if !ok {
		i.t.Errorf("handler got a %T", o)
		return
	}
	inStore := map[string]string{}
	for _, o := range i.store.List() {
		if s, ok := o.(*corev1.Service); ok {
			inStore[s.Namespace+"/"+s.Name] = s.ResourceVersion
		}
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.table[s.Namespace+"/"+s.Name] = s.ResourceVersion
	if deleted {
		delete(i.table, s.Namespace+"/"+s.Name)
	}
	i.states = append(i.states, maps.Clone(i.table))
	if !maps.Equal(i.table, inStore) {
		i.ahead++
	}
	select {
	case i.news <- struct{}{}:
	default:
	}
}

// await waits until the handlers were told of a state.
func (i *informed) await(state map[string]string) {
	i.t.Helper()
	limit := time.After(patience)
	for !i.is(state) {
		select {
		case <-i.news:
		case <-limit:
			i.t.Fatalf("the informer did not reach %v", state)
		}
	}
}

func (i *informed) is(state map[string]string) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return maps.Equal(i.table, state)
}

// check counts the states after the first list that were the server's at no version.
func (i *informed) check(srv *apitest.Server, from, to uint64) (mixtures, ahead int) {
	i.mu.Lock()
	defer i.mu.Unlock()
	var states []map[string]string
	for v := from; v <= to; v++ {
		states = append(states, srv.ServicesAt(v))
	}
	begun := false
	for _, state := range i.states {
		is := false
		for _, r := range states {
			is = is || maps.Equal(r, state)
		}
		begun = begun || is
		if begun && !is {
			mixtures++
		}
	}
	return mixtures, i.ahead
}
