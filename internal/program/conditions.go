package program

import (
	"fmt"

	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// conditions compiles the operators' conditions on sizes that are known only at
// binding, such as a slice within its axis, as classes of dimensions that must
// not be negative.
func (p *Program) conditions() {
	for i, o := range p.Res.Ops {
		c, ok := o.(op.Conditional)
		if !ok {
			continue
		}
		in := p.Inputs(i)
		dims, what := c.Conditions(in)
		k := Class{Text: dims, Why: fmt.Sprintf("step %d (%s): %s of %v", i, o.Name(), what, shapes(in))}
		for _, d := range dims {
			if _, constant := d.Const(); !constant { // constants have been checked
				k.Dims = append(k.Dims, p.poly(d, &k.Mask))
			}
		}
		if len(k.Dims) > 0 {
			p.Classes = append(p.Classes, k)
		}
	}
}

// shapes are those of the inputs, for an error.
func shapes(in []plan.Spec) any {
	if len(in) == 1 {
		return in[0].Shape
	}
	all := make([]plan.Shape, len(in))
	for i, x := range in {
		all[i] = x.Shape
	}
	return all
}
