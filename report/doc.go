// Package report is pure: it puts what a turn of the loop knows and has decided, the [World], into
// what people see. It decides nothing but which node sends which Event, and remembers nothing but
// what costs much to count again.
//
//   - [World.Evaluate] gathers, at the end of a turn, the conditions of all packages.
//   - [World.NodeReports] are those that an Event on a Node reports, and [World.TurnOf] says which node
//     sends it, and when.
//   - [World.Snapshot], [World.Who] and [World.Conditions] answer requests. They run when somebody asks,
//     and never in a turn.
package report
