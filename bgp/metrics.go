package bgp

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/starling-lb/starling/routes"
)

var (
	metricUp    = prometheus.NewDesc("starling_bgp_session_up", "1 if the BGP session with the router is established.", []string{"router"}, nil)
	metricPaths = prometheus.NewDesc("starling_bgp_session_paths", "Paths announced to the router.", []string{"router"}, nil)
	metricFlaps = prometheus.NewDesc("starling_bgp_session_flaps_total", "Established BGP sessions with the router that ended.", []string{"router"}, nil)
)

// collector shows the sessions when somebody looks. A speaker without routers shows nothing.
type collector struct{ speaker *Speaker }

// Describe implements prometheus.Collector.
func (c collector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{metricUp, metricPaths, metricFlaps} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (c collector) Collect(out chan<- prometheus.Metric) {
	for _, s := range c.speaker.Sessions() {
		up := 0.0
		if s.State == routes.Established {
			up = 1
		}
		out <- prometheus.MustNewConstMetric(metricUp, prometheus.GaugeValue, up, s.Router)
		out <- prometheus.MustNewConstMetric(metricPaths, prometheus.GaugeValue, float64(s.Sent), s.Router)
		out <- prometheus.MustNewConstMetric(metricFlaps, prometheus.CounterValue, float64(s.Flaps), s.Router)
	}
}
