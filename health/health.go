// Package health names everything that can be wrong. Each kind has a code, which never changes once
// it was published, and a [Rule], which says what goes with it: severity, advice, how long it must
// last until it is shown, and what it hides. A [Condition] is one such thing as it is now, about
// one subject. Status, page, events, doctor, metrics and alerts show conditions and tell them apart
// by code; nobody looks for words in sentences.
//
// The room that finds a fault makes the condition, by [New], with words of its own. It knows what
// is wrong; what to do about it is said by the rule, or by the room, where only that one knows
// ([Condition.Do]). The loop gathers the conditions of all rooms, and [Shown] decides which of them
// people see.
package health

import (
	"cmp"
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// Severity says who has to act.
type Severity string

// Severities, the worst first.
const (
	Error       Severity = "error"       // it does harm, or will: the operator must act
	Warning     Severity = "warning"     // it may do harm, or harms only who caused it: somebody should look
	Information Severity = "information" // nothing is to be done; it explains what is seen
)

// Compare orders severities, the worst first.
func (s Severity) Compare(o Severity) int { return s.rank() - o.rank() }

// rank is the place in this order; one of a later release is as bad as a warning.
func (s Severity) rank() int {
	switch s {
	case Error:
		return 0
	case Information:
		return 2
	}
	return 1
}

// Kind is what a subject is.
type Kind string

// Kinds of subjects.
const (
	KindNode    Kind = "node"
	KindService Kind = "service"
	KindAddress Kind = "address" // of a Service, or of a peer that is no known node
	KindPool    Kind = "pool"
	KindRouter  Kind = "router" // a BGP router
	KindCluster Kind = "cluster"
)

// Subject is what a condition is about.
type Subject struct {
	Kind Kind   `json:"kind"` // "node", "service", "address", "pool", "router" or "cluster"
	Name string `json:"name"` // as Kubernetes or the configuration names it; "" of the cluster
}

// Node is a node as a subject, "" the one that the speaker runs on: see [Condition.On].
func Node(name string) Subject { return Subject{KindNode, name} }

// Service is a Service as a subject, by "namespace/name".
func Service(name string) Subject { return Subject{KindService, name} }

// Address is an IP address as a subject.
func Address(ip string) Subject { return Subject{KindAddress, ip} }

// Pool is a pool as a subject.
func Pool(name string) Subject { return Subject{KindPool, name} }

// Router is a BGP router as a subject, by its name in the configuration.
func Router(name string) Subject { return Subject{KindRouter, name} }

// Cluster is the whole cluster as a subject.
func Cluster() Subject { return Subject{KindCluster, ""} }

// String names the subject for people: "node n2", "pool default", "router tor1", "default/web",
// "192.0.2.1"; "" is the cluster.
func (s Subject) String() string {
	switch s.Kind {
	case KindNode, KindPool, KindRouter:
		return string(s.Kind) + " " + s.Name
	}
	return s.Name
}

// compare orders subjects by kind, addresses as addresses, and all others by name.
func (s Subject) compare(o Subject) int {
	if s.Kind == KindAddress && o.Kind == KindAddress {
		a, errA := netip.ParseAddr(s.Name)
		b, errB := netip.ParseAddr(o.Name)
		if errA == nil && errB == nil {
			return a.Compare(b)
		}
	}
	return cmp.Or(strings.Compare(string(s.Kind), string(o.Kind)), strings.Compare(s.Name, o.Name))
}

// Condition is something that is wrong now. Its JSON is part of the contract of /api/v1/status.
type Condition struct {
	Code     Code      `json:"code"`
	Severity Severity  `json:"severity"` // "error", "warning" or "information"
	Subject  Subject   `json:"subject"`
	Words    string    `json:"words"`          // what is the case
	Advice   string    `json:"advice"`         // what to do about it, "" nothing
	Since    time.Time `json:"since,omitzero"` // when it began, as far as this speaker knows
}

// New makes a condition by the rule of its code.
func New(code Code, about Subject, words string) Condition {
	r := code.Rule()
	return Condition{Code: code, Severity: r.Severity, Subject: about, Words: words, Advice: r.advice(about)}
}

// Do replaces the rule's advice by one that knows more. Nothing, "", leaves it.
func (c Condition) Do(advice string) Condition {
	c.Advice = cmp.Or(advice, c.Advice)
	return c
}

// From says when the condition began.
func (c Condition) From(since time.Time) Condition {
	c.Since = since
	return c
}

// On names the node of a condition whose room does not know on which node it runs.
func (c Condition) On(node string) Condition {
	if c.Subject == Node("") {
		c.Subject.Name = node
		if c.Advice == c.Code.Rule().advice(Node("")) {
			c.Advice = c.Code.Rule().advice(c.Subject)
		}
	}
	return c
}

// String is the condition with what to do about it, for those who read nothing else.
func (c Condition) String() string {
	if c.Advice == "" {
		return c.Words
	}
	return c.Words + ": " + c.Advice
}

// key is what makes two conditions the same one, however it is worded.
type key struct {
	code    Code
	subject Subject
}

func (c Condition) key() key { return key{c.Code, c.Subject} }

// Compare orders conditions: the worst first, then in the order of the rules, then by subject and
// words.
func (c Condition) Compare(o Condition) int {
	return cmp.Or(c.Severity.Compare(o.Severity), c.Code.index()-o.Code.index(), c.Subject.compare(o.Subject), strings.Compare(c.Words, o.Words))
}

// Some names the first ones of many.
func Some(all []string, most int) string {
	if len(all) <= most {
		return strings.Join(all, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(all[:most], ", "), len(all)-most)
}
