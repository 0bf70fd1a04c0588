package genie

import (
	"context"
	"log/slog"
	"maps"
	"sync"
	"time"

	"github.com/genie-sdk/go/semantic"
)

// slowShare is the part of a run's time from which references of operators are
// reported.
const slowShare = 0.1

// predicted is what the cost model says of the references in the runs of a plan,
// asked once, at the sizes of the first run.
type predicted struct {
	once sync.Once
	of   semantic.References
	err  error
}

// warnSlow logs, once in a session, that references of operators are predicted to
// take more than a tenth of a run. It asks nobody: the prediction is for the CPU of
// this module, wherever the executor is.
func (s *Session) warnSlow(ctx context.Context, l *loop, sch *scheduled) {
	log := s.c.opts.logger
	if s.warned || !log.Enabled(ctx, slog.LevelWarn) {
		return
	}
	p := &sch.slow
	p.once.Do(func() {
		sizes := maps.Clone(l.names)
		for i, n := range l.sizes {
			if n != unbound {
				sizes[l.p.symbols[i]] = n
			}
		}
		p.of, p.err = sch.References(semantic.ReferenceDevice(), sizes)
	})
	if p.err != nil || p.of.Share() <= slowShare {
		return
	}
	s.warned = true
	steps := make([]string, len(p.of.Worst))
	for i, w := range p.of.Worst {
		steps[i] = w.String()
	}
	log.WarnContext(ctx, "operators without a kernel are computed by their references, which are slow", "graph", l.p.graph.Name(),
		"share", p.of.Share(), "predicted", time.Duration(p.of.Seconds*float64(time.Second)), "steps", steps)
}
