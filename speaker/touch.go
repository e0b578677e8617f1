package speaker

import "time"

// How long this node has been without the API server, as it tells the mesh.
// Only three values are told, with slack between them, because members that
// lose or regain the API server together never notice it at the same instant:
// a member is passed over only when it says outOfTouch while another says
// inTouch, and every member is unsure for a good while between the two.
const (
	inTouch    time.Duration = 0
	unsure                   = 30 * time.Second
	outOfTouch               = 60 * time.Second
)

// steadyFor is how long contact must last without a break to count again.
const steadyFor = 30 * time.Second

// touch turns the time of the last contact into one of the three values.
type touch struct {
	broken time.Time // when contact was last found broken, zero if never
}

// age is the value to tell now. A node that never had contact is out of touch.
func (t *touch) age(now, last time.Time) time.Duration {
	switch quiet := now.Sub(last); {
	case quiet > outOfTouch:
		t.broken = now
		return outOfTouch
	case quiet > unsure:
		t.broken = now
		return unsure
	case !t.broken.IsZero() && now.Sub(t.broken) < steadyFor:
		return unsure
	}
	return inTouch
}
