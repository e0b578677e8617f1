package watcher

import (
	"bytes"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/rs/zerolog"

	"github.com/starling-lb/starling/lease"
)

func sample() saved {
	a := at("a", "u1", "7")
	a.Created = time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC)
	a.Annotations, a.Labels = [][2]string{{lease.LeaseAnnotation, "{\"v\":1}\n"}}, "app=a"
	a.Families, a.Ports, a.Ingress = []string{"IPv4"}, []string{"TCP/80"}, []string{"198.18.64.3"}
	a.Selector, a.Local, a.FamilyPolicy, a.Class, a.LoadBalancerIP, a.Writer = "app=a", true, "SingleStack", "x/y", "198.18.64.3", "controller"
	a.ExternalIPs, a.SourceRanges = []string{"198.18.64.9"}, []string{"198.18.0.0/16"}
	return saved{
		Cluster:  "c1",
		Services: []*Service{a, at("b", "u2", "8")},
		Nodes: []Node{{
			Name: "n1", Addresses: []netip.Addr{netip.MustParseAddr("198.18.0.1"), netip.MustParseAddr("2001:db8::1")},
			Labels: map[string]string{"k": "v"}, Cordoned: true, Excluded: true, NetworkUnavailable: true, MachineID: "m", Taints: []Taint{{"a", "b", "NoSchedule"}},
		}},
		Endpoints: map[Key]Endpoints{{Namespace: "d", Name: "a"}: {V4: found([]string{"", "n1"}), V6: Places{Found: NotServing}}},
	}
}

func encoded(t *testing.T, s saved) string {
	t.Helper()
	var b bytes.Buffer
	if err := s.encode(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestSnapshotRoundTrip(t *testing.T) {
	tests := []struct {
		name string
		in   saved
		want saved
	}{
		{"empty", saved{}, saved{}},
		{"all fields", sample(), sample()},
		{"endpoints of Services that are not kept", saved{Endpoints: map[Key]Endpoints{{Namespace: "d", Name: "zz"}: {V4: found([]string{"n1"})}}}, saved{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := decode(strings.NewReader(encoded(t, tt.in)))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got, addrs(), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestDamagedSnapshot cuts a good file at every length, and damages it in other ways.
func TestDamagedSnapshot(t *testing.T) {
	good := encoded(t, sample())
	for n := range len(good) - 1 { // the last byte is a line end
		if _, err := decode(strings.NewReader(good[:n])); err == nil {
			t.Fatalf("accepted %d bytes of %d", n, len(good))
		}
	}
	lines := strings.SplitAfter(good, "\n")
	tests := []struct{ name, in, want string }{
		{"a later format", strings.Replace(good, `"format":3`, `"format":4`, 1), "snapshot file of format 4, want 3"},
		{"an earlier format", strings.Replace(good, `"format":3`, `"format":2`, 1), "snapshot file of format 2, want 3"},
		{"no header", strings.Join(lines[1:], ""), "no header"},
		{"a line is missing", lines[0] + strings.Join(lines[2:], ""), "3 objects of 4"},
		{"a line twice", lines[0] + lines[1] + strings.Join(lines[1:], ""), "5 objects of 4"},
		{"another program's JSON", `{"a": 1}`, "no header"},
		{"binary", "\x00\x01\x02", "no header"},
		{"wrong types", strings.Replace(good, `"Name":"a"`, `"Name":7`, 1), "damaged snapshot file: object 1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := decode(strings.NewReader(tt.in)); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}

func FuzzSnapshot(f *testing.F) {
	var b bytes.Buffer
	if err := sample().encode(&b); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Add([]byte(`{"header":{"format":3}}{"objects":0}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		s, err := decode(bytes.NewReader(in))
		if err != nil {
			return
		}
		if again, err := decode(strings.NewReader(encoded(t, s))); err != nil {
			t.Errorf("not readable when written again: %v", err)
		} else if len(again.Services) != len(s.Services) || len(again.Nodes) != len(s.Nodes) {
			t.Errorf("%d services and %d nodes became %d and %d", len(s.Services), len(s.Nodes), len(again.Services), len(again.Nodes))
		}
	})
}

// TestSnapshotFile: the file is whole or the one before, dated by the last contact, and errors are
// told once.
func TestSnapshotFile(t *testing.T) {
	var log bytes.Buffer
	dir := filepath.Join(t.TempDir(), "state")
	w := &Watcher{services: newTable(nil), nodes: newNodeSet(nil), health: newAPIHealth("h", zerolog.Nop(), nil)}
	m := newMetrics(nil, w)
	f := newSnapshotFile(dir, zerolog.New(&log), m)
	if _, ok := f.read(); ok || log.Len() > 0 {
		t.Errorf("read something where there is nothing, log %q", log.String())
	}
	in := sample()
	in.Contact = time.Date(2026, 7, 2, 3, 4, 5, 0, time.UTC)
	if !f.write(in) {
		t.Fatal(log.String())
	}
	got, ok := f.read()
	if !ok || !got.Contact.Equal(in.Contact) || len(got.Services) != 2 {
		t.Errorf("read %+v", got)
	}
	if !f.touch(in.Contact.Add(time.Hour)) {
		t.Error("not touched")
	}
	if got, _ := f.read(); !got.Contact.Equal(in.Contact.Add(time.Hour)) {
		t.Errorf("contact %s after touch", got.Contact)
	}
	if info, err := os.Stat(f.path()); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("left over: %v, %v", left, err)
	}
	bad := newSnapshotFile(f.path(), zerolog.New(&log), m) // a file where a directory should be
	for range 2 {
		if bad.write(in) {
			t.Error("written into a file")
		}
	}
	if n := strings.Count(log.String(), "cannot write the snapshot file"); n != 1 {
		t.Errorf("told %d times: %q", n, log.String())
	}
	if err := os.WriteFile(f.path(), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, ok := f.read(); ok || !strings.Contains(log.String(), "snapshot file ignored") {
		t.Errorf("a damaged file: log %q", log.String())
	}
}
