package engine

import "time"

// addProfile adds the times of the groups of one run.
func (e *Engine) addProfile(p *Program, times []time.Duration, total time.Duration) {
	e.kernelNS.Add(int64(total))
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.profile == nil {
		e.profile = map[string]time.Duration{}
	}
	for i, d := range times {
		e.profile[p.Labels[i]] += d
		if e.opts.Trace != nil {
			e.opts.Trace(p.Labels[i])
		}
	}
}
