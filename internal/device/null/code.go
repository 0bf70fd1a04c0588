package null

import (
	"fmt"
	"math"

	"github.com/genie-sdk/go/internal/device"
	"github.com/genie-sdk/go/internal/program"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// code implements [device.Code].
type code struct {
	d       *Device
	prog    *program.Program
	layouts map[int]device.WeightLayout
	joint   []bool // by group; nil where no group is joint
	width   int    // of the rows of a joint product, of what goes in and comes out
}

// newCode chooses the kernels of the groups and the layouts of the weights, of which
// there are none.
func newCode(d *Device, p *program.Program) *code {
	c := &code{d: d, prog: p, layouts: map[int]device.WeightLayout{}}
	for v := range p.Plan().Values {
		if x := &p.Plan().Values[v]; x.Kind == plan.KindWeight {
			c.layouts[v] = layoutOf(x)
		}
	}
	joint, found := make([]bool, len(p.Groups)), false
	for i := range p.Groups {
		g := &p.Groups[i]
		if g.Kind != program.Linear || p.Plan().Values[g.In[1]].Kind != plan.KindWeight {
			continue
		}
		l := layoutOf(&p.Plan().Values[g.In[1]])
		joint[i], found, c.width = true, true, max(c.width, l.dims[0]+l.dims[1])
	}
	if found {
		c.joint = joint
	}
	return c
}

// Layouts implements [device.Code].
func (c *code) Layouts() map[int]device.WeightLayout { return c.layouts }

// Joint implements [device.Code]: products with one weight, which is read once.
func (c *code) Joint() []bool { return c.joint }

// Elsewhere implements [device.Code].
func (*code) Elsewhere() []string { return nil }

// The memory of this process that a run takes, by component.
const (
	runBytes      = 512
	runGroupBytes = 64 // a time and a place in the queue
)

// RunHeap implements [device.Code].
func (c *code) RunHeap() int64 { return runBytes + runGroupBytes*int64(len(c.prog.Groups)) }

// NewRun implements [device.Code].
func (c *code) NewRun(b *program.Bound, ctl device.Control) device.Run {
	return &run{code: c, bound: b, ctl: ctl, costs: make([]cost, len(c.prog.Groups))}
}

// NewBatch implements [device.Code].
func (c *code) NewBatch() device.Batch { return &batch{code: c} }

// layout is how a weight is held: as it comes. It says what the plan says of the
// content, since who says otherwise of it does not get it.
type layout struct {
	dtype, storage plan.DType
	rank           int
	dims           [plan.MaxRank]int
}

func layoutOf(v *plan.Value) layout {
	l := layout{dtype: v.Spec.DType, storage: v.Storage, rank: len(v.Spec.Shape)}
	for i, d := range v.Spec.Shape {
		l.dims[i], _ = d.Const() // all are, in a plan that has passed its checks
	}
	return l
}

// bytes is the size of the content.
func (l *layout) bytes() (int64, error) {
	n := int64(l.storage.Size())
	for _, d := range l.dims[:l.rank] {
		var ok bool
		if n, ok = plan.MulChecked(n, int64(d)); !ok || n > math.MaxInt/16 {
			return 0, fmt.Errorf("%w: a weight of %v", transport.ErrLimit, l.dims[:l.rank])
		}
	}
	return n, nil
}

// WeightSizes implements [device.Code].
func (c *code) WeightSizes(v int) (device.WeightSizes, error) {
	l := layoutOf(&c.prog.Plan().Values[v])
	n, err := l.bytes()
	return device.WeightSizes{Content: n, Peak: n, Held: n}, err
}

// LoadWeight implements [device.Code].
func (c *code) LoadWeight(_ int, s device.WeightSizes) (device.WeightLoader, error) {
	if err := c.d.take(ofWeights, s.Held); err != nil {
		return nil, err
	}
	return &weight{d: c.d, n: s.Held}, nil
}

func ofWeights(h *Held) *int64 { return &h.Weights }

// weight implements [device.Weight], and [device.WeightLoader] during loading.
type weight struct {
	d *Device
	n int64
}

// Write implements [device.WeightLoader]: the content is dropped.
func (*weight) Write([]byte) {}

// Finish implements [device.WeightLoader].
func (w *weight) Finish() (device.Weight, error) { return w, nil }

// Abort implements [device.WeightLoader].
func (w *weight) Abort() { w.Free() }

// Bytes implements [device.Weight] and [device.WeightLoader].
func (w *weight) Bytes() int64 { return w.n }

// Packed implements [device.Weight].
func (*weight) Packed() bool { return false }

// Free implements [device.Weight].
func (w *weight) Free() { _ = w.d.take(ofWeights, -w.n) }
