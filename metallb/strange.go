package metallb

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// counterparts says what to do about the kinds of MetalLB that configure nothing of ours.
var counterparts = map[string]string{
	"ServiceBGPStatus":   "state of MetalLB, not configuration",
	"BGPSessionStatus":   "state of MetalLB, not configuration",
	"BGPSessionState":    "state of MetalLB, not configuration",
	"ServiceL2Status":    "state of MetalLB, not configuration: `starling status` shows who announces",
	"ConfigurationState": "state of MetalLB, not configuration",
	"MetalLB":            "the operator's installation of MetalLB: starling is installed with manifests/starling.yaml",
}

// strange counts the objects of a kind that nothing becomes of.
type strange struct {
	names []string // some of them
	count int
	text  string
}

// stranger notes an object that nothing becomes of.
func (in *input) stranger(f fields, kind, text string) {
	s := in.strange[kind]
	if s == nil {
		s = &strange{text: text}
		in.strange[kind] = s
	}
	if s.count++; len(s.names) < 3 {
		s.names = append(s.names, strings.TrimPrefix(named(f, kind), printable(kind)+" "))
	}
}

// reportUnknown makes one remark for each kind.
func (in *input) reportUnknown() {
	for _, kind := range slices.Sorted(maps.Keys(in.strange)) {
		s := in.strange[kind]
		names := strings.Join(s.names, ", ")
		if more := s.count - len(s.names); more > 0 {
			names += fmt.Sprintf(" and %d more", more)
		}
		in.remark(fmt.Sprintf("%s %s", printable(kind), names), s.text+"; left out")
	}
}
