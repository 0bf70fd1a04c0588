package opaque

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/genie-sdk/go/internal/device"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// layout is how a weight is stored: its elements in storage format, in reverse
// order. It includes the plan's description of the content, see
// [device.WeightLayout].
type layout struct{ device.WeightSpec }

func layoutOf(v *plan.Value) layout { return layout{device.SpecOf(v)} }

// weight implements [device.Weight], and [device.WeightLoader] during loading.
type weight struct {
	d      *Device
	layout layout
	mem    *buffer
	got    int
	err    error // the first of loading
}

// weightBytes is the size of the content in storage format.
func (l *layout) weightBytes() (int64, error) {
	n := int64(l.Storage.Size())
	for _, d := range l.Dims[:l.Rank] {
		var ok bool
		if n, ok = plan.MulChecked(n, int64(d)); !ok || n > math.MaxInt/16 {
			return 0, fmt.Errorf("%w: a weight of %v", transport.ErrLimit, l.Dims[:l.Rank])
		}
	}
	return n, nil
}

// WeightSizes implements [device.Code].
func (c *code) WeightSizes(v int) (device.WeightSizes, error) {
	l := layoutOf(&c.prog.Plan().Values[v])
	n, err := l.weightBytes()
	return device.WeightSizes{Content: n, Packed: l.Rank == 2, Peak: n, Held: n}, err
}

// LoadWeight implements [device.Code].
func (c *code) LoadWeight(v int, s device.WeightSizes) (device.WeightLoader, error) {
	if err := c.d.fails("alloc"); err != nil {
		return nil, err
	}
	return &weight{d: c.d, layout: layoutOf(&c.prog.Plan().Values[v]), mem: c.d.memory.alloc(useWeight, int(s.Content))}, nil
}

// Write implements [device.WeightLoader].
func (w *weight) Write(b []byte) {
	back := make([]byte, len(b))
	for i := range b {
		back[len(b)-1-i] = b[i]
	}
	w.got += len(b)
	if w.err == nil {
		w.err = w.d.fails("weight")
	}
	if w.err == nil {
		w.err = w.d.memory.write(w.mem, w.mem.n-w.got, back)
	}
}

// Finish implements [device.WeightLoader].
func (w *weight) Finish() (device.Weight, error) {
	if w.err != nil {
		w.Free()
		return nil, w.err
	}
	return w, nil
}

// Abort implements [device.WeightLoader].
func (w *weight) Abort() { w.Free() }

// Bytes implements [device.Weight] and [device.WeightLoader].
func (w *weight) Bytes() int64 { return int64(w.mem.n) }

// Packed implements [device.Weight].
func (w *weight) Packed() bool { return w.layout.Rank == 2 }

// Free implements [device.Weight].
func (w *weight) Free() { w.d.memory.free(useWeight, w.mem) }

// content is the weight as steps read it: row-major, in their compute type.
func (w *weight) content() ([]byte, error) {
	back, err := w.d.memory.read(w.mem, 0, w.mem.n)
	if err != nil {
		return nil, err
	}
	b := make([]byte, len(back))
	for i := range b {
		b[i] = back[len(b)-1-i]
	}
	if w.layout.Storage == w.layout.DType {
		return b, nil
	}
	wide := op.NewArray(plan.F32, len(b)/2)
	for i := range wide.F32() {
		wide.F32()[i] = op.Widen(w.layout.Storage, binary.LittleEndian.Uint16(b[2*i:]))
	}
	return wide.Data, nil
}
