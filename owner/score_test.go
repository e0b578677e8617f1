package owner

import (
	"bufio"
	"fmt"
	"math"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestGolden holds the scores forever: nodes of different releases must agree.
// A change of testdata/scores.txt is a change of protocol.
func TestGolden(t *testing.T) {
	f, err := os.Open("testdata/scores.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	n := 0
	for sc := bufio.NewScanner(f); sc.Scan(); {
		line := sc.Text()
		if strings.HasPrefix(line, "#") || line == "" {
			continue
		}
		w := strings.Fields(line)
		if len(w) != 3 {
			t.Fatalf("testdata/scores.txt: %q: want node, key, score", line)
		}
		want, err := strconv.ParseUint(w[2], 16, 64)
		if err != nil {
			t.Fatalf("testdata/scores.txt: %v", err)
		}
		got := ScoreKey(w[0], w[1])
		if ip, err := netip.ParseAddr(w[1]); err == nil {
			got = Score(w[0], ip)
		}
		if got != want {
			t.Errorf("score of %s for %s: %016x, want %016x", w[0], w[1], got, want)
		}
		n++
	}
	if n < 20 {
		t.Fatalf("only %d golden vectors", n)
	}
}

// TestMix compares the finaliser with the published first outputs of SplitMix64
// seeded with 1234567.
func TestMix(t *testing.T) {
	want := []uint64{6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431, 16408922859458223821}
	x := uint64(1234567)
	for i, w := range want {
		if got := mix(x); got != w {
			t.Errorf("output %d: %d, want %d", i, got, w)
		}
		x += 0x9e3779b97f4a7c15
	}
}

func TestMappedAddressScoresAlike(t *testing.T) {
	v4 := netip.MustParseAddr("198.18.0.7")
	if a, b := Score("n1", v4), Score("n1", netip.AddrFrom16(v4.As16())); a != b {
		t.Errorf("IPv4 %x, mapped %x", a, b)
	}
}

// TestSpread: with addresses in a row and names that differ in one digit, as
// they are in real clusters, the counts per node look like a fair draw. The
// bound of 5 standard deviations is exceeded once in a million fair draws.
func TestSpread(t *testing.T) {
	for _, nodes := range []int{2, 3, 7, 50} {
		t.Run(strconv.Itoa(nodes), func(t *testing.T) {
			const vips = 20000
			count := map[string]int{}
			e := New(fleet(nodes))
			for i := range vips {
				ip := netip.AddrFrom4([4]byte{198, 18, byte(i >> 8), byte(i)})
				count[e.Elect(VIP{IP: ip, Serving: true}).Owner]++
			}
			p := 1 / float64(nodes)
			sigma := math.Sqrt(vips * p * (1 - p))
			for n, c := range count {
				if d := math.Abs(float64(c)-vips*p) / sigma; d > 5 {
					t.Errorf("%s has %d of %d: %.1f standard deviations off", n, c, vips, d)
				}
			}
			if len(count) != nodes {
				t.Errorf("%d of %d nodes own something", len(count), nodes)
			}
		})
	}
}

func fleet(n int) []Node {
	r := make([]Node, n)
	for i := range r {
		r[i] = Node{Name: fmt.Sprintf("node-%d", i+1)}
	}
	return r
}

func BenchmarkElect(b *testing.B) {
	for _, n := range []int{3, 50, 1000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			e := New(fleet(n))
			v := VIP{IP: netip.MustParseAddr("198.18.0.1"), Serving: true}
			b.ReportAllocs()
			for b.Loop() {
				e.Elect(v)
			}
		})
	}
}

func drawAddr(t *rapid.T) netip.Addr {
	if rapid.Bool().Draw(t, "v6") {
		return netip.AddrFrom16([16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "ip")))
	}
	return netip.AddrFrom4([4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "ip")))
}
