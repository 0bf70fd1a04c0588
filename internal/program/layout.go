package program

import (
	"slices"

	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// chooseLayout stores images with channels last from the first convolution on,
// as long as the operators after it accept any layout: a convolution is then a
// matrix product that reads the image in place.
func chooseLayout(r *op.Resolved, i int, o op.Op) (op.Layout, bool) {
	s := &r.Plan.Steps[i]
	shape := r.Plan.Values[s.Out].Spec.Shape
	if len(shape) != 4 {
		return op.Layout{}, false
	}
	last := func(v int) bool { return r.Layouts[v].IsChannelsLast(r.Plan.Values[v].Spec.Shape) }
	traits := o.Traits()
	switch {
	case traits.Images && traits.Layer:
		return op.ChannelsLast(shape), denseFilters(r, s)
	case traits.Images:
		return op.ChannelsLast(shape), last(s.In[0]) && (!traits.Moves || !slices.ContainsFunc(s.In, func(v int) bool { return !last(v) }))
	case !traits.Pointwise:
		return op.Layout{}, false
	}
	found := false
	for _, v := range s.In {
		if !r.Plan.Values[v].Spec.Shape.Equal(shape) {
			continue // it is repeated, from any layout
		}
		if found = last(v); !found {
			break
		}
	}
	return op.ChannelsLast(shape), found
}

// denseFilters reports whether a convolution's filters, and its bias if it has
// one, are row-major.
func denseFilters(r *op.Resolved, s *plan.Step) bool {
	for _, v := range s.In[1:] {
		if !r.Layouts[v].Dense {
			return false
		}
	}
	return true
}
