package speaker

import (
	"strings"

	"github.com/starling-lb/starling/health"
	"github.com/starling-lb/starling/lease"
)

// unknown is what is unknown of a Service: annotations that mean nothing, in words.
type unknown struct{ uid, words string }

// reportUnknown warns of annotations that look like ours and mean nothing, once for each edit, from
// one node, and again for a Service that was made again. Only Services that have some are
// remembered.
func (s *Speaker) reportUnknown(w *world) {
	if w.listed {
		clear(s.unknown) // some may be gone
	}
	for _, k := range w.edited {
		var now unknown
		if svc, known := s.table.Get(k); known && svc.Type == "LoadBalancer" {
			now = unknown{svc.UID, strings.Join(lease.UnknownAnnotations(&svc), "; ")}
		}
		if s.unknown[k] == now {
			continue
		}
		delete(s.unknown, k)
		if now.words == "" {
			continue
		}
		s.unknown[k] = now
		if w.writers.Rank(s.cfg.Node, k.String()) == 0 {
			e := warning(health.New(health.UnknownAnnotation, health.Service(k.String()), now.words))
			e.Once = "unknown-annotation " + now.uid + " " + now.words
			s.event([]lease.Key{k}, e)
		}
	}
}
