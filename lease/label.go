package lease

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Operators of requirements.
const (
	opIn           = "In"
	opNotIn        = "NotIn"
	opExists       = "Exists"
	opDoesNotExist = "DoesNotExist"
)

const (
	// maxWord is the longest name of a pool or namespace, and name and value of a label.
	maxWord = 63
	// maxLabelPrefix is the longest prefix of a label's name.
	maxLabelPrefix = 253
)

// Selector picks objects by their labels, as label selectors of Kubernetes do: everything in it
// must hold. An empty one picks all.
type Selector struct {
	// MatchLabels are labels that the object must have.
	MatchLabels map[string]string `json:"matchLabels,omitempty"`
	// MatchExpressions are requirements of one label each.
	MatchExpressions []Requirement `json:"matchExpressions,omitempty"`
}

// Requirement is what a selector wants of one label.
type Requirement struct {
	// Key is the name of the label.
	Key string `json:"key"`
	// Operator is In (the value is one of Values), NotIn (it is none of them, or there is no such
	// label), Exists or DoesNotExist.
	Operator string `json:"operator"`
	// Values go with In and NotIn.
	Values []string `json:"values,omitempty"`
}

// Labels are the labels of a Kubernetes object.
type Labels = map[string]string

// labelOf finds a label in the canonical text "k=v,k=v" that Services have.
func labelOf(text, key string) (value string, has bool) {
	key += "="
	for label := range strings.SplitSeq(text, ",") {
		if value, has := strings.CutPrefix(label, key); has {
			return value, true
		}
	}
	return "", false
}

// Match reports whether labels match. The error says what is wrong with the selector.
func (s Selector) Match(labels Labels) (bool, error) {
	compiled, errs := compileSelectors("selector", []Selector{s})
	return compiled.match(labels), errors.Join(errs...)
}

// selectors are compiled Selectors: one of them must match. None match all.
type selectors []selector

type selector struct {
	text string // as kubectl writes it; equal for selectors that say the same in another order
	reqs []Requirement
}

// compileSelectors checks the selectors under a key and returns one error for each mistake.
func compileSelectors(under string, list []Selector) (selectors, []error) {
	var all selectors
	var errs []error
	for i, s := range list {
		reqs := slices.Clone(s.MatchExpressions)
		for _, k := range slices.Sorted(maps.Keys(s.MatchLabels)) {
			reqs = append(reqs, Requirement{Key: k, Operator: opIn, Values: []string{s.MatchLabels[k]}})
		}
		texts := make([]string, 0, len(reqs))
		for _, r := range reqs {
			if err := r.check(); err != nil {
				errs = append(errs, wrongAt(fmt.Errorf("%s[%d]: %w", under, i, err), under, i))
			}
			texts = append(texts, r.String())
		}
		slices.Sort(texts)
		all = append(all, selector{text: strings.Join(slices.Compact(texts), ","), reqs: reqs})
	}
	return all, errs
}

// check says what is wrong with a requirement.
func (r Requirement) check() error {
	if err := checkLabelKey(r.Key); err != nil {
		return err
	}
	switch r.Operator {
	case opIn, opNotIn:
		if len(r.Values) == 0 {
			return fmt.Errorf("label %q: operator %s needs values", r.Key, r.Operator)
		}
	case opExists, opDoesNotExist:
		if len(r.Values) > 0 {
			return fmt.Errorf("label %q: operator %s takes no values; use In or NotIn with them", r.Key, r.Operator)
		}
	case "":
		return fmt.Errorf("label %q: it has no operator; want In, NotIn, Exists or DoesNotExist", r.Key)
	default:
		return fmt.Errorf("label %q: unknown operator %q; want In, NotIn, Exists or DoesNotExist", r.Key, clip(r.Operator))
	}
	for _, v := range r.Values {
		if err := checkWord(v); v != "" && err != nil {
			return fmt.Errorf("label %q: value %q: %w", r.Key, clip(v), err)
		}
	}
	return nil
}

// checkLabelKey checks the name of a label: "name" or "prefix/name", where the prefix is a DNS
// name.
func checkLabelKey(key string) error {
	prefix, name, prefixed := strings.Cut(key, "/")
	if !prefixed {
		prefix, name = "", key
	}
	if name == "" {
		return fmt.Errorf("label %q: it has no name", clip(key))
	}
	if err := checkWord(name); err != nil {
		return fmt.Errorf("label %q: %w", clip(key), err)
	}
	if !prefixed {
		return nil
	}
	if len(prefix) > maxLabelPrefix {
		return fmt.Errorf("label %q: what stands before the / is longer than %d bytes", clip(key), maxLabelPrefix)
	}
	for part := range strings.SplitSeq(prefix, ".") {
		if checkDNSLabel(part) != nil {
			return fmt.Errorf("label %q: what stands before the / must be a DNS name in lower case", clip(key))
		}
	}
	return nil
}

// checkWord checks the form that names of pools and names and values of labels have.
func checkWord(text string) error {
	if len(text) > maxWord {
		return fmt.Errorf("longer than %d bytes", maxWord)
	}
	for i := range len(text) {
		c := text[i]
		alnum := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		inner := i > 0 && i < len(text)-1 && (c == '-' || c == '_' || c == '.')
		if !alnum && !inner {
			return errors.New("only letters and digits, and '-', '_' and '.' between them")
		}
	}
	return nil
}

// checkDNSLabel checks the name of a namespace.
func checkDNSLabel(text string) error {
	if text == "" || checkWord(text) != nil || strings.ToLower(text) != text || strings.ContainsAny(text, "_.") {
		return fmt.Errorf("only lower-case letters and digits, and '-' between them, at most %d", maxWord)
	}
	return nil
}

// String writes a requirement as kubectl does.
func (r Requirement) String() string {
	values := slices.Compact(slices.Sorted(slices.Values(r.Values)))
	switch {
	case r.Operator == opExists:
		return r.Key
	case r.Operator == opDoesNotExist:
		return "!" + r.Key
	case len(values) == 1 && r.Operator == opIn:
		return r.Key + "=" + values[0]
	case len(values) == 1:
		return r.Key + "!=" + values[0]
	case r.Operator == opIn:
		return r.Key + " in (" + strings.Join(values, ",") + ")"
	}
	return r.Key + " notin (" + strings.Join(values, ",") + ")"
}

func (r Requirement) matches(value string, has bool) bool {
	switch r.Operator {
	case opIn:
		return has && slices.Contains(r.Values, value)
	case opNotIn:
		return !has || !slices.Contains(r.Values, value)
	case opExists:
		return has
	}
	return !has
}

func (s selector) matches(label func(key string) (string, bool)) bool {
	return !slices.ContainsFunc(s.reqs, func(r Requirement) bool { return !r.matches(label(r.Key)) })
}

// matches reports whether an object with these labels matches one of the selectors; without any it
// does.
func (l selectors) matches(label func(key string) (string, bool)) bool {
	return len(l) == 0 || slices.ContainsFunc(l, func(s selector) bool { return s.matches(label) })
}

func (l selectors) match(labels Labels) bool {
	return l.matches(func(key string) (string, bool) {
		value, has := labels[key]
		return value, has
	})
}

// matchText is match for the labels of a Service.
func (l selectors) matchText(text string) bool {
	return l.matches(func(key string) (string, bool) { return labelOf(text, key) })
}

// texts returns the selectors as kubectl writes them, nil for none.
func (l selectors) texts() []string {
	var all []string
	for _, s := range l {
		all = append(all, s.text)
	}
	return all
}
