package peers

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// row is the row of the table in the package comment that a peer is in, from 1; 0: none.
func (r *rig) row(q *Peer) int {
	m := r.member(q.Name)
	gossip := State("unknown")
	if m != nil {
		gossip = m.State
	}
	if len(r.drops[q.Name]) > 0 && !q.State.Owns() {
		return 17
	}
	if q.Suspect && !q.State.Owns() && gossip != Alive {
		return 16
	}
	switch [2]State{gossip, q.State} {
	case [2]State{Alive, Alive}:
		return r.aliveRow(q, m)
	case [2]State{Alive, Dead}:
		if Share(m.Networks, r.me.Networks) {
			return 3
		}
		return 5
	case [2]State{Dead, Wire}:
		switch v, _ := r.presence(m.MACs, time.Time{}, r.now); {
		case v == present:
			return 6
		case v == open:
			return 7
		}
		return 8
	case [2]State{Dead, Dead}:
		return 9
	case [2]State{Left, Wire}:
		return 10
	case [2]State{Left, Left}:
		return 11
	case [2]State{"unknown", Wire}:
		return 12
	case [2]State{Alive, Absent}:
		return 13
	case [2]State{Left, Absent}:
		return 14
	case [2]State{Dead, Absent}:
		return 15
	}
	return 0
}

func (r *rig) aliveRow(q *Peer, m *Member) int {
	hosts := r.hostProbes(m)
	speakers := r.watchResultOf(speakerProbes(m.MACs))
	switch silent := len(hosts) > 0 && r.watchResultOf(hosts) == silent; {
	case silent && speakers == present:
		return 4
	case q.Suspect:
		return 2
	}
	return 1
}

// TestEveryRowHasATranscript: each row of the table in the package comment happens in some
// transcript.
func TestEveryRowHasATranscript(t *testing.T) {
	const rows = 17
	seen := map[int]string{}
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		replayed(t, string(text), func(r *rig) {
			s := r.Snapshot()
			for i := range s.Peers {
				seen[r.row(&s.Peers[i])] = file
			}
		})
	}
	for row := range rows {
		if seen[row+1] == "" {
			t.Errorf("no transcript has row %d", row+1)
		}
	}
	if seen[0] != "" {
		t.Errorf("%s has a peer in no row", seen[0])
	}
}
