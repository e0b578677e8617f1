package peers

import "time"

// Contact with the API server. There are only three values, with slack between them, because nodes
// that lose or regain the API server together never notice it at the same instant: a node is
// passed over only when it says OutOfTouch while another says InTouch, and every node is Unsure for
// a good while between the two.
type Contact uint8

// The values of Contact.
const (
	InTouch Contact = iota
	Unsure
	OutOfTouch
)

// contact turns the time of the last contact into one of the three values.
type contact struct {
	times  *Timing
	broken time.Time // when contact was last found broken; zero: never
}

// at is the value now. A node that never had contact is out of touch.
func (c *contact) at(now, last time.Time) Contact {
	switch quiet := now.Sub(last); {
	case quiet > c.times.Out:
		c.broken = now
		return OutOfTouch
	case quiet > c.times.Unsure:
		c.broken = now
		return Unsure
	case !c.broken.IsZero() && now.Sub(c.broken) < c.times.Steady:
		return Unsure
	}
	return InTouch
}
