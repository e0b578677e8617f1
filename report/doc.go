// Package report is pure: it puts what a turn of the loop knows and has decided, the [World], into what people see. It decides
// nothing but who sends which Event, and remembers nothing but what costs much to count again.
//
//   - [World.Judge] gathers, at the end of a turn, the conditions of all rooms.
//   - [World.Faults] are those that an Event on a Node reports, and [World.TurnOf] says who sends it, and when.
//   - [World.Snapshot], [World.Who] and [World.Conditions] answer those who look. They run when somebody does, and never in a
//     turn.
package report
