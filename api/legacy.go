package api

import (
	"github.com/starling-lb/starling/health"
)

// Finding is a condition as earlier releases show it.
type Finding struct {
	Level string `json:"level"` // "error": it harms or will; "warning": it may
	About string `json:"about"` // "node n2", "198.18.64.1", "pool default"; "" this speaker
	Words string `json:"words"`
	Todo  string `json:"todo"` // what to do about it
}

// Findings are the conditions of the speaker of the node self but for those that only explain.
func Findings(all []health.Condition, self string) []Finding {
	list := []Finding{}
	for _, c := range all {
		if c.Severity == health.Information {
			continue
		}
		f := Finding{Level: string(c.Severity), About: c.Subject.String(), Words: c.Words, Todo: c.Advice}
		if c.Subject == health.Node(self) {
			f.About = ""
		}
		list = append(list, f)
	}
	return list
}
