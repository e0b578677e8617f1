package mesh

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Two members with one MAC are named, once; a MAC that one has twice, and one of a member that is
// gone, are no fault.
func TestTwins(t *testing.T) {
	m, err := New(Config{Name: "n1", Bind: addrNo(1)})
	if err != nil {
		t.Fatal(err)
	}
	m.SetMeta(Meta{MACs: []string{"02:00:00:00:00:01"}})
	for i, macs := range [][]string{
		{"02:00:00:00:00:02", "02:00:00:00:00:02"}, {"02:00:00:00:00:01", "02:00:00:00:00:03"}, {"02:00:00:00:00:03"}, {"02:00:00:00:00:03"},
	} {
		n := testNode(i+2, Meta{MACs: macs})
		m.table.alive(n.Name, addrOf(n), n.Meta, time.Now())
	}
	want := []string{"nodes n1 and n3 have the same MAC 02:00:00:00:00:01", "nodes n3 and n4 have the same MAC 02:00:00:00:00:03"}
	words := func() (out []string) {
		for _, c := range m.Conditions() {
			out = append(out, c.Words)
		}
		return out
	}
	if diff := cmp.Diff(want, words()); diff != "" {
		t.Errorf("conditions (-want +got):\n%s", diff)
	}
	m.table.gone("n3", time.Now())
	if diff := cmp.Diff([]string{"nodes n4 and n5 have the same MAC 02:00:00:00:00:03"}, words()); diff != "" {
		t.Errorf("without n3 (-want +got):\n%s", diff)
	}
}
