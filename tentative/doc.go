// Package tentative is pure: it says which addresses are probed before a Service gets them, when
// the result of a probe counts, and when an address that a Service had may be used again.
//
// An address that was picked is probed. So are those that are likely to be picked next, so that
// Services need not wait. Only the node that picks for a pool sends probes; the others leave it the
// time, as long as probing takes and 0.1 s more. When that time is over, the address counts as
// nobody's: allocation must not depend on the wire alone.
//
// A released address rests, because its announcer may learn later than others that the Service is
// gone. While a Service waits for such an address, the wire is probed to find out whether the
// announcer has let go of it:
//
//	the address         the announcer                     rests
//	probed, silent      this node, or nobody              no longer
//	probed, silent      its speaker answers on the wire   no longer
//	probed, answered    any                               for 5 s, or until it is silent
//	not on a network    any                               for 5 s
//	any                 not there, or cannot be asked     for 5 s
//
// Silence alone would prove nothing: a process that is stopped answers nothing, and later goes on
// where it was.
package tentative
