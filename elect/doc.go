// Package elect is pure: it holds the elections of all bound addresses, turn by turn.
//
// [Roll] remembers the outcome of the last turn and what it depended on. A turn elects anew for the addresses of which something
// changed, and when the members did it shifts all (see owner.Shift): so an edit among many addresses costs little more than
// looking at each of them, and the death of a member hardly more than comparing what it owned. A [Seat] is a bound address at
// its election. [Scopes] are what the pools' rules leave of the nodes, and [Spread] tells the lease protocol who would announce
// a free address.
package elect
