package cuda

import (
	"fmt"
	"strings"
	"unsafe"

	"github.com/genie-sdk/go/internal/device"
	"github.com/genie-sdk/go/internal/device/cuda/kernels"
	"github.com/genie-sdk/go/internal/kernelchoice"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/internal/program"
	"github.com/genie-sdk/go/transport/plan"
)

// code implements [device.Code].
type code struct {
	weights
	groups  []coded // by group
	brought []int   // values of this process that groups or outputs read: constants, then inputs
	inputs  int     // where the inputs begin among them
	sources []int   // by input among them: its place among the plan's inputs
	fetched []int   // outputs that groups compute, which a run may fetch when it waits
	worked  []int   // groups that need workspace, one of each set that needs equally much at all sizes
	joint   []bool  // by group; nil where no group is joint
}

// coded is what all runs of a group share.
type coded struct {
	launch launch
	kernel string // its name
	op     op.Op
}

// Compile implements [device.Device].
func (d *Device) Compile(p *program.Program, w *op.Work) (device.Code, error) {
	if len(p.Groups) > kernels.MaxStatusGroup {
		return nil, fmt.Errorf("%w: a plan of %d groups, the device takes %d", plan.ErrInvalid, len(p.Groups), kernels.MaxStatusGroup)
	}
	c := &code{}
	choose := func() error {
		c.weights = newWeights(d, p)
		return nil
	}
	for _, pass := range []func() error{choose, c.findKernels, c.findBrought, c.findJoint, c.findWorked} { // each is linear in the plan
		if err := w.Spend(len(p.Plan().Values) + len(p.Plan().Steps)); err != nil {
			return nil, err
		}
		if err := pass(); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// findKernels finds what launches each group.
func (c *code) findKernels() error {
	for i := range c.prog.Groups {
		g := &c.prog.Groups[i]
		k := coded{launch: launchOf(g, c.prog.Res.Ops), op: c.prog.Res.Ops[g.Steps[0]]}
		k.kernel, _ = kernelchoice.OnCUDA(g, c.prog.Res.Ops)
		if k.launch == nil {
			return fmt.Errorf("%w: %s has no kernel on the device", plan.ErrInvalid, c.prog.Labels[i])
		}
		c.groups = append(c.groups, k)
	}
	return nil
}

// findBrought lists the constants and inputs that kernels read, or that are
// outputs or become states.
func (c *code) findBrought() error {
	p := c.prog
	read, computed := make([]bool, len(p.Places)), make([]bool, len(p.Places))
	for i := range p.Groups {
		g := &p.Groups[i]
		computed[g.Out] = p.Res.InScratch(g.Out)
		for _, k := range g.Steps {
			for _, v := range p.Plan().Steps[k].In {
				if _, scale := p.Res.Ops[k].(op.Arith); !scale || g.Kind != program.Attend {
					read[p.Res.Base[v]] = true
				}
			}
		}
	}
	for _, o := range p.Plan().Outputs {
		read[p.Res.Base[o.Value]] = true
		if o.Place == plan.Download && computed[p.Res.Base[o.Value]] {
			c.fetched = append(c.fetched, o.Value)
		}
	}
	for _, s := range p.Plan().States {
		read[p.Res.Base[s.Out]] = true
	}
	for v := range p.Places {
		if read[v] && p.Places[v].Kind == plan.KindConst {
			c.brought = append(c.brought, v)
		}
	}
	c.inputs = len(c.brought)
	for i, in := range p.Plan().Inputs {
		if read[in.Value] {
			c.brought, c.sources = append(c.brought, in.Value), append(c.sources, i)
		}
	}
	return nil
}

// Joint implements [device.Code].
func (c *code) Joint() []bool { return c.joint }

// findJoint finds the products whose matrix is worth reading once for several
// runs: those with packed weights.
func (c *code) findJoint() error {
	p := c.prog
	if len(p.Lanes) > 0 {
		return nil
	}
	joint, found := make([]bool, len(p.Groups)), false
	for i := range p.Groups {
		g := &p.Groups[i]
		if g.Kind != program.Linear || !c.packed(g.In[1]) {
			continue
		}
		l := c.layouts[g.In[1]]
		k, n := l.matrix()
		if k == 0 || n == 0 {
			continue // nothing to share
		}
		joint[i], found = true, true
	}
	if found {
		c.joint = joint
	}
	return nil
}

// packed reports whether a value is a weight that is packed for products.
func (c *code) packed(v int) bool {
	l, ok := c.layouts[v]
	return ok && l.packed()
}

// findWorked lists the groups that may need workspace.
func (c *code) findWorked() error {
	p := c.prog
	seen := map[string]bool{}
	for i := range p.Groups {
		g := &p.Groups[i]
		if workspaceOf(g, c.groups[i].op) == nil {
			continue
		}
		var key strings.Builder
		fmt.Fprint(&key, g.Kind, c.groups[i].op.Name(), c.groups[i].op.Attrs(), g.Attend.Op.Causal, g.Attend.Merge)
		for _, s := range g.Stages {
			if s.Kind == program.StageRows {
				fmt.Fprint(&key, "+", p.Places[s.Value].Shape, ",", p.Places[s.Value].Strides)
			}
		}
		for _, v := range g.In {
			fmt.Fprint(&key, ";", p.Places[v].Shape, ",", p.Places[v].Strides, c.layouts[v].kind, c.layouts[v].spec.Storage)
		}
		if !seen[key.String()] {
			seen[key.String()] = true
			c.worked = append(c.worked, i)
		}
	}
	return nil
}

// The memory on the Go heap of a run, by component.
const (
	runBytes      = int64(unsafe.Sizeof(run{})) + 256 // independent of the plan
	runValueBytes = int64(unsafe.Sizeof(kernels.Tensor{})) + 8
	runGroupBytes = int64(unsafe.Sizeof(group{}))
	runStageBytes = int64(unsafe.Sizeof(kernels.Stage{}))
	runStateBytes = int64(unsafe.Sizeof(pages{})) + 8*(1+tableStep)
	runPortBytes  = int64(unsafe.Sizeof(device.Input{})) + 16
	runFetchBytes = int64(unsafe.Sizeof(fetched{})) + fetchedMost
)

// RunHeap implements [device.Code].
func (c *code) RunHeap() int64 {
	p := c.prog.Plan()
	n := runBytes + int64(len(c.prog.Places))*runValueBytes + int64(len(c.groups))*runGroupBytes +
		int64(len(p.States))*runStateBytes + int64(len(p.Inputs))*runPortBytes + int64(len(c.brought))*8 +
		int64(len(c.fetched))*runFetchBytes
	for i := range c.prog.Groups {
		g := &c.prog.Groups[i]
		n += int64(len(g.In))*8 + int64(len(g.Stages))*runStageBytes
	}
	return n
}

// Elsewhere implements [device.Code].
func (*code) Elsewhere() []string { return nil }
