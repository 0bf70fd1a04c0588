package engine

import (
	"fmt"

	"github.com/genie-sdk/go/internal/op"
)

// conditions compiles what operators want of sizes that are only known when they
// are bound, such as a slice within its axis, as classes of dimensions that must
// not be negative.
func (p *Program) conditions(index map[string]uint16) {
	for i, o := range p.res.Ops {
		c, ok := o.(op.Conditional)
		if !ok {
			continue
		}
		x := p.plan.Values[p.plan.Steps[i].In[0]].Spec.Shape
		dims, what := c.Conditions(x)
		k := class{text: dims, why: fmt.Sprintf("step %d (%s): %s of %v", i, o.Name(), what, x)}
		for _, d := range dims {
			if _, fixed := d.Const(); !fixed { // what is fixed has been checked
				k.dims = append(k.dims, p.poly(d, index, &k.mask))
			}
		}
		if len(k.dims) > 0 {
			p.classes = append(p.classes, k)
		}
	}
}
