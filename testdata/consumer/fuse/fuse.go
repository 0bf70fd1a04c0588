// Package fuse is a policy of a third party: one file, outside the SDK's module, that
// uses nothing but its public packages.
package fuse

import (
	"errors"

	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/semantic"
)

// Policy computes x/(1+exp(-x)) by one operator, silu, and leaves out operators that
// only pass their input on. Weights of fewer than SmallWeight elements travel with each
// run, and carried values come back unless they are KV caches.
type Policy struct {
	SmallWeight int
}

var _ semantic.Policy = Policy{}

// Name implements [semantic.Policy].
func (Policy) Name() string { return "fuse" }

// Schedule implements [semantic.Policy].
func (p Policy) Schedule(s *semantic.SRG, r semantic.Request) (*semantic.Schedule, error) {
	caches := map[int]bool{}
	for _, c := range s.Caches {
		caches[c.Carry] = true
	}
	return semantic.Rules{
		Features: semantic.Features{Label: p.Name(), Weights: true, State: true, Sampling: true, Prune: true, Loop: true},
		Rewrite:  rewrite,
		KeepWeight: func(w *lazy.Tensor) bool {
			n, constant := w.Shape().Elements().Const()
			return !constant || n >= p.SmallWeight
		},
		KeepState: func(carry int) bool { return caches[carry] },
	}.Schedule(s, r)
}

func rewrite(g *semantic.Rewriter) error {
	for _, v := range g.Values() {
		if passesOn(v) {
			if err := g.Replace(v, v.In()[0]); err != nil {
				return err
			}
		}
	}
	for _, v := range g.Values() {
		x := sigmoidOf(v)
		if x == nil {
			continue
		}
		silu, err := g.Insert("silu", nil, x)
		if err != nil {
			return err
		}
		// The numbers in it may be others than 1 and -1: then it is not replaced.
		if err := g.Replace(v, silu); err != nil && !errors.Is(err, semantic.ErrPolicy) {
			return err
		}
	}
	return nil
}

// passesOn reports whether an operator gives its one input as it is, by its traits.
func passesOn(v *semantic.Value) bool {
	t := v.Traits()
	return t.Moves && t.Aligned && len(v.In()) == 1
}

// sigmoidOf is x where v has the form x / (a + exp(b * x)), nil for another value.
func sigmoidOf(v *semantic.Value) *semantic.Value {
	if !is(v, "div") || !is(v.In()[1], "add") {
		return nil
	}
	x := v.In()[0]
	for _, e := range v.In()[1].In() {
		if is(e, "exp") && is(e.In()[0], "mul") && (e.In()[0].In()[0] == x || e.In()[0].In()[1] == x) {
			return x
		}
	}
	return nil
}

func is(v *semantic.Value, operator string) bool { return v.Op() != nil && v.Op().Name() == operator }
