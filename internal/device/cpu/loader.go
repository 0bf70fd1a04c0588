package cpu

import (
	"fmt"

	"github.com/genie-sdk/go/internal/device"
	"github.com/genie-sdk/go/internal/kernels"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// loader implements [device.WeightLoader].
type loader struct {
	d     *Device
	val   *plan.Value
	w     *weight
	size  weightSize
	got   int64
	stage []byte // arrived bytes that are not in their place: whole rows except for the last
	fill  int
	rows  int // rows in their place or, without a shape, elements
	width int // elements of a row
	wide  []float32
}

// LoadWeight implements [device.Code].
func (c *code) LoadWeight(id int, _ device.WeightSizes) (device.WeightLoader, error) {
	v := &c.prog.Plan().Values[id]
	shape, err := v.Spec.Shape.Eval(nil)
	if err != nil {
		return nil, err
	}
	size, err := c.weightSize(id)
	if err != nil {
		return nil, err
	}
	w := &weight{d: c.d, layout: c.layout[id].kind, shape: shape, packing: make(chan struct{}, 1)}
	w.k, w.n = w.layout.matrix(shape)
	if w.layout == panels || w.layout == columns {
		w.elem = c.d.element(v, w.k, w.n)
	}
	if w.data, err = c.d.weights.Alloc(int(size.first)); err != nil {
		return nil, noMemory(int(size.first), err)
	}
	return &loader{d: c.d, val: v, w: w, size: size, width: size.width, stage: make([]byte, size.stage)}, nil
}

// Bytes implements [device.WeightLoader].
func (l *loader) Bytes() int64 { return int64(len(l.w.data)) }

// Write implements [device.WeightLoader].
func (l *loader) Write(b []byte) {
	l.got += int64(len(b))
	if l.size.stage == 0 { // the content is stored as it arrives
		copy(l.w.data[l.got-int64(len(b)):], b)
		return
	}
	for len(b) > 0 {
		k := copy(l.stage[l.fill:], b)
		l.fill, b = l.fill+k, b[k:]
		if l.fill == len(l.stage) {
			l.place()
		}
	}
}

// Finish implements [device.WeightLoader].
func (l *loader) Finish() (device.Weight, error) {
	l.place()
	if l.w.elem == elemI8 {
		if err := l.round(); err != nil {
			l.Abort()
			return nil, err
		}
	}
	return l.w, nil
}

// Abort implements [device.WeightLoader].
func (l *loader) Abort() { l.w.Free() }

// place moves the staged rows to their place.
func (l *loader) place() {
	elems := l.fill / l.val.Storage.Size()
	if elems == 0 {
		return
	}
	k, n := l.w.k, l.w.n
	from, to := l.rows, l.rows+elems/l.width
	narrow := l.w.elem == elemF16 || l.w.elem == elemBF16
	staged := op.Array{Data: l.stage[:l.fill]}
	switch kind := l.w.layout; {
	case kind == dense || kind == filters:
		copy(l.w.f32()[from:], l.floats(elems))
	case kind == panels && narrow:
		kernels.PackRows16(l.w.u16(), staged.U16(), from, to, k, n)
	case kind == panels:
		kernels.PackRows(l.w.f32(), l.floats(elems), from, to, k, n)
	case narrow:
		kernels.PackColumns16(l.w.u16(), staged.U16(), from, to, k, n)
	default:
		kernels.PackColumns(l.w.f32(), l.floats(elems), from, to, k, n)
	}
	l.rows, l.fill = to, 0
}

// round rounds to 8-bit elements.
func (l *loader) round() error {
	m := l.w
	data, err := l.d.weights.Alloc(len(m.data) / elemF32.size())
	if err != nil {
		return noMemory(len(m.data)/elemF32.size(), err)
	}
	m.scales = make([]float32, m.n)
	wide := m.f32()
	old := m.data
	m.data = data
	done := false
	defer func() {
		if !done {
			m.data = old
			l.d.weights.Free(data)
		}
	}()
	if err := kernels.QuantizeColumns(m.i8(), m.scales, wide, m.k, m.n, 0, kernels.Panels(m.n)); err != nil {
		return fmt.Errorf("%w: weight %q in 8 bits: %w", transport.ErrDType, l.val.Name, err)
	}
	done = true
	l.d.weights.Free(old)
	return nil
}

// floats are the first n staged elements as float32.
func (l *loader) floats(n int) []float32 {
	staged := op.Array{Data: l.stage[:l.fill]}
	if l.val.Storage == plan.F32 {
		return staged.F32()[:n]
	}
	if l.wide == nil {
		l.wide = make([]float32, len(l.stage)/l.val.Storage.Size())
	}
	if l.val.Storage == plan.F16 {
		kernels.F16ToF32(l.wide[:n], staged.U16()[:n])
	} else {
		kernels.BF16ToF32(l.wide[:n], staged.U16()[:n])
	}
	return l.wide[:n]
}
