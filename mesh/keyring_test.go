package mesh

import (
	"bytes"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/memberlist"
	"pgregory.net/rapid"
)

func ringOf(t *testing.T, numbers ...byte) *memberlist.Keyring {
	t.Helper()
	ring, err := newKeyring(keysOf(numbers...))
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

func keysOf(numbers ...byte) (out [][]byte) {
	for _, n := range numbers {
		out = append(out, keyOf(n))
	}
	return out
}

// numbersOf are the keys as numbers, the primary one first, the others sorted.
func numbersOf(keys [][]byte) (out []byte) {
	for _, k := range keys {
		out = append(out, k[0])
	}
	slices.Sort(out[1:])
	return out
}

func TestNewRing(t *testing.T) {
	ring := ringOf(t, 2, 1)
	if !bytes.Equal(ring.GetPrimaryKey(), keyOf(2)) || len(ring.GetKeys()) != 2 {
		t.Errorf("keys %v, want the first to encrypt", numbersOf(ring.GetKeys()))
	}
	if none, err := newKeyring(nil); none != nil || err != nil {
		t.Errorf("without keys: %v, %v", none, err)
	}
	if _, err := newKeyring([][]byte{{1}}); err == nil {
		t.Error("a key of one byte is taken")
	}
}

func TestRefit(t *testing.T) {
	for _, tt := range []struct {
		name       string
		have, want []byte
	}{
		{"the same", []byte{1}, []byte{1}},
		{"one more, to read", []byte{1}, []byte{1, 2}},
		{"the new one writes", []byte{1, 2}, []byte{2, 1}},
		{"the old one goes", []byte{2, 1}, []byte{2}},
		{"all at once", []byte{1}, []byte{2}},
		{"one from the middle", []byte{1, 2, 3, 4}, []byte{1, 3, 4}},
		{"the first of four", []byte{1, 2, 3, 4}, []byte{3, 2, 4}},
		{"most are others", []byte{1, 2, 3}, []byte{4, 5, 2}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ring := ringOf(t, tt.have...)
			if err := refit(ring, keysOf(tt.want...)); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(numbersOf(keysOf(tt.want...)), numbersOf(ring.GetKeys())); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// Whatever ring there was, the wanted one is there afterwards.
func TestRefitAny(t *testing.T) {
	numbers := rapid.SliceOfNDistinct(rapid.ByteRange(1, 12), 1, keysMost, rapid.ID[byte])
	rapid.Check(t, func(rt *rapid.T) {
		ring := ringOf(t, numbers.Draw(rt, "first")...)
		for range 4 {
			want := numbers.Draw(rt, "want")
			if err := refit(ring, keysOf(want...)); err != nil {
				rt.Fatal(err)
			}
			if diff := cmp.Diff(numbersOf(keysOf(want...)), numbersOf(ring.GetKeys())); diff != "" {
				rt.Fatalf("(-want +got):\n%s", diff)
			}
		}
	})
}

// Those who decrypt meanwhile go through slices of the ring without a lock:
// the race detector looks whether anything in them changes. A key that stays,
// as in a rotation, is there at every moment.
func TestRefitUnderReaders(t *testing.T) {
	ring, done := ringOf(t, 1), make(chan struct{})
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				for _, k := range ring.GetKeys() {
					if len(k) != keyBytes || !bytes.Equal(k, keyOf(k[0])) {
						t.Errorf("half a key: %v", k)
						return
					}
				}
			}
		})
	}
	for i := range 200 {
		old, next := byte(i%100+1), byte((i+1)%100+1)
		for _, want := range [][]byte{{old, next}, {next, old}, {next}} {
			if err := refit(ring, keysOf(want...)); err != nil {
				t.Error(err)
			}
		}
		for _, want := range [][]byte{{next, 101, 102, 103}, {next, 103, 102}, {next}} {
			if err := refit(ring, keysOf(want...)); err != nil {
				t.Error(err)
			}
		}
	}
	close(done)
	readers.Wait()
}

func TestSetKeysRefuses(t *testing.T) {
	encrypted, err := New(Config{Name: "n1", Bind: addrNo(1), Keys: keysOf(1)})
	if err != nil {
		t.Fatal(err)
	}
	plain, err := New(Config{Name: "n1", Bind: addrNo(1)})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		mesh *Mesh
		keys [][]byte
		want string
	}{
		{"none", encrypted, nil, "mesh: set keys: there are none"},
		{"a short one", encrypted, [][]byte{keyOf(2), {1}}, "mesh: set keys: gossip key 2 has 1 bytes, want 32"},
		{"too many", encrypted, keysOf(1, 2, 3, 4, 5, 6, 7, 8, 9), "mesh: set keys: 9 gossip keys, at most 8 are allowed"},
		{"no encryption", plain, keysOf(1), "mesh: set keys: the gossip is not encrypted"},
	} {
		if err := tt.mesh.SetKeys(tt.keys); err == nil || err.Error() != tt.want {
			t.Errorf("%s: error %v, want %s", tt.name, err, tt.want)
		}
	}
	if got := numbersOf(encrypted.ring.GetKeys()); !slices.Equal(got, []byte{1}) {
		t.Errorf("keys %v after what was refused", got)
	}
}

// Everybody knows who holds which key, and who encrypts with which one.
func TestKeysAreTold(t *testing.T) {
	inWorld(t, func(w *world) {
		w.tune = func(c *Config) { c.Keys = keysOf(1) }
		nodes := w.cluster(3)
		nodes[1].SetMeta(Meta{Version: "v1", Keys: []string{"ffffffff"}})
		if err := nodes[1].SetKeys(keysOf(1, 2)); err != nil {
			t.Fatal(err)
		}
		if err := nodes[2].SetKeys(keysOf(1, 2, 3)); err != nil {
			t.Fatal(err)
		}
		nodes[2].SetMeta(Meta{Version: "v2"})
		want := map[string][]string{
			"n1": Fingerprints(keysOf(1)), "n2": Fingerprints(keysOf(1, 2)), "n3": Fingerprints(keysOf(1, 2, 3)),
		}
		for _, n := range nodes {
			reported := func() (map[string][]string, map[string]string) {
				keys, versions := map[string][]string{}, map[string]string{}
				for _, m := range n.Members() {
					keys[m.Name], versions[m.Name] = m.Meta.Keys, m.Meta.Version
				}
				return keys, versions
			}
			w.within(2*time.Second, n.cfg.Name+" knows the keys", func() bool { keys, _ := reported(); return cmp.Equal(want, keys) })
			if _, versions := reported(); versions["n2"] != "v1" || versions["n3"] != "v2" {
				t.Errorf("%s: versions %v: keys and the rest of the metadata do not go together", n.cfg.Name, versions)
			}
		}
	})
}

// A rotation under the traffic that there always is, probes every tenth of a
// second and gossip: no member is lost, nothing is dropped for its key.
func TestRotation(t *testing.T) {
	inWorld(t, func(w *world) {
		w.tune = func(c *Config) { c.Keys = keysOf(1) }
		nodes := w.cluster(5)
		var moves []string
		watch := func(d time.Duration) {
			for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
				for _, n := range nodes {
					if n.table.count(Alive) != len(nodes) {
						moves = append(moves, n.cfg.Name+" sees "+n.view())
					}
				}
			}
		}
		for round := range byte(3) {
			old, next := round+1, round+2
			for _, want := range [][]byte{{old, next}, {next, old}, {next}} {
				for _, n := range nodes { // One after the other, as the Secret reaches them.
					if err := n.SetKeys(keysOf(want...)); err != nil {
						t.Fatal(err)
					}
					watch(300 * time.Millisecond)
				}
			}
		}
		watch(10 * time.Second)
		if len(moves) > 0 {
			t.Errorf("members were lost: %q", moves[0])
		}
		for _, n := range nodes {
			if c := rejected(n, kindKey); c > 0 || len(n.problems()) > 0 {
				t.Errorf("%s dropped %v for their key, problems %q", n.cfg.Name, c, n.problems())
			}
			n.SetMeta(Meta{Version: "after " + n.cfg.Name})
		}
		w.within(2*time.Second, "all hear all", func() bool {
			for _, n := range nodes {
				for _, m := range n.Members() {
					if m.Meta.Version != "after "+m.Name {
						return false
					}
				}
			}
			return true
		})
	})
}

// The wrong order is what the steps are for: a key that nobody else holds
// splits the mesh, shows on both sides, and heals when the others get it.
func TestRotationInTheWrongOrder(t *testing.T) {
	inWorld(t, func(w *world) {
		w.tune = func(c *Config) { c.Keys = keysOf(1) }
		nodes := w.cluster(3)
		if err := nodes[2].SetKeys(keysOf(2, 1)); err != nil {
			t.Fatal(err)
		}
		w.within(5*time.Second, "n3 is declared dead", func() bool { return nodes[0].state("n3") == Dead && nodes[1].state("n3") == Dead })
		if p := nodes[0].problems(); !slices.Contains(p, "peer 198.18.0.3 uses another gossip key") {
			t.Errorf("problems %q do not name the one with another key", p)
		}
		for _, n := range nodes[:2] {
			if err := n.SetKeys(keysOf(1, 2)); err != nil {
				t.Fatal(err)
			}
		}
		w.within(5*time.Second, "all are back", func() bool {
			for _, n := range nodes {
				if n.table.count(Alive) != 3 {
					return false
				}
			}
			return true
		})
		w.within(conditionTime+5*time.Second, "no trouble is left", func() bool {
			return len(nodes[0].problems())+len(nodes[1].problems())+len(nodes[2].problems()) == 0
		})
	})
}
