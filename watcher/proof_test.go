package watcher

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/starling-lb/starling/watcher/apitest"
	"github.com/starling-lb/starling/watcher/kube"
)

// restTime is when a speaker knows a restored cluster at the latest.
const restTime = 15 * time.Second

func relabel(srv *apitest.Server, name, value string) {
	apitest.Edit(srv, lb(name), "", func(s *corev1.Service) { s.Labels = map[string]string{"is": value} })
}

// labels returns what the drained Services look like: their label by name.
func (r *running) labels() map[string]string {
	out := map[string]string{}
	for k, s := range r.services {
		out[k.Name] = s.Labels
	}
	return out
}

// isLike says what of the server's Services is not known yet.
func (r *running) isLike(srv *apitest.Server) string {
	r.t.Helper()
	synctest.Wait()
	r.apply()
	want := map[string]string{}
	for _, s := range apitest.All(srv, &corev1.Service{}) {
		want[s.Name] = canonical(s.Labels)
	}
	return cmp.Diff(want, r.labels())
}

// TestRestoredAndWrittenPast: etcd is restored from a backup, and written to until its version is
// beyond that at which the speaker was, before the speaker is back. No number gives away that the
// history is another one.
func TestRestoredAndWrittenPast(t *testing.T) {
	type step = func(*apitest.Server)
	nothing := func(*apitest.Server) {}
	histories := []struct {
		name      string
		lost, new step // since the backup, in the history that is lost and in the one that takes its place
	}{
		{"made and lost", func(s *apitest.Server) { s.Create(lb("ghost")) }, nothing},
		{"made, lost and made again", func(s *apitest.Server) { s.Create(lb("ghost")) }, func(s *apitest.Server) { s.Create(lb("ghost")) }},
		{"changed", func(s *apitest.Server) { relabel(s, "a", "lost") }, nothing},
		{"changed differently, at the same version", func(s *apitest.Server) { relabel(s, "a", "lost") }, func(s *apitest.Server) { relabel(s, "a", "new") }},
		{"deleted", func(s *apitest.Server) { s.Delete(lb("a")) }, nothing},
		{"deleted only now", nothing, func(s *apitest.Server) { s.Delete(lb("a")) }},
		{"made in the new history alone", nothing, func(s *apitest.Server) { s.Create(lb("c")) }},
		{"made after a change that both have", nothing, func(s *apitest.Server) { relabel(s, "b", "new"); s.Create(lb("c")) }},
		{"all at once", func(s *apitest.Server) {
			s.Delete(lb("b"))
			s.Create(lb("ghost"))
			relabel(s, "a", "lost")
		}, func(s *apitest.Server) {
			relabel(s, "b", "new")
			s.Create(lb("c"))
			s.Delete(lb("a"))
		}},
		{"last a deletion, in both", func(s *apitest.Server) { s.Create(lb("c")); s.Delete(lb("c")) }, func(s *apitest.Server) { s.Create(lb("d")); s.Delete(lb("a")) }},
	}
	lists := map[string]step{"streamed lists": nothing, "plain lists": (*apitest.Server).NoWatchList}
	breaks := map[string]time.Duration{"at once": 0, "soon": 2 * time.Second, "late": 20 * time.Second}
	for kind, list := range lists {
		for when, away := range breaks {
			for _, h := range histories {
				t.Run(fmt.Sprintf("%s, %s, %s", kind, when, h.name), func(t *testing.T) {
					virtual(t, func(t *testing.T, srv *apitest.Server, config *rest.Config) {
						list(srv)
						srv.Create(lb("a"))
						srv.Create(lb("b"))
						w := start(t, config)
						w.awaitSynced()
						relabel(srv, "b", "old")
						time.Sleep(3 * time.Minute) // bookmarks
						backup := srv.Backup()
						h.lost(srv)
						srv.WritePast(srv.Version())
						time.Sleep(3 * time.Minute)
						if diff := w.isLike(srv); diff != "" {
							t.Fatalf("before (-want +got):\n%s", diff)
						}
						keepAway(srv, away, func() {
							was := srv.Version()
							srv.Restore(backup)
							h.new(srv)
							srv.WritePast(was)
						})
						time.Sleep(restTime)
						if diff := w.isLike(srv); diff != "" {
							t.Errorf("after %s (-want +got):\n%s", restTime, diff)
						}
						srv.Create(lb("last"))
						if diff := w.isLike(srv); diff != "" {
							t.Errorf("a change afterwards (-want +got):\n%s", diff)
						}
						if got := w.State().words(); len(got) != 0 {
							t.Errorf("problems: %q", got)
						}
					})
				})
			}
		}
	}
}

// keepAway does something while the server answers nobody, and for a while after.
func keepAway(srv *apitest.Server, during time.Duration, do func()) {
	gate := make(chan struct{})
	srv.Before(func(q *http.Request, _ apitest.Request) error {
		select {
		case <-gate:
			return nil
		case <-q.Context().Done():
			return q.Context().Err()
		}
	})
	do()
	time.Sleep(during)
	srv.Before(nil)
	close(gate)
}

// TestRestoredInEveryStream is the same for all else that is followed.
func TestRestoredInEveryStream(t *testing.T) {
	secret := func(text string) *corev1.Secret {
		return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "s", Name: kube.GossipSecret}, Data: map[string][]byte{kube.GossipKeys: []byte(text)}}
	}
	space := func(name string) *corev1.Namespace {
		return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	}
	for _, away := range []time.Duration{0, 20 * time.Second} {
		t.Run(away.String(), func(t *testing.T) {
			virtual(t, func(t *testing.T, srv *apitest.Server, config *rest.Config) {
				srv.Create(node("n1", "198.18.0.1"))
				srv.Create(endpointSlice("a-1", "a", "n1"))
				w := start(t, config, func(c *Config) { c.KeyNamespace = "s" })
				w.awaitSynced()
				backup := srv.Backup()
				srv.Create(node("ghost", "198.18.0.9"))
				srv.Create(endpointSlice("ghost-1", "ghost", "n1"))
				srv.Create(space("ghost"))
				srv.Create(secret("lost"))
				synctest.Wait()
				keepAway(srv, away, func() {
					was := srv.Version()
					srv.Restore(backup)
					srv.Create(node("n2", "198.18.0.2"))
					srv.Create(endpointSlice("b-1", "b", "n1"))
					srv.Create(space("team"))
					srv.Create(secret("new"))
					srv.WritePast(was)
				})
				time.Sleep(restTime)
				synctest.Wait()
				type known struct {
					Nodes, Endpoints, Namespaces []string
					Keys                         string
				}
				s := w.State()
				got := known{Keys: w.GossipKeys().Text}
				for _, n := range s.Nodes {
					got.Nodes = append(got.Nodes, n.Name)
				}
				for k := range s.Endpoints {
					got.Endpoints = append(got.Endpoints, k.Name)
				}
				for name := range s.Namespaces {
					got.Namespaces = append(got.Namespaces, name)
				}
				want := known{[]string{"n1", "n2"}, []string{"a", "b"}, []string{"kube-system", "team"}, "new"}
				if diff := cmp.Diff(want, got, cmpopts.SortSlices(strings.Compare)); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			})
		})
	}
}

// TestRandomHistories: whatever is done to Services, and however often the server is interrupted
// and set back, the Services known are at rest soon.
func TestRandomHistories(t *testing.T) {
	for seed := range uint64(60) {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			virtual(t, func(t *testing.T, srv *apitest.Server, config *rest.Config) {
				r := rand.New(rand.NewPCG(seed, 5))
				if seed%3 == 0 {
					srv.NoWatchList()
				}
				w := start(t, config)
				w.awaitSynced()
				backups := []apitest.Backup{srv.Backup()}
				write := func() {
					for n := 0; r.IntN(4) > 0; n++ {
						name := string(rune('a' + r.IntN(5)))
						switch _, there := apitest.Get(srv, lb(name)); {
						case !there:
							srv.Create(lb(name))
						case r.IntN(3) == 0:
							srv.Delete(lb(name))
						default:
							relabel(srv, name, strconv.Itoa(r.IntN(3)))
						}
					}
				}
				for range 20 {
					write()
					switch r.IntN(8) {
					case 0:
						backups = append(backups, srv.Backup())
					case 1:
						srv.Cut()
					case 2:
						srv.Tear()
					case 3:
						srv.Hold("services")
						write()
						srv.Cut()
						srv.Release("services")
					case 4, 5:
						keepAway(srv, time.Duration(r.IntN(5))*time.Second, func() {
							was := srv.Version()
							srv.Restore(backups[r.IntN(len(backups))])
							write()
							if r.IntN(3) > 0 {
								srv.WritePast(was)
							}
						})
					}
					time.Sleep(time.Duration(r.IntN(150)) * time.Second)
				}
				time.Sleep(restTime)
				if diff := w.isLike(srv); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			})
		})
	}
}

// TestInterruptionsAreCheap counts what a stream asks for: a list of everything is the exception.
func TestInterruptionsAreCheap(t *testing.T) {
	tests := []struct {
		name  string
		do    func(*apitest.Server)
		lists int // at most, and three quarters of it at least
	}{
		{"a watch that reached its age", func(*apitest.Server) { time.Sleep(30 * time.Minute) }, 0},
		{"twenty torn watches", func(srv *apitest.Server) {
			for range 20 {
				srv.Tear()
				time.Sleep(70 * time.Second) // a bookmark has come: a watch that brings nothing is not trusted
			}
		}, 0},
		{"twenty torn watches while Services change", func(srv *apitest.Server) {
			for i := range 20 {
				relabel(srv, "a", strconv.Itoa(i))
				time.Sleep(time.Minute)
				srv.Tear()
				time.Sleep(time.Minute)
			}
		}, 0},
		{"a long break", func(srv *apitest.Server) {
			keepAway(srv, 20*time.Second, srv.Cut)
			time.Sleep(time.Minute)
		}, 1},
		{"a day", func(*apitest.Server) { time.Sleep(24 * time.Hour) }, 20},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			virtual(t, func(t *testing.T, srv *apitest.Server, config *rest.Config) {
				srv.Create(lb("a"))
				w := start(t, config)
				w.awaitSynced()
				time.Sleep(70 * time.Second)
				synctest.Wait()
				before := len(asked(srv))
				tt.do(srv)
				synctest.Wait()
				got := map[string]int{}
				for _, what := range asked(srv)[before:] {
					got[what]++
				}
				if lists := got["stream"] + got["list"]; lists > tt.lists || lists < tt.lists*3/4 {
					t.Errorf("%d lists, want %d: asked %v", lists, tt.lists, got)
				}
			})
		})
	}
}
