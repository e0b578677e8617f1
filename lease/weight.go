package lease

import (
	"fmt"
	"strings"
)

// The least and the most that a node may weigh, and what it weighs where nothing is said.
const (
	leastWeight   = 0
	mostWeight    = 100
	defaultWeight = 1
)

// NodeWeight says how many of a pool's addresses some nodes are to announce, in proportion to
// others.
type NodeWeight struct {
	// NodeSelectors say which nodes: those whose labels match one of them.
	NodeSelectors []Selector `json:"nodeSelectors"`
	// Weight from 0 to 100: a node of weight 3 announces three times as many as one of weight 1,
	// which is what nodes have without one. A node of weight 0 announces only while there is no
	// other.
	Weight *int `json:"weight"`
}

// weighed are the nodes of one weight.
type weighed struct {
	nodes  selectors
	weight int
}

// compileWeights checks the weights of nodes under a key, and says them in words. It returns one
// error for each mistake.
func compileWeights(under string, list []NodeWeight) (weights []weighed, texts []string, errs []error) {
	for i, w := range list {
		where := fmt.Sprintf("%s[%d]", under, i)
		compiled, wrong := compileSelectors(where+": nodeSelectors", w.NodeSelectors)
		errs = append(errs, renamed(wrong, "nodeWeights", i, "nodeSelectors")...)
		switch {
		case len(w.NodeSelectors) == 0:
			errs = append(errs, wrongAt(fmt.Errorf("%s: it has no nodeSelectors; say which nodes it is for", where), "nodeWeights", i, "nodeSelectors"))
		case w.Weight == nil:
			errs = append(errs, wrongAt(fmt.Errorf("%s: it has no weight; want 0 to %d", where, mostWeight), "nodeWeights", i, "weight"))
		case *w.Weight < leastWeight || *w.Weight > mostWeight:
			errs = append(errs, wrongAt(fmt.Errorf("%s: weight %d; want 0 (only while there is no other node) to %d", where, *w.Weight, mostWeight), "nodeWeights", i, "weight"))
		default:
			weights = append(weights, weighed{compiled, *w.Weight})
			texts = append(texts, fmt.Sprintf("%d for %s", *w.Weight, strings.Join(every(compiled.texts()), " or ")))
		}
	}
	return weights, texts, errs
}
