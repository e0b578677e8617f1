// Package elect is pure: it holds the elections of all bound addresses, turn by turn.
//
// What one election is, package owner says: of the nodes that may have an address, those of the
// best tier are left, and the one with the highest score owns it. A score is a hash of the node's
// name and the address, so every speaker computes the same without a message.
//
// [Elections] remembers the results of the last turn and what they depended on. A turn elects anew
// for the addresses about which something changed. When the members changed it shifts all of them
// (see owner.Shift). So an edit among many addresses costs little more than looking at each of
// them, and the death of a member hardly more than comparing what it owned. An [Election] is the
// one of a bound address. [Refusals] are the addresses that their elected nodes do not take, and
// [Standins] those of absent nodes whose deputies do not answer for them. [Scopes] are the nodes
// that the rules of the pools leave, and [Spread] tells the lease protocol which node would
// announce a free address.
package elect
