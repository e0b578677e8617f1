package lease

import (
	"fmt"
	"strings"
)

// Rules says in words, for people, what a pool's configuration says beside its ranges: what is left
// out, who it is for, where it is announced. What is not set is not said.
func (p PoolInfo) Rules() []string {
	var rules []string
	say := func(words string, values ...string) {
		if len(values) > 0 {
			rules = append(rules, words+" "+strings.Join(values, " or "))
		}
	}
	if len(p.Exclude) > 0 {
		say("without", strings.Join(p.Exclude, " "))
	}
	if p.AvoidBuggyIPs {
		rules = append(rules, "without .0 and .255")
	}
	switch {
	case p.Given && p.ExternalIPs:
		rules = append(rules, "handed out by another allocator or listed in externalIPs")
	case p.Given:
		rules = append(rules, "handed out by another allocator")
	case !p.AutoAssign:
		rules = append(rules, "only if asked for")
	}
	if p.Priority != nil {
		rules = append(rules, fmt.Sprintf("priority %d", *p.Priority))
	}
	spaces := append([]string(nil), p.Namespaces...)
	for _, s := range p.NamespaceSelectors {
		spaces = append(spaces, "those with "+anything(s))
	}
	say("for namespaces", spaces...)
	say("for Services with", every(p.ServiceSelectors)...)
	say("by nodes with", every(p.NodeSelectors)...)
	if len(p.NodeWeights) > 0 {
		say("by weight", strings.Join(p.NodeWeights, ", "))
	}
	if len(p.Interfaces) > 0 {
		say("on interfaces", strings.Join(p.Interfaces, " "))
	}
	if len(p.Announce) > 0 {
		say("announced", strings.Join(p.Announce, ", "))
	}
	if p.ShareAcrossNamespaces {
		rules = append(rules, "shared across namespaces")
	}
	if p.Endpoints != "" {
		rules = append(rules, "whatever endpoints there are")
	}
	if n := len(p.Reservations); n > 0 {
		rules = append(rules, fmt.Sprintf("%d reserved by name", n))
	}
	if p.KeepFor != "" {
		rules = append(rules, "remembers for "+p.KeepFor+" whose an address was")
	}
	if p.MaxPerNamespace > 0 {
		rules = append(rules, fmt.Sprintf("at most %d for a namespace", p.MaxPerNamespace))
	}
	switch p.Keep {
	case KeepAlways:
		rules = append(rules, "kept when the ranges shrink")
	case KeepNever:
		rules = append(rules, fmt.Sprintf("forbidden addresses taken back after %s", shortDuration(p.RevokeAfter)))
	}
	return rules
}

// every makes words of selectors.
func every(selectors []string) []string {
	var words []string
	for _, s := range selectors {
		words = append(words, anything(s))
	}
	return words
}

// anything names the selector that matches all.
func anything(selector string) string {
	if selector == "" {
		return "any labels"
	}
	return selector
}
