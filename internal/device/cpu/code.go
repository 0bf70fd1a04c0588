package cpu

import (
	"fmt"
	"strconv"
	"strings"
	"unsafe"

	"github.com/genie-sdk/go/internal/device"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/internal/program"
	"github.com/genie-sdk/go/transport/plan"
)

// Compile implements [device.Device].
func (d *Device) Compile(p *program.Program, w *op.Work) (device.Code, error) {
	c := &code{d: d, prog: p, layout: map[int]layout{}, filtersIn: map[int]int{}}
	for _, pass := range []func(){c.findKernels, c.layouts, c.findJoint, c.findWorkspaces} { // each is linear in the plan
		if err := w.Spend(len(p.Plan().Values) + len(p.Plan().Steps)); err != nil {
			return nil, err
		}
		pass()
	}
	return c, nil
}

// findKernels chooses the kernel of each group.
func (c *code) findKernels() {
	for i := range c.prog.Groups {
		g := &c.prog.Groups[i]
		c.kernels = append(c.kernels, c.d.chosenFor(g, c.prog.Res.Ops))
		c.elements = append(c.elements, elementsOf(g, c.prog.Res.Ops))
		c.blocks = append(c.blocks, c.blocksOf(g))
		if _, ok := c.filtersIn[g.Conv.Filters]; g.Kind == program.Convolve && !ok {
			c.filtersIn[g.Conv.Filters] = i
		}
		if need := heapNeed(c.prog.Res.Ops[g.Steps[0]]); need != nil {
			c.drawn = append(c.drawn, drawing{i, need})
		}
	}
}

// blocksOf is what computes a group of elementwise operators, nil of another one.
func (c *code) blocksOf(g *program.Group) *blockProgram {
	if c.kernels[len(c.kernels)-1].name != pointwiseName {
		return nil
	}
	return newBlockProgram(c.prog, g)
}

// Layouts implements [device.Code].
func (c *code) Layouts() map[int]device.WeightLayout {
	out := make(map[int]device.WeightLayout, len(c.layout))
	for v, l := range c.layout {
		out[v] = l
	}
	return out
}

// Joint implements [device.Code].
func (c *code) Joint() []bool { return c.joint }

// findJoint finds the products whose matrix is worth reading once for several
// runs.
func (c *code) findJoint() {
	p := c.prog
	if c.d.opts.Reference || len(p.Lanes) > 0 {
		return
	}
	joint, found := make([]bool, len(p.Groups)), false
	for i := range p.Groups {
		g := &p.Groups[i]
		if g.Kind == program.Convolve {
			return // it uses its filters many times in each call
		}
		if g.Kind != program.Linear || p.Plan().Values[g.In[1]].Kind != plan.KindWeight || c.layout[g.In[1]].kind == dense {
			continue
		}
		shape, err := p.Plan().Values[g.In[1]].Spec.Shape.Eval(nil)
		if err != nil {
			return // not a weight of a plan that has passed its checks
		}
		k, n := c.layout[g.In[1]].kind.matrix(shape)
		if k == 0 || n == 0 || k > jointDepth {
			continue // nothing to share, or chunks that are too long
		}
		joint[i], found = true, true
		c.jointK, c.jointN = max(c.jointK, k), max(c.jointN, n)
	}
	if found {
		c.joint = joint
	}
}

// findWorkspaces lists the groups that need workspace, and one of each set that
// needs equally much at all sizes.
func (c *code) findWorkspaces() {
	p := c.prog
	seen := map[string]bool{}
	for i := range p.Groups {
		g := &p.Groups[i]
		key := fmt.Sprint(g.Kind, p.LaneOf(i))
		switch g.Kind {
		case program.Convolve:
			w := p.Plan().Values[g.Conv.Filters]
			key += fmt.Sprint(w.Kind, w.Spec.Shape, g.Conv.Geometry, g.Conv.Image)
		case program.Linear:
			// A value with memory of its own has equidistant rows.
			if v, w := g.In[0], g.In[1]; p.Res.Base[v] == v && p.Res.Layouts[v].Dense && p.Res.Layouts[w].Dense {
				continue
			}
		case program.Attend:
			key += strconv.FormatBool(g.Attend.Start >= 0)
		case program.Single, program.Elementwise:
			switch {
			case denseKernels[c.kernels[i].name] != nil, isPool(p.Res.Ops[g.Steps[0]]):
				key += fmt.Sprint(c.kernels[i].name, p.Res.Ops[g.Steps[0]].Attrs().Key())
			case c.blocks[i] != nil:
				key += fmt.Sprint("blocks", p.Plan().Values[g.Out].Spec.DType.Size(), len(c.blocks[i].sizes), len(c.blocks[i].steps))
			case reductions[c.kernels[i].name], ownGeometry[c.kernels[i].name]:
				key += fmt.Sprint(c.kernels[i].name, p.Res.Ops[g.Steps[0]].Attrs().Key())
			default:
				continue
			}
		}
		var of strings.Builder
		for _, v := range g.In {
			fmt.Fprint(&of, ";", p.Places[v].Shape)
			// An attention needs as much with any spacing of dense rows.
			if g.Kind != program.Attend || !p.DenseRows(v) {
				fmt.Fprint(&of, ",", p.Places[v].Strides)
			}
		}
		if key += of.String(); !seen[key] {
			seen[key] = true
			c.worked = append(c.worked, i)
		}
	}
}

// The memory on the Go heap of a run, by component.
const (
	runBytes      = 3 << 10 // independent of the plan
	runValueBytes = 120     // op.Array and its weight
	runGroupBytes = int64(unsafe.Sizeof(step{})) + 24
	runPinBytes   = 16
	runCopyBytes  = 480 // copies of an attention's operands
)

// RunHeap implements [device.Code].
func (c *code) RunHeap() int64 {
	n := int64(runBytes) + int64(len(c.prog.Places))*runValueBytes + int64(len(c.prog.Groups))*runGroupBytes
	for i := range c.prog.Groups {
		g := &c.prog.Groups[i]
		n += int64(len(g.In)+len(g.Stages)) * runPinBytes
		if c.blocks[i] != nil {
			n += int64(unsafe.Sizeof(nest{}))
		}
		if copying[c.kernels[i].name] {
			n += int64(unsafe.Sizeof(copier{}))
		}
		if reductions[c.kernels[i].name] {
			n += int64(unsafe.Sizeof(reducing{}))
		}
		switch c.kernels[i].name {
		case resizeName:
			n += int64(unsafe.Sizeof(resizing{}))
		case transposeName:
			n += int64(unsafe.Sizeof(transposing{}) + unsafe.Sizeof(copier{}))
		case recurrentName:
			n += int64(unsafe.Sizeof(recurring{}))
		case padName:
			n += int64(unsafe.Sizeof(padding{}))
		}
		if isPool(c.prog.Res.Ops[g.Steps[0]]) {
			n += int64(unsafe.Sizeof(pooling{}) + unsafe.Sizeof(copier{}))
		}
		if denseKernels[c.kernels[i].name] != nil {
			n += int64(unsafe.Sizeof(copiedInputs{}))
		}
		for _, v := range g.In {
			if g.Kind == program.Attend && !c.prog.DenseRows(v) {
				n += runCopyBytes
			}
		}
	}
	return n
}

// Elsewhere implements [device.Code].
func (*code) Elsewhere() []string { return nil }

// filtersOf is the convolution whose filters are value id, nil if there is none.
func (c *code) filtersOf(id int) *program.Group {
	if i, ok := c.filtersIn[id]; ok {
		return &c.prog.Groups[i]
	}
	return nil
}
