package opaque

import (
	"github.com/genie-sdk/go/internal/device"
	"github.com/genie-sdk/go/internal/program"
	"github.com/genie-sdk/go/transport/plan"
)

// code implements [device.Code].
type code struct {
	d               *Device
	prog            *program.Program
	layouts         map[int]device.WeightLayout
	joint           []bool // by group; nil where no group is joint
	widest, deepest int    // of the matrices of joint groups
}

// Layouts implements [device.Code].
func (c *code) Layouts() map[int]device.WeightLayout { return c.layouts }

// Joint implements [device.Code].
func (c *code) Joint() []bool { return c.joint }

// findJoint finds the products with one weight.
func (c *code) findJoint() {
	p := c.prog
	joint, found := make([]bool, len(p.Groups)), false
	for i := range p.Groups {
		g := &p.Groups[i]
		if g.Kind != program.Linear || p.Plan().Values[g.In[1]].Kind != plan.KindWeight {
			continue
		}
		shape, err := p.Plan().Values[g.In[1]].Spec.Shape.Eval(nil)
		if err != nil || shape[0] == 0 || shape[1] == 0 {
			continue
		}
		joint[i], found = true, true
		c.widest, c.deepest = max(c.widest, shape[0], shape[1]), max(c.deepest, shape[0], shape[1])
	}
	if found {
		c.joint = joint
	}
}

// The memory of this process that a run takes, by component.
const (
	runBytes      = 2 << 10
	runValueBytes = 64
)

// RunHeap implements [device.Code].
func (c *code) RunHeap() int64 { return runBytes + runValueBytes*int64(len(c.prog.Places)) }

// Elsewhere implements [device.Code].
func (*code) Elsewhere() []string { return nil }

// NewRun implements [device.Code].
func (c *code) NewRun(b *program.Bound, ctl device.Control) device.Run {
	r := &run{d: c.d, prog: c.prog, bound: b, ctl: ctl, weights: make([]*weight, len(c.prog.Places))}
	r.queue.run = r
	return r
}
