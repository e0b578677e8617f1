package report

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/starling-lb/starling/health"
	"github.com/starling-lb/starling/mesh"
	"github.com/starling-lb/starling/watcher"
)

// TestSpeakerless: which nodes have no speaker, and what is said of them.
func TestSpeakerless(t *testing.T) {
	t.Parallel()
	edge := map[string]string{"edge": "yes"}
	known := &watcher.Placement{NodeSelector: edge}
	member := func(name string, state mesh.State) mesh.Member { return mesh.Member{Name: name, State: state} }
	self := member("n1", mesh.Alive)
	on, off := watcher.Node{Name: "n2", Labels: edge}, watcher.Node{Name: "n2"}
	for _, tt := range []struct {
		name      string
		placement *watcher.Placement
		node      watcher.Node // beside n1, which runs the speaker
		members   []mesh.Member
		want      Speakerless
		words     []string
		code      health.Code
	}{
		{"it has one", known, on, []mesh.Member{self, member("n2", mesh.Alive)}, Speakerless{}, nil, ""},
		{"it has one, by other means", known, off, []mesh.Member{self, member("n2", mesh.Alive)}, Speakerless{}, nil, ""},
		{"only the wire reaches it", known, off, []mesh.Member{self, member("n2", mesh.OnWire)}, Speakerless{}, nil, ""},
		{"it is dead", known, off, []mesh.Member{self, member("n2", mesh.Dead)}, Speakerless{}, nil, ""},
		{
			"it is to have none", known, off,
			[]mesh.Member{self},
			Speakerless{Unselected: []string{"n2"}},
			[]string{"n2 runs no speaker (the DaemonSet does not select it)"},
			health.NoSpeaker,
		},
		{
			"it is to have none any more", known, off,
			[]mesh.Member{self, member("n2", mesh.Left)},
			Speakerless{Unselected: []string{"n2"}},
			[]string{"n2 runs no speaker (the DaemonSet does not select it)"},
			health.NoSpeaker,
		},
		{"it was stopped", known, on, []mesh.Member{self, member("n2", mesh.Left)}, Speakerless{}, nil, ""},
		{"it was stopped, and nobody knows why", nil, on, []mesh.Member{self, member("n2", mesh.Left)}, Speakerless{}, nil, ""},
		{
			"never heard", known, on,
			[]mesh.Member{self},
			Speakerless{Missing: []string{"n2"}},
			[]string{"no speaker of n2 was ever heard, though the DaemonSet selects it"},
			health.SpeakerMissing,
		},
		{
			"nobody knows", nil, on,
			[]mesh.Member{self},
			Speakerless{Unknown: []string{"n2"}},
			[]string{"n2 runs no speaker that was ever heard"},
			health.NoSpeaker,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := &World{Self: "n1", Members: tt.members, Cluster: watcher.State{
				Placement: tt.placement, Nodes: []watcher.Node{{Name: "n1", Labels: edge}, tt.node},
			}}
			got := w.speakerless()
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(Speakerless{})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			all := got.Conditions()
			if diff := cmp.Diff(tt.words, Words(all), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("words (-want +got):\n%s", diff)
			}
			for _, c := range all {
				if c.Code != tt.code || c.Subject != health.Node("n2") {
					t.Errorf("%s about %s, want %s", c.Code, c.Subject, tt.code)
				}
			}
			w.Lacks = []health.Condition{health.New(health.WaitingForMesh, health.Node(""), "waiting")}
			if diff := cmp.Diff(Speakerless{}, w.speakerless(), cmp.AllowUnexported(Speakerless{})); diff != "" {
				t.Errorf("before all were heard (-want +got):\n%s", diff)
			}
		})
	}
}
