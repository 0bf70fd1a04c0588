package worker

import (
	"github.com/genie-sdk/go/internal/worker/meter"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// Meter is the counters of the server.
func (s *Server) Meter() *meter.Meter { return s.meter }

// Stats is the activity and the memory of the worker.
func (s *Server) Stats() transport.Stats {
	st := s.opts.Engine.Stats()
	st.PlansSent, st.UploadsResumed = s.plans.Load(), s.resumed.Load()
	if s.opts.Cache != nil {
		c := s.opts.Cache.Stats()
		st.CacheHits, st.CacheMisses, st.CacheEvictions = c.Hits, c.Misses, c.Evictions
		st.CacheBytes, st.CacheEntries = c.Bytes, c.Entries
	}
	return st
}

// planLookup counts a lookup of a plan by its hash.
func (s *Server) planLookup(found bool) {
	if found {
		s.meter.PlanHits.Add(1)
	} else {
		s.meter.PlanMisses.Add(1)
	}
}

// weightLookup counts where the weights of a prepared plan were found.
type weightLookup struct {
	m       *meter.Meter
	missing int // from the worker's memory
}

func (s *Server) weightLookup(p *plan.Plan, missing []int) weightLookup {
	weights := 0
	for i := range p.Values {
		if p.Values[i].Kind == plan.KindWeight {
			weights++
		}
	}
	s.meter.WeightHits.Add(int64(max(weights-len(missing), 0)))
	return weightLookup{s.meter, len(missing)}
}

// end takes the weights that neither the model folder nor the cache had, and
// the number of those that the cache had.
func (l weightLookup) end(missing []int, cached int) {
	l.m.WeightFolderHits.Add(int64(max(l.missing-len(missing)-cached, 0)))
	l.m.WeightCacheHits.Add(int64(cached))
	l.m.WeightMisses.Add(int64(len(missing)))
}
