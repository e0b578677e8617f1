package lease

import (
	"fmt"
	"strings"
)

// maxUnknown is how many unknown annotations of a Service are named.
const maxUnknown = 5

// knownNames are the annotations of a Service, without their prefix.
func knownNames() []string {
	names := []string{AskIPsAnnotation, AskPoolAnnotation, AskShareAnnotation, EndpointsAnnotation, LeaseAnnotation, PoolAnnotation}
	for i := range names {
		names[i] = strings.TrimPrefix(names[i], Prefix)
	}
	return names
}

// UnknownAnnotations says, of each annotation that looks like one of ours and means nothing, what
// may have been meant: a name under our prefix that does not exist, and one that does in the wrong
// case or under another prefix that is like ours. Under MetalLB's prefixes only the case of a name
// that we understand there can be wrong: the rest is MetalLB's own.
//
// No more than maxUnknown are named: Kubernetes allows thousands of annotations.
func UnknownAnnotations(s *Service) (words []string) {
	for _, a := range s.Annotations { // sorted
		if a[0] == EndpointsAnnotation && a[1] != "" && !s.IgnoresEndpoints() {
			words = append(words, fmt.Sprintf("annotation %s is %q and means nothing; the only value is %s", a[0], clip(a[1]), ignoreEndpoints))
		}
		if meant, unknown := meantBy(a[0]); unknown {
			if len(words) == maxUnknown {
				return append(words, "and more")
			}
			words = append(words, fmt.Sprintf("unknown annotation %s; %s", clip(a[0]), meant))
		}
	}
	return words
}

// meantBy is what may have been meant by an annotation, and whether it is unknown.
func meantBy(key string) (words string, unknown bool) {
	prefix, name, _ := strings.Cut(key, "/")
	ours := prefix+"/" == Prefix
	for _, known := range knownNames() {
		switch {
		case name == known && (ours || !strings.Contains(strings.ToLower(prefix), "starling")):
			return "", false
		case strings.EqualFold(name, known) && !ours && !strings.Contains(strings.ToLower(prefix), "starling"):
			return fmt.Sprintf("did you mean %s/%s?", prefix, known), true
		case strings.EqualFold(name, known):
			return fmt.Sprintf("did you mean %s%s?", Prefix, known), true
		}
	}
	if !ours {
		return "", false
	}
	best, away := "", len(key)
	for _, known := range knownNames() {
		if d := typos(strings.ToLower(name), strings.ToLower(known)); d < away && d <= maxTypos(known) {
			best, away = known, d
		}
	}
	if best == "" {
		return fmt.Sprintf("a Service asks by %s, %s and %s", AskIPsAnnotation, AskPoolAnnotation, AskShareAnnotation), true
	}
	return fmt.Sprintf("did you mean %s%s?", Prefix, best), true
}

// maxTypos is how far a name may be from a known one to be taken for it.
func maxTypos(known string) int { return len(known) / 2 }

// typos is the least number of letters to add, leave out or replace that makes b of a
// (Levenshtein).
func typos(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}
