package report

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/starling-lb/starling/api"
	"github.com/starling-lb/starling/mesh"
)

func TestKeyring(t *testing.T) {
	t.Parallel()
	who := func(name string, state mesh.State, keys ...string) mesh.Member {
		return mesh.Member{Name: name, State: state, Meta: mesh.Meta{Keys: keys}}
	}
	for _, tt := range []struct {
		name    string
		members []mesh.Member
		want    api.Keys
	}{
		{"none", []mesh.Member{who("n1", mesh.Alive)}, api.Keys{State: "gossip is not encrypted, or its keys are not known yet"}},
		{"not there yet", nil, api.Keys{State: "gossip is not encrypted, or its keys are not known yet"}},
		{
			"one, and a dead member that had another",
			[]mesh.Member{who("n1", mesh.Alive, "0a"), who("n2", mesh.Alive, "0a"), who("n3", mesh.Dead, "0b")},
			api.Keys{Held: []string{"0a"}, State: "all hold the same key"},
		},
		{
			"all hold two",
			[]mesh.Member{who("n1", mesh.Alive, "0a", "0b"), who("n2", mesh.Alive, "0a", "0b")},
			api.Keys{Held: []string{"0a", "0b"}, State: "all hold 2 keys and encrypt with 0a: a rotation is on its way; if it stays so, `starling key rotate` goes on with it"},
		},
		{
			"one is behind",
			[]mesh.Member{who("n1", mesh.Alive, "0a", "0b"), who("n2", mesh.Alive, "0b")},
			api.Keys{Held: []string{"0a", "0b"}, State: "n2 hold other keys than n1: a rotation is on its way; if it stays so, `starling key rotate` goes on with it"},
		},
	} {
		if diff := cmp.Diff(tt.want, keys(tt.members, "n1")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}
