package lease

import (
	"errors"
	"testing"
	"time"
)

// TestAlarmDuringFlight: an alarm of another reason that rings while a failed write waits for its next try does not
// use up the alarm for that try.
func TestAlarmDuringFlight(t *testing.T) {
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
	table.wake(table.entries[svc.Key()], v.Now.Add(firstRetry/4))
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
