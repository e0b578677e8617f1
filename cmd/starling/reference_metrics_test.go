package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/rs/zerolog"

	"github.com/starling-lb/starling/arpd"
	"github.com/starling-lb/starling/bgp"
	"github.com/starling-lb/starling/mesh"
	"github.com/starling-lb/starling/nft"
	"github.com/starling-lb/starling/routes"
	"github.com/starling-lb/starling/speaker"
	"github.com/starling-lb/starling/status"
	"github.com/starling-lb/starling/watcher"
	"github.com/starling-lb/starling/watcher/kube"
)

// family is what is known of a metric before it has any series.
type family struct {
	kind, help string
	labels     []string
}

// catalog is a registry that notes what is registered; a real one shows only what has series.
type catalog map[string]family

func (c catalog) MustRegister(all ...prometheus.Collector) {
	for _, one := range all {
		if err := c.Register(one); err != nil {
			panic(err)
		}
	}
}

func (c catalog) Unregister(prometheus.Collector) bool { return false }

var (
	described = regexp.MustCompile(`^Desc\{fqName: ("[^"]*"), help: (".*"), unit: ".*", constLabels: \{(.*)\}, variableLabels: \{(.*)\}\}$`)
	labelName = regexp.MustCompile(`[a-z_]+`)
)

func (c catalog) Register(one prometheus.Collector) error {
	for d := range drain(one.Describe) {
		m := described.FindStringSubmatch(d.String())
		if m == nil {
			return errors.New("cannot read " + d.String())
		}
		name, err := strconv.Unquote(m[1])
		if err != nil {
			return err
		}
		help, err := strconv.Unquote(m[2])
		if err != nil {
			return err
		}
		constant, _, _ := strings.Cut(m[3], "=")
		c[name] = family{kind: kindOf(one, d), help: help, labels: labelName.FindAllString(constant+","+m[4], -1)}
	}
	return nil
}

// drain turns what a collector sends into a sequence.
func drain[T any](send func(chan<- T)) func(func(T) bool) {
	return func(yield func(T) bool) {
		ch := make(chan T)
		go func() {
			defer close(ch)
			send(ch)
		}()
		more := true
		for v := range ch { // to the end, or the sender would wait forever
			more = more && yield(v)
		}
	}
}

// kindOf tells a counter from a gauge and a histogram by a series, or by the type where there is
// none yet.
func kindOf(one prometheus.Collector, d *prometheus.Desc) string {
	kind := "gauge"
	if _, ok := one.(*prometheus.CounterVec); ok {
		kind = "counter"
	}
	for m := range drain(one.Collect) {
		var s dto.Metric
		if m.Desc() != d || m.Write(&s) != nil {
			continue
		}
		switch {
		case s.Counter != nil:
			kind = "counter"
		case s.Histogram != nil:
			kind = "histogram"
		}
	}
	return kind
}

// metricsOf are those that all rooms register.
func metricsOf(t *testing.T) catalog {
	t.Helper()
	all, log := catalog{}, zerolog.Nop()
	set, err := newSettings(config{}, log)
	if err != nil {
		t.Fatal(err)
	}
	all.MustRegister(set.collectors()...)
	keys, err := newKeyring(config{}, log)
	if err != nil {
		t.Fatal(err)
	}
	all.MustRegister(keys.failures)
	client, err := kube.Connect(kubeconfig(t, "http://127.0.0.1:1"), "test")
	if err != nil {
		t.Fatal(err)
	}
	_, err = watcher.New(watcher.Config{Client: client, NodeName: "n1", Log: log, Registry: all})
	_, wireErr := arpd.New(arpd.Config{Cluster: "c", PerAddress: true, Log: log, Registry: all})
	_, meshErr := mesh.New(mesh.Config{
		Name: "n1", Bind: netip.MustParseAddrPort("127.0.0.1:7927"), Label: "c", Keys: testKeys(1), Detection: mesh.Default, Log: log, Registry: all,
	})
	if err := errors.Join(err, wireErr, meshErr); err != nil {
		t.Fatal(err)
	}
	speaker.New(speaker.Config{Node: "n1", Log: log, Registry: all, PerAddress: true})
	nft.New(0, all)
	status.New(status.Config{Log: log, Registry: all})
	all.MustRegister(metricsOfSessions(t)...)
	return all
}

// metricsOfSessions are those of a speaker that has tried to have a session: without one it shows
// nothing.
func metricsOfSessions(t *testing.T) []prometheus.Collector {
	t.Helper()
	var kept keeper
	routers := bgp.New(bgp.Config{Registry: &kept})
	routers.Apply(routes.Set{Routers: []routes.Router{{Name: "tor1"}}})
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := routers.Run(ended); err != nil {
		t.Fatal(err)
	}
	return kept.list
}

// keeper is a registry that only keeps what is registered.
type keeper struct {
	prometheus.Registerer
	list []prometheus.Collector
}

func (k *keeper) MustRegister(all ...prometheus.Collector) { k.list = append(k.list, all...) }

func writeMetrics(t *testing.T, w io.Writer) {
	t.Helper()
	all := metricsOf(t)
	var rows [][]string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		f := all[name]
		rows = append(rows, []string{code(name), f.kind, strings.Join(f.labels, ", "), f.help})
	}
	fmt.Fprint(w, "\n## Metrics\n\nOnly two kinds have a series for each address, Service or node. `starling_mesh_trouble` has 64\nseries at most. Those that `--metrics-per-address` adds cover the first 1,000 addresses that the\nnode announces and as many Services; `starling_addresses_without_series` counts the others. The\nusual `go_` and `process_` metrics come with them.\n")
	table(w, []string{"metric", "type", "labels", "meaning"}, rows)
}

// bounded are the labels that a metric may have, with what bounds the number of their values.
var bounded = map[string]string{
	"pool":     "pools of the configuration",
	"reason":   "words of the program",
	"kind":     "words of the program",
	"result":   "words of the program",
	"state":    "words of the program",
	"resource": "words of the program",
	"peer":     "64 at a time, by mesh",
	"router":   "BGP routers of the configuration",
	"code":     "rules of health",
	"severity": "words of the program",
	"family":   "two",

	"address":           "where it is asked for: those that a node announces, 1000",
	"service_namespace": "where it is asked for: that of such addresses, 1000",
	"service_name":      "where it is asked for: that of such addresses, 1000",
}

// TestLabels: nothing that grows with the cluster may become a label, unless it is argued for
// above.
func TestLabels(t *testing.T) {
	t.Parallel()
	all := metricsOf(t)
	if len(all) < 35 {
		t.Errorf("only %d metrics", len(all))
	}
	for name, f := range all {
		for _, l := range f.labels {
			if bounded[l] == "" {
				t.Errorf("%s has the label %q, of which nobody knows how many values it has", name, l)
			}
		}
		if !strings.HasPrefix(name, "starling_") || f.help == "" {
			t.Errorf("%s: name or help (%q)", name, f.help)
		}
	}
}

func TestCatalogue(t *testing.T) {
	t.Parallel()
	c := catalog{}
	c.MustRegister(
		prometheus.NewCounterVec(prometheus.CounterOpts{Name: "a_total", Help: `says "a"`}, []string{"x", "y"}),
		prometheus.NewGauge(prometheus.GaugeOpts{Name: "b", ConstLabels: prometheus.Labels{"state": "on"}}),
		prometheus.NewHistogram(prometheus.HistogramOpts{Name: "c_seconds"}),
	)
	got := fmt.Sprint(c)
	if want := `map[a_total:{counter says "a" [x y]} b:{gauge  [state]} c_seconds:{histogram  []}]`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
