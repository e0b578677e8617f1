package nft

import (
	"math"

	"github.com/prometheus/client_golang/prometheus"
)

// metric asks the kernel when somebody looks.
func (k *Kernel) metric() prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "starling_forwarded_flows",
		Help: "TCP connections of which this node passed packets to the node that they began on, within the last minute; counted up to 16,384 of each IP family, NaN if the kernel cannot be asked. Only with --keep-connections.",
	}, func() float64 {
		n, err := k.Flows()
		if err != nil {
			return math.NaN()
		}
		return float64(n)
	})
}
