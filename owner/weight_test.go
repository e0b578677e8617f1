package owner

import (
	"bufio"
	"math"
	"math/big"
	"os"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// exact compares by weight in numbers that are never rounded: -log(u)/w < -log(v)/x where u^x >
// v^w. It returns 1 if the first goes before the second, 0 if they are equal.
func exact(score uint64, weight int, other uint64, otherWeight int) int {
	if weight == 0 || otherWeight == 0 {
		if weight == otherWeight {
			weight, otherWeight = 1, 1
		} else {
			return (weight - otherWeight) / max(weight, otherWeight)
		}
	}
	power := func(score uint64, by, fraction int) *big.Int {
		n := new(big.Int).SetUint64(score)
		n.Add(n, big.NewInt(1)).Exp(n, big.NewInt(int64(by)), nil)
		return n.Lsh(n, uint(64*fraction))
	}
	return power(score, otherWeight, weight).Cmp(power(other, weight, otherWeight))
}

func TestAbove(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.Uint64().Draw(t, "score"), rapid.Uint64().Draw(t, "other")
		w, x := rapid.IntRange(0, MostWeight).Draw(t, "weight"), rapid.IntRange(0, MostWeight).Draw(t, "other weight")
		if got, want := above(a, w, b, x), exact(a, w, b, x) > 0; got != want {
			t.Fatalf("%x by %d above %x by %d: %v, want %v", a, w, b, x, got, want)
		}
	})
}

// TestDepthKeepsTheOrder: rounding never lets a higher score be deeper, which makes the order of
// nodes one.
func TestDepthKeepsTheOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := rapid.Uint64().Draw(t, "score")
		b := a + min(rapid.Uint64Range(0, 1<<20).Draw(t, "more"), math.MaxUint64-a)
		if depth(b) > depth(a) {
			t.Fatalf("%x is %x deep, %x is %x", a, depth(a), b, depth(b))
		}
	})
	if depth(math.MaxUint64) != 0 || depth(0) != 64<<depthBits {
		t.Errorf("depths from %x to %x", depth(math.MaxUint64), depth(0))
	}
}

// TestGoldenDepths holds the comparison by weight forever, as testdata/scores.txt holds the scores.
func TestGoldenDepths(t *testing.T) {
	f, err := os.Open("testdata/depths.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	n := 0
	for sc := bufio.NewScanner(f); sc.Scan(); {
		if strings.HasPrefix(sc.Text(), "#") {
			continue
		}
		w := strings.Fields(sc.Text())
		if len(w) != 2 {
			t.Fatalf("testdata/depths.txt: %q: want score, depth", sc.Text())
		}
		score, err := strconv.ParseUint(w[0], 16, 64)
		if err != nil {
			t.Fatalf("testdata/depths.txt: %v", err)
		}
		if got := strconv.FormatUint(depth(score), 16); got != w[1] {
			t.Errorf("depth of %s: %s, want %s", w[0], got, w[1])
		}
		n++
	}
	if n < 20 {
		t.Fatalf("only %d golden vectors", n)
	}
}

// TestSpreadByWeight: addresses are shared as the weights are, within five standard deviations, and
// a node of weight 0 has none.
func TestSpreadByWeight(t *testing.T) {
	weights := map[string]int{"node-1": 0, "node-2": 2, "node-3": 7}
	scope := &Scope{Any: true, Weights: weights}
	vips := many(20000)
	count := map[string]int{}
	p := New(fleet(4)).Ranker()
	for _, v := range vips {
		v.Scope = scope
		count[p.Elect(v).Owner]++
	}
	for node, share := range map[string]float64{"node-1": 0, "node-2": 0.2, "node-3": 0.7, "node-4": 0.1} {
		want := share * float64(len(vips))
		if d := math.Abs(float64(count[node]) - want); d > 5*math.Sqrt(want*(1-share)) {
			t.Errorf("%s has %d, want about %.0f", node, count[node], want)
		}
	}
}

// TestWeightsAlike: weights that are all the same change no result but its words.
func TestWeightsAlike(t *testing.T) {
	nodes := fleet(9)
	alike := &Scope{Any: true, Weights: map[string]int{}}
	for _, n := range nodes {
		alike.Weights[n.Name] = 30
	}
	p := New(nodes).Ranker()
	for _, v := range many(500) {
		plain := p.Elect(v)
		v.Scope = alike
		if weighed := p.Elect(v); weighed.Owner != plain.Owner || weighed.Next != plain.Next {
			t.Errorf("%s: %s then %s, without weights %s then %s", v.IP, weighed.Owner, weighed.Next, plain.Owner, plain.Next)
		}
	}
}
