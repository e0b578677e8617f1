package arpd

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
)

// TestMetricNames holds the names of the contract. All series exist from the
// beginning, so that a rate can be computed over the first one.
func TestMetricNames(t *testing.T) {
	reg := prometheus.NewRegistry()
	if _, err := newMetrics(reg); err != nil {
		t.Fatal(err)
	}
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range families {
		for _, m := range f.Metric {
			labels := make([]string, 0, 1)
			for _, l := range m.Label {
				labels = append(labels, l.GetName()+"="+l.GetValue())
			}
			got = append(got, f.GetName()+"{"+strings.Join(labels, ",")+"}")
		}
	}
	slices.Sort(got)
	want := []string{
		"starling_layer2_conflicts_total{kind=member}", "starling_layer2_conflicts_total{kind=stranger}",
		"starling_layer2_dropped_total{reason=bad_checksum}",
		"starling_layer2_dropped_total{reason=bad_sender}",
		"starling_layer2_dropped_total{reason=limited}",
		"starling_layer2_dropped_total{reason=malformed}",
		"starling_layer2_dropped_total{reason=not_for_us}",
		"starling_layer2_dropped_total{reason=not_owned}",
		"starling_layer2_dropped_total{reason=not_request}",
		"starling_layer2_dropped_total{reason=overrun}",
		"starling_layer2_dropped_total{reason=own_frame}",
		"starling_layer2_dropped_total{reason=stale}",
		"starling_layer2_dropped_total{reason=unproven}",
		"starling_layer2_dropped_total{reason=write_failed}",
		"starling_layer2_gratuitous_sent_total{}",
		"starling_layer2_handshakes_sent_total{}",
		"starling_layer2_pings_answered_total{}",
		"starling_layer2_probes_sent_total{}",
		"starling_layer2_questions_sent_total{}", "starling_layer2_requests_received_total{}",
		"starling_layer2_responses_sent_total{}",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("series (-want +got):\n%s", diff)
	}
}

func TestMetricsTwice(t *testing.T) {
	reg := prometheus.NewRegistry()
	if _, err := newMetrics(reg); err != nil {
		t.Fatal(err)
	}
	if _, err := newMetrics(reg); err == nil {
		t.Error("no error when the names are taken")
	}
	if _, err := newMetrics(nil); err != nil {
		t.Errorf("without registry: %v", err)
	}
}
