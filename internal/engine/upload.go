package engine

import (
	"fmt"
	"math"

	"github.com/genie-sdk/go/internal/kernels"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// WeightWriter takes the content of one weight in its storage format, in
// order, in pieces of any size, and puts it into the form that a program
// needs.
type WeightWriter struct {
	e       *Engine
	key     weightKey
	val     plan.Value
	hash    transport.WeightHasher
	w       *weight
	want    int64 // bytes in storage format
	got     int64
	stage   []byte // bytes that have come and are not in their place: whole rows but for the last
	fill    int
	rows    int // rows or, where they have no shape, elements in their place
	width   int // elements of a row
	wide    []float32
	aborted bool
}

const (
	stageRows  = 4 * kernels.PanelWidth // whole panels of a transposed matrix
	stageElems = 16 << 10
)

// PutWeight starts to take the content of v, one of [Engine.Missing]. Memory
// for it is mapped here. Several writers may bring the same content.
func (e *Engine) PutWeight(p *Program, v plan.Value) (*WeightWriter, error) {
	id := -1
	for i := range p.plan.Values {
		if w := &p.plan.Values[i]; w.Kind == plan.KindWeight && w.Hash == v.Hash {
			if k := (weightKey{w.Hash, p.layout[i]}); e.store.get(k) == nil || id < 0 {
				id = i
			}
		}
	}
	if id < 0 {
		return nil, fmt.Errorf("%w: the plan has no weight %v", transport.ErrMissingWeight, v.Hash)
	}
	v = p.plan.Values[id]
	shape, err := v.Spec.Shape.Eval(nil)
	if err != nil {
		return nil, err
	}
	n := int64(1)
	for _, d := range shape {
		n *= int64(d)
	}
	w := &weight{form: p.layout[id].form, shape: shape}
	w.k, w.n = w.form.matrix(shape)
	held, width, stage := n*int64(v.Spec.DType.Size()), 1, min(n, stageElems)
	if w.form == panels || w.form == columns {
		w.elem = e.opts.element(&v, w.k, w.n)
		size := w.elem.size()
		if w.elem == elemI8 {
			size = elemF32.size() // until all of it is there
		}
		held = int64(kernels.PackedLen(w.k, w.n)) * int64(size)
		width, stage = shape[1], min(n, int64(stageRows)*int64(shape[1]))
	}
	if held > math.MaxInt {
		return nil, fmt.Errorf("%w: weight %q of %d bytes", transport.ErrLimit, v.Name, held)
	}
	ww := &WeightWriter{
		e: e, key: weightKey{v.Hash, p.layout[id]}, val: v, w: w, width: width,
		hash: transport.NewWeightHasher(v.Storage, shape), want: n * int64(v.Storage.Size()),
	}
	if !ww.direct() {
		ww.stage = make([]byte, stage*int64(v.Storage.Size()))
	}
	if w.data, err = e.store.memory.Alloc(int(held)); err != nil {
		return nil, fmt.Errorf("%w: no %d bytes of memory: %w", transport.ErrLimit, held, err)
	}
	return ww, nil
}

// Want is the number of bytes that the content has.
func (w *WeightWriter) Want() int64 { return w.want }

// direct reports whether the content is held as it comes.
func (w *WeightWriter) direct() bool {
	return (w.w.form == dense || w.w.form == filters) && w.val.Storage.Size() == w.val.Spec.DType.Size()
}

// Write takes the next bytes. More than the content has is
// [transport.ErrCorrupt].
func (w *WeightWriter) Write(b []byte) (int, error) {
	n := len(b)
	if w.got += int64(n); w.got > w.want || w.aborted {
		return 0, fmt.Errorf("%w: weight %q has %d bytes, got more", transport.ErrCorrupt, w.val.Name, w.want)
	}
	_, _ = w.hash.Write(b)
	if w.direct() {
		copy(w.w.data[w.got-int64(n):], b)
		return n, nil
	}
	for len(b) > 0 {
		k := copy(w.stage[w.fill:], b)
		w.fill, b = w.fill+k, b[k:]
		if w.fill == len(w.stage) {
			w.place()
		}
	}
	return n, nil
}

// place puts the staged rows where they belong.
func (w *WeightWriter) place() {
	elems := w.fill / w.val.Storage.Size()
	if elems == 0 {
		return
	}
	k, n := w.w.k, w.w.n
	from, to := w.rows, w.rows+elems/w.width
	narrow := w.w.elem == elemF16 || w.w.elem == elemBF16
	staged := op.Array{Data: w.stage[:w.fill]}
	switch form := w.w.form; {
	case form == dense || form == filters:
		copy(w.w.f32()[from:], w.floats(elems))
	case form == panels && narrow:
		kernels.PackRows16(w.w.u16(), staged.U16(), from, to, k, n)
	case form == panels:
		kernels.PackRows(w.w.f32(), w.floats(elems), from, to, k, n)
	case narrow:
		kernels.PackColumns16(w.w.u16(), staged.U16(), from, to, k, n)
	default:
		kernels.PackColumns(w.w.f32(), w.floats(elems), from, to, k, n)
	}
	w.rows, w.fill = to, 0
}

// round makes elements of 8 bits.
func (w *WeightWriter) round() error {
	m := w.w
	data, err := w.e.store.memory.Alloc(len(m.data) / elemF32.size())
	if err != nil {
		return fmt.Errorf("%w: no %d bytes of memory: %w", transport.ErrLimit, len(m.data)/elemF32.size(), err)
	}
	m.scales = make([]float32, m.n)
	wide := m.f32()
	old := m.data
	m.data = data
	if err := kernels.QuantizeColumns(m.i8(), m.scales, wide, m.k, m.n, 0, kernels.Panels(m.n)); err != nil {
		m.data = old
		w.e.store.memory.Free(data)
		return fmt.Errorf("%w: weight %q in 8 bits: %w", transport.ErrDType, w.val.Name, err)
	}
	w.e.store.memory.Free(old)
	return nil
}

// floats are the first n staged elements as float32.
func (w *WeightWriter) floats(n int) []float32 {
	staged := op.Array{Data: w.stage[:w.fill]}
	if w.val.Storage == plan.F32 {
		return staged.F32()[:n]
	}
	if w.wide == nil {
		w.wide = make([]float32, len(w.stage)/w.val.Storage.Size())
	}
	if w.val.Storage == plan.F16 {
		kernels.F16ToF32(w.wide[:n], staged.U16()[:n])
	} else {
		kernels.BF16ToF32(w.wide[:n], staged.U16()[:n])
	}
	return w.wide[:n]
}

// Commit checks length and hash and makes the weight available. A mismatch is
// [transport.ErrCorrupt], a value that is not finite where weights are rounded
// to 8 bits [transport.ErrDType]; either leaves nothing behind.
func (w *WeightWriter) Commit() error {
	if w.aborted {
		return fmt.Errorf("%w: weight %q was given up", transport.ErrCorrupt, w.val.Name)
	}
	if w.got != w.want {
		w.Abort()
		return fmt.Errorf("%w: weight %q has %d bytes, got %d", transport.ErrCorrupt, w.val.Name, w.want, w.got)
	}
	if h := w.hash.Sum(); h != w.val.Hash {
		w.Abort()
		return fmt.Errorf("%w: weight %q has hash %v, the plan says %v", transport.ErrCorrupt, w.val.Name, h, w.val.Hash)
	}
	w.place()
	if w.w.elem == elemI8 {
		if err := w.round(); err != nil {
			w.Abort()
			return err
		}
	}
	w.aborted = true
	w.e.store.add(w.key, w.w)
	return nil
}

// Abort gives the memory back. It is harmless after Commit.
func (w *WeightWriter) Abort() {
	if !w.aborted {
		w.aborted = true
		w.e.store.memory.Free(w.w.data)
	}
}
