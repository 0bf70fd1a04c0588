package semantic

import (
	"fmt"
	"slices"

	"github.com/genie-sdk/go/lazy"
)

// Rules is a policy of functions, one for each plug point of the lowering that
// [Features] drives with switches: rewrites of the graph, placement, and hints
// to the run time (Features.Loop). The zero value is the blind policy; a nil
// function leaves its decision to the switches.
//
// A custom policy embeds Rules, or makes one in its Schedule. The functions
// must be pure: the same graph and request give the same plan. Their decisions
// are checked, and an infeasible one is [ErrPolicy].
type Rules struct {
	// Features are the switches that the functions refine. Label names the policy.
	Features
	// Rewrite changes the program that the executor computes, before the switches and
	// the functions below are applied to it.
	Rewrite func(*Rewriter) error
	// KeepWeight reports whether a weight stays on the executor; others are
	// sent with each run. It is called if Features.Weights is set.
	KeepWeight func(weight *lazy.Tensor) bool
	// KeepState reports whether the value of a carried pair, by index into
	// [lazy.Graph.Carries], stays on the executor; others are returned with
	// each run and fed to the next. It is called if Features.State is set and
	// the caller feeds no value. All plans of a graph must agree on it:
	// sessions enforce that.
	KeepState func(carry int) bool
	// Retain reports whether an output that the caller wants to retain
	// ([Request.Keep]) stays on the executor. It is called if Features.State is
	// set.
	Retain func(output lazy.Named) bool
	// Place assigns the steps to the devices of [Request.Cluster], unless the
	// request has a placement of its own.
	Place Placement
}

// Schedule implements [Policy].
func (p Rules) Schedule(s *SRG, r Request) (*Schedule, error) {
	l, err := p.lower(s, r)
	if err != nil {
		return nil, err
	}
	if err := l.emit(); err != nil {
		return nil, err
	}
	l.out.Loop = p.Loop
	if err := l.place(); err != nil {
		return nil, err
	}
	return l.out, nil
}

// lower rewrites the graph for a request.
func (p Rules) lower(s *SRG, r Request) (*lowering, error) {
	if err := s.Graph.Err(); err != nil {
		return nil, err
	}
	if s.Outdated() {
		return nil, planErr("the graph %q has grown since it was analysed; analyse it anew", s.Graph.Name())
	}
	l, err := newLowering(p, s, r)
	if err != nil {
		return nil, err
	}
	if err := l.targets(); err != nil {
		return nil, err
	}
	if p.Prune {
		l.main.pruneRows()
	}
	return l, nil
}

// rewrite lets the policy change everything that the executor computes,
// including carried values.
func (l *lowering) rewrite() error {
	if l.f.Rewrite == nil {
		return nil
	}
	never := func(*lazy.Tensor) bool { return false }
	for _, c := range l.s.Graph.Carries() {
		l.main.add(c.In, never)
		l.main.add(c.Out, never)
	}
	if err := l.f.Rewrite(&Rewriter{l: l, values: map[*irNode]*Value{}}); err != nil {
		return fmt.Errorf("%w: %s rewrites %q: %w", ErrPolicy, l.f.Label, l.s.Graph.Name(), err)
	}
	return nil
}

// stays reports whether carried pair i stays on the executor.
func (l *lowering) stays(i int) bool {
	return l.f.State && !slices.Contains(l.r.Fed, i) && (l.f.KeepState == nil || l.f.KeepState(i))
}

// staysWeight reports whether a weight stays on the executor.
func (l *lowering) staysWeight(t *lazy.Tensor) bool {
	return l.f.Weights && (l.f.KeepWeight == nil || l.f.KeepWeight(l.s.capturedOf(t)))
}

// retained reports whether an output stays on the executor.
func (l *lowering) retained(o mainOut) bool {
	return l.r.Keep && l.f.State && !o.byValue && (l.f.Retain == nil || l.f.Retain(lazy.Named{Name: o.name, Tensor: l.asked(o.src)}))
}
