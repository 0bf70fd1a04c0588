package lazy

import (
	"fmt"
	"maps"
	"slices"

	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/custom"
	"github.com/genie-sdk/go/transport/plan"
)

// Custom adds an operator of a user, with attributes that are data. Executors
// must have been given the operator, see package custom. A program has one
// operator of each name: the one that it was first given.
func Custom(o custom.Operator, attrs plan.Attrs, in ...*Tensor) *Tensor {
	impl, err := op.NewCustom(&o, attrs)
	if err != nil {
		var g *Graph
		for _, t := range in {
			if g == nil {
				g = t.Graph()
			}
		}
		return g.fail(custom.Prefix+o.Name, in, err)
	}
	return Apply(impl, in...)
}

// first is a user's operator as the program was first given it.
func (g *Graph) first(o op.Custom) op.Op {
	name := o.Definition().Name
	if known := g.custom[name]; known != nil {
		return o.As(known)
	}
	if g.custom == nil {
		g.custom = map[string]*custom.Operator{}
	}
	g.custom[name] = o.Definition()
	return o
}

// CustomOperators are the operators of a user that the program has, for an
// executor's options.
func (g *Graph) CustomOperators() (*custom.Table, error) {
	all := make([]custom.Operator, 0, len(g.custom))
	for _, name := range slices.Sorted(maps.Keys(g.custom)) {
		all = append(all, *g.custom[name])
	}
	t, err := custom.NewTable(all...)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCapture, err)
	}
	return t, nil
}
