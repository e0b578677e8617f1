package mesh

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// membersVariable names how many members TestGrowth is to be held with, such as
// "10,50,100,200,500": the last takes some minutes.
const membersVariable = "STARLING_MEMBERS"

// TestGrowth boots clusters of growing size at once, in virtual time, and prints how long all take
// to settle, what each member sends at rest (the exchange of states by streams included), and when
// all know of a silent death.
func TestGrowth(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some seconds")
	}
	sizes := os.Getenv(membersVariable)
	if sizes == "" {
		sizes = "10,60"
	}
	for text := range strings.SplitSeq(sizes, ",") {
		members, err := strconv.Atoi(text)
		if err != nil || members < 3 || members > 1000 {
			t.Fatalf("%s: %q is not a number from 3 to 1000", membersVariable, text)
		}
		t.Run(fmt.Sprint(members, " members"), func(t *testing.T) {
			g := grow(t, members)
			t.Logf("settled after %4d ms, %6d bytes/s and member at rest, of these %6d by datagrams, death known to all after %4d ms, %d false deaths",
				g.settled.Milliseconds(), g.bytes, g.datagrams, g.death.Milliseconds(), g.falseDeaths)
			if g.datagrams > 5000 {
				t.Errorf("%d bytes per second and member by datagrams, want at most 5000 however many there are", g.datagrams)
			}
			if most := 5000 + 100*members; g.bytes > most {
				t.Errorf("%d bytes per second and member, want at most %d", g.bytes, most)
			}
			if g.falseDeaths > 0 {
				t.Errorf("%d deaths were seen of members that lived", g.falseDeaths)
			}
			if g.death > 2*time.Second {
				t.Errorf("the death was known to all after %v", g.death)
			}
		})
	}
}

// growth is what a cluster of some size costs.
type growth struct {
	settled, death   time.Duration
	bytes, datagrams int // per second and member
	falseDeaths      int
}

// grow boots that many members within an instant, lets them rest, and kills one.
func grow(t *testing.T, members int) (g growth) {
	inWorld(t, func(w *world) {
		begin := time.Now()
		nodes := w.cluster(members)
		g.settled = time.Since(begin)
		for i, n := range nodes { // What a speaker says of itself.
			n.SetMeta(Meta{
				Ready: true, Proxy: true, Version: "v0.1.0", Config: 1, Segments: prefixes("198.18.0.0/16", "2001:db8:18::/64"),
				MACs: []string{fmt.Sprintf("02:00:00:00:%02x:%02x", i>>8, i&255)},
			})
		}
		time.Sleep(10 * time.Second) // Rumors of the beginning have died down.

		sent := func() (datagrams, streams int) {
			w.net.do(func() { datagrams, streams = w.net.sent, w.net.streamed })
			return datagrams, streams
		}
		const rest = 30 // Seconds: the exchange of states is every 5 s, in a large cluster less often.
		d, s := sent()
		time.Sleep(rest * time.Second)
		dd, ss := sent()
		g.datagrams = (dd - d) / members / rest
		g.bytes = g.datagrams + (ss-s)/members/rest
		for _, n := range nodes {
			g.falseDeaths += n.logs.count("member dead")
		}
		w.kill("n1")
		g.death = w.within(5*time.Second, "death seen by all", func() bool {
			return !slices.ContainsFunc(nodes[1:], func(n *node) bool { return n.table.count(Dead) == 0 })
		})
	})
	return g
}
