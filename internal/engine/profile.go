package engine

import (
	"maps"
	"time"
)

// The profile of a program is the time of each of its groups, by index: a run
// adds its times without a map of labels. When a program is dropped, its times
// are added to the engine's profile by label.

// addProfile adds the times of the groups of one run.
func (e *Engine) addProfile(p *Program, times []time.Duration, total time.Duration) {
	e.kernelNS.Add(int64(total))
	e.mu.Lock()
	defer e.mu.Unlock()
	if p.profile == nil {
		p.profile = make([]time.Duration, len(p.Groups))
		if e.profiled == nil {
			e.profiled = map[*Program]struct{}{}
		}
		e.profiled[p] = struct{}{}
	}
	for i, d := range times {
		p.profile[i] += d
	}
	if e.opts.Trace != nil {
		for i := range times {
			e.opts.Trace(p.Labels[i])
		}
	}
}

// forgetProfile adds a program's profile to the engine's. The caller holds the
// engine's lock.
func (e *Engine) forgetProfile(p *Program) {
	if p.profile == nil {
		return
	}
	if e.profile == nil {
		e.profile = map[string]time.Duration{}
	}
	p.addTo(e.profile)
	delete(e.profiled, p)
	p.profile = nil
}

// addTo adds the times of a program's groups by label. The caller holds the engine's
// lock.
func (p *Program) addTo(labels map[string]time.Duration) {
	for i, d := range p.profile {
		if d > 0 {
			labels[p.Labels[i]] += d
		}
	}
}

// kernels is the time of all groups by label; nil where nothing was measured. The
// caller holds the engine's lock.
func (e *Engine) kernels() map[string]time.Duration {
	if e.profile == nil && len(e.profiled) == 0 {
		return nil
	}
	all := make(map[string]time.Duration, len(e.profile))
	maps.Copy(all, e.profile)
	for p := range e.profiled {
		p.addTo(all)
	}
	return all
}
