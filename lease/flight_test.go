package lease

import (
	"errors"
	"testing"
	"time"
)

// TestTimerDuringFlight: a timer of another reason that fires while a failed write waits for its
// next try does not use up the timer for that try.
func TestTimerDuringFlight(t *testing.T) {
	pools, err := NewPools([]Pool{{Name: "default", Ranges: []string{"198.18.64.0/24"}}})
	if err != nil {
		t.Fatal(err)
	}
	v := View{Now: epoch, Installation: "here", Self: "n1", Pools: pools}
	svc := Service{
		Namespace: "default", Name: "web", UID: "u1", Version: "1", Created: epoch, Type: typeLoadBalancer,
		Families: []string{ipv4}, Ports: []string{"TCP/80"},
	}
	table := NewTable()
	table.Apply(false, refs(svc), nil, v.Now)
	steps, _ := table.Steps(v)
	if len(steps) != 1 || steps[0].Kind != Claim {
		t.Fatalf("steps %+v, want a claim", steps)
	}
	table.setTimer(table.entries[svc.Key()], v.Now.Add(firstRetry/4))
	table.Done(steps[0], v.Now, errors.New("refused"))
	v.Now = epoch.Add(firstRetry / 4)
	if steps, wake := table.Steps(v); len(steps) != 0 || !wake.Equal(epoch.Add(firstRetry)) {
		t.Errorf("steps %+v, to be asked again at %s; want none, at %s", steps, wake, epoch.Add(firstRetry))
	}
	v.Now = epoch.Add(firstRetry + time.Millisecond)
	if steps, _ := table.Steps(v); len(steps) != 1 || steps[0].Kind != Claim {
		t.Errorf("steps %+v, want the claim again", steps)
	}
}

// refused are speakers of ranks 0 and so on, each of which knows the same Service, to which nobody
// may write.
type refused struct {
	tables []*Table
	ranks  []int
	wakes  []time.Time
	now    time.Time
	writes int
}

func newRefused(speakers int) *refused {
	f := &refused{now: epoch}
	for i := range speakers {
		table := NewTable()
		table.Apply(true, refs(plainService(0)), nil, f.now)
		f.tables, f.ranks, f.wakes = append(f.tables, table), append(f.ranks, i), append(f.wakes, f.now)
	}
	return f
}

// run lets everybody do what is due until then.
func (f *refused) run(pools *Pools, end time.Time) {
	for {
		i := 0
		for j, at := range f.wakes {
			if at.Before(f.wakes[i]) {
				i = j
			}
		}
		if f.wakes[i].After(end) {
			f.now = end
			return
		}
		f.now = f.wakes[i]
		v := View{Now: f.now, Installation: "here", Pools: pools, Rank: func(string) int { return f.ranks[i] }}
		steps, _ := f.tables[i].Steps(v)
		for _, s := range steps {
			f.tables[i].Done(s, f.now, errors.New("refused by a webhook"))
			f.writes++
		}
		_, f.wakes[i] = f.tables[i].Steps(v)
	}
}

// TestRefusedByMany: what the API server refuses is written little more often by many speakers than
// by one.
func TestRefusedByMany(t *testing.T) {
	pools := mustPools(t, Pool{Name: "default", Ranges: []string{"198.18.64.0/24"}})
	for _, tt := range []struct {
		speakers int
		most     float64 // writes per minute, in the long run
	}{{1, 2}, {3, 4}, {30, 8.1}, {100, 10.5}} {
		f := newRefused(tt.speakers)
		f.run(pools, epoch.Add(time.Hour))
		before := f.writes
		f.run(pools, epoch.Add(21*time.Hour))
		if got := float64(f.writes-before) / 1200; got < 1.9 || got > tt.most {
			t.Errorf("%d speakers: %.2f writes a minute, want 2 to %.1f", tt.speakers, got, tt.most)
		}
	}
}

// TestRefusedNoMore: after however long, a write is tried again within lastRetry by whoever has
// rank 0 then.
func TestRefusedNoMore(t *testing.T) {
	pools := mustPools(t, Pool{Name: "default", Ranges: []string{"198.18.64.0/24"}})
	for rank := range 20 {
		f := newRefused(20)
		f.run(pools, epoch.Add(time.Hour))
		f.tables, f.ranks, f.wakes, f.writes = f.tables[rank:rank+1], []int{0}, []time.Time{f.now}, 0
		f.run(pools, f.now.Add(lastRetry))
		if f.writes == 0 {
			t.Errorf("who was of rank %d did nothing for %s as rank 0", rank, lastRetry)
		}
	}
}
