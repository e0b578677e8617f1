package lease

import (
	"fmt"
	"slices"
	"strings"
)

// Classes are the values of spec.loadBalancerClass whose Services are managed, sorted and with
// commas between, which no class contains. "" among them stands for Services without a class, so
// the zero value manages these alone. Classes may be compared.
type Classes string

// NewClasses checks classes, each as Kubernetes takes it, or "". Without any it is the zero value.
func NewClasses(list []string) (Classes, error) {
	for _, c := range list {
		if c == "" {
			continue
		}
		if err := checkLabelKey(c); err != nil {
			return "", fmt.Errorf("class %q: want one as loadBalancerClass has it, such as example.com/ours: %w", clip(c), err)
		}
	}
	return Classes(strings.Join(slices.Compact(slices.Sorted(slices.Values(list))), ",")), nil
}

// Has reports whether Services of a class are managed.
func (c Classes) Has(class string) bool {
	for one := range strings.SplitSeq(string(c), ",") {
		if one == class {
			return true
		}
	}
	return false
}
