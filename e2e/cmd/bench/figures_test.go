package main

import (
	"testing"
	"time"

	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
)

func TestUnknownCommands(t *testing.T) {
	for _, args := range [][]string{nil, {"bogus"}, {"leases", "more"}} {
		if code := run(t.Context(), args); code != 2 {
			t.Errorf("%q: exit code %d, want 2", args, code)
		}
	}
}

func TestPercentile(t *testing.T) {
	hundred := make([]time.Duration, 100)
	for i := range hundred {
		hundred[i] = time.Duration(100 - i)
	}
	for _, tt := range []struct {
		name string
		d    []time.Duration
		p    int
		want time.Duration
	}{
		{"median of one", []time.Duration{7}, 50, 7},
		{"median of two is the lower", []time.Duration{9, 1}, 50, 1},
		{"median of three", []time.Duration{9, 1, 5}, 50, 5},
		{"median of a hundred", hundred, 50, 50},
		{"99th of a hundred", hundred, 99, 99},
		{"99th of three is the highest", []time.Duration{9, 1, 5}, 99, 9},
	} {
		if got := percentile(tt.d, tt.p); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.want)
		}
	}
}

func TestField(t *testing.T) {
	const status = "Name:\tstarling\nVmRSS:\t   48828 kB\nRssAnon:\t 1000 kB\n"
	for name, want := range map[string]float64{"VmRSS:": 48828 * 1024 / 1e6, "RssAnon:": 1.024, "VmSwap:": 0} {
		if got := field(status, name); got != want {
			t.Errorf("%s %v, want %v", name, got, want)
		}
	}
}

func TestWritesAreThoseOfTheTimeAndNamespace(t *testing.T) {
	since := time.Date(2026, 1, 1, 0, 0, 10, 0, time.UTC)
	var w writes
	for _, line := range []string{
		`{"requestReceivedTimestamp":"2026-01-01T00:00:09Z","objectRef":{"namespace":"bench"},"responseStatus":{"code":200}}`,
		`{"requestReceivedTimestamp":"2026-01-01T00:00:11Z","objectRef":{"namespace":"bench"}}`,
		`{"requestReceivedTimestamp":"2026-01-01T00:00:11Z","objectRef":{"namespace":"bench"},"responseStatus":{"code":200}}`,
		`{"requestReceivedTimestamp":"2026-01-01T00:00:12Z","objectRef":{"namespace":"bench"},"responseStatus":{"code":409}}`,
		`{"requestReceivedTimestamp":"2026-01-01T00:00:13Z","objectRef":{"namespace":"other"},"responseStatus":{"code":200}}`,
		`{"requestReceivedTimestamp":"2026-01-01T00:00:14Z","objectRef":{"name`,
	} {
		w.add([]byte(line), since)
	}
	if want := (writes{done: 1, refused: 1}); w != want {
		t.Errorf("%+v, want %+v", w, want)
	}
}

// TestTracker remembers the first sight of an address, and every version.
func TestTracker(t *testing.T) {
	k := &tracker{ips: map[string]time.Time{}, versions: map[string]time.Time{}}
	at := func(s int) time.Time { return time.Unix(int64(s), 0) }
	see := func(s int, name, version string, ips ...string) {
		o := &core.Service{ObjectMeta: meta.ObjectMeta{Name: name, ResourceVersion: version}}
		for _, ip := range ips {
			o.Status.LoadBalancer.Ingress = append(o.Status.LoadBalancer.Ingress, core.LoadBalancerIngress{IP: ip})
		}
		k.see(watch.Event{Type: watch.Modified, Object: o}, at(s))
	}
	see(1, "a-0", "5")
	see(2, "a-0", "6", "198.18.128.1")
	see(3, "a-0", "7", "198.18.128.1")
	see(4, "a-1", "8", "198.18.128.2")
	if got, err := k.bound(t.Context(), "a-0"); err != nil || !got.Equal(at(2)) {
		t.Errorf("a-0 had its address at %v, %v", got, err)
	}
	if got, err := k.version(t.Context(), "7"); err != nil || !got.Equal(at(3)) {
		t.Errorf("version 7 was seen at %v, %v", got, err)
	}
	if got, err := k.lastOf(t.Context(), "a", 2); err != nil || !got.Equal(at(4)) {
		t.Errorf("the last one was seen at %v, %v", got, err)
	}
	if k.count() != 2 {
		t.Errorf("%d have an address, want 2", k.count())
	}
}
