package program

import (
	"fmt"

	"github.com/genie-sdk/go/internal/op"
)

// conditions compiles the operators' conditions on sizes that are known only at
// binding, such as a slice within its axis, as classes of dimensions that must
// not be negative.
func (p *Program) conditions(index map[string]uint16) {
	for i, o := range p.Res.Ops {
		c, ok := o.(op.Conditional)
		if !ok {
			continue
		}
		x := p.plan.Values[p.plan.Steps[i].In[0]].Spec.Shape
		dims, what := c.Conditions(x)
		k := Class{Text: dims, Why: fmt.Sprintf("step %d (%s): %s of %v", i, o.Name(), what, x)}
		for _, d := range dims {
			if _, fixed := d.Const(); !fixed { // constants have been checked
				k.Dims = append(k.Dims, p.poly(d, index, &k.Mask))
			}
		}
		if len(k.Dims) > 0 {
			p.Classes = append(p.Classes, k)
		}
	}
}
