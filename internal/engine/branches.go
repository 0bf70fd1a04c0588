package engine

import "context"

// sideBySide is the branches of a run in progress.
type sideBySide struct {
	call *Call
	ctx  context.Context //nolint:containedctx // of the run, like the rest; cleared after it
	step step
	job  *job
	at   []int // by branch: the group that runs, or its end
	errs []error
}

func newSideBySide(p *Program) *sideBySide {
	if len(p.Lanes) == 0 {
		return nil
	}
	s := &sideBySide{job: newJob(), at: make([]int, len(p.Lanes)), errs: make([]error, len(p.Lanes))}
	s.step.side = s
	return s
}

// run runs the branches, each on a thread of its own as long as there is one.
// While both run neither finds a helper, and the one that is left finds the
// other's. It returns the first group that did not run, which is the one that
// failed if there is an error.
func (s *sideBySide) run(ctx context.Context, c *Call) (int, error) {
	s.call, s.ctx = c, ctx
	defer func() { s.call, s.ctx = nil, nil }()
	for i, l := range c.b.prog.Lanes {
		s.at[i], s.errs[i] = l.From, nil
	}
	c.s.e.pool.run(s.job, &s.step, len(s.at), 1, sideChunk)
	for i, err := range s.errs {
		if err != nil {
			return s.at[i], err
		}
	}
	return c.b.prog.Lanes[len(s.at)-1].To, nil
}

func sideChunk(s *step, lo, hi int) {
	for i := lo; i < hi; i++ {
		s.side.errs[i] = s.side.lane(i)
	}
}

// lane runs the groups of a branch in order.
func (s *sideBySide) lane(i int) error {
	for end := s.call.b.prog.Lanes[i].To; s.at[i] < end; s.at[i]++ {
		if err := s.call.group(s.ctx, s.at[i]); err != nil {
			return err
		}
	}
	return nil
}
