package cpu

import "time"

func newLanes(r *run) *lanes {
	n := len(r.prog.Lanes)
	if n == 0 {
		return nil
	}
	l := &lanes{of: r, job: newJob(), at: make([]int, n), errs: make([]error, n)}
	l.step.lanes = l
	return l
}

// run runs the lanes, each on a separate thread while one is available. While
// both run neither finds a helper; the last one left finds the other's. It
// returns the first group that did not run, which is the one that failed if
// there is an error.
func (l *lanes) run(times []time.Duration) (int, error) {
	l.times = times
	all := l.of.prog.Lanes
	for i, x := range all {
		l.at[i], l.errs[i] = x.From, nil
	}
	l.of.d.pool.run(l.job, &l.step, len(l.at), 1, laneChunk)
	for i, err := range l.errs {
		if err != nil {
			return l.at[i], err
		}
	}
	return all[len(l.at)-1].To, nil
}

func laneChunk(s *step, lo, hi int) {
	for i := lo; i < hi; i++ {
		s.lanes.errs[i] = s.lanes.lane(i)
	}
}

// lane runs the groups of a lane in order.
func (l *lanes) lane(i int) error { return l.of.inOrder(&l.at[i], l.of.prog.Lanes[i].To, l.times) }

// laneOf is the lane of group i whose workspace it uses: lanes run concurrently
// and share none.
func (c *code) laneOf(i int) int {
	if c.prog.LaneOf(i) == 1 {
		return 1
	}
	return 0
}
