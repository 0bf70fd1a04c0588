package engine

import (
	"fmt"

	"github.com/genie-sdk/go/internal/budget"
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
	key     WeightKey
	val     plan.Value
	hash    transport.WeightHasher
	tag     *transport.PossessionHasher // nil where nobody asks for it
	w       *weight
	size    weightSize
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

// PutWeight starts to take the content of v, one of [Engine.Missing]. All
// memory for it is reserved and mapped here; when there is not enough the error
// is a [transport.MemoryError]. Several writers may bring the same content.
func (e *Engine) PutWeight(p *Program, v plan.Value) (*WeightWriter, error) {
	id, err := e.weightID(p, v.Hash)
	if err != nil {
		return nil, err
	}
	v = p.Plan().Values[id]
	shape, err := v.Spec.Shape.Eval(nil)
	if err != nil {
		return nil, err
	}
	size, err := e.weightSize(p, id)
	if err != nil {
		return nil, err
	}
	w := &weight{form: p.layout[id].form, shape: shape, packing: make(chan struct{}, 1)}
	w.k, w.n = w.form.matrix(shape)
	if w.form == panels || w.form == columns {
		w.elem = e.opts.element(&v, w.k, w.n)
	}
	ww := &WeightWriter{
		e: e, key: WeightKey{v.Hash, p.layout[id]}, val: v, w: w, size: size, width: size.width,
		hash: transport.NewWeightHasher(v.Storage, shape),
	}
	if nonce := e.possession.Load(); nonce != nil {
		tag := transport.NewPossessionHasher(*nonce, v.Storage, shape)
		ww.tag = &tag
	}
	if err := e.account.ReserveAll(ww.amounts(), "a weight"); err != nil {
		return nil, err
	}
	if w.data, err = e.store.memory.Alloc(int(size.first)); err != nil {
		e.account.ReleaseAll(ww.amounts())
		return nil, noMemory(int(size.first), err)
	}
	ww.stage = make([]byte, size.stage)
	return ww, nil
}

// weightID is the value of p with the content h that the engine does not hold
// in the form that p needs, or another of that content when it holds all.
func (e *Engine) weightID(p *Program, h plan.Hash) (int, error) {
	id := -1
	for _, k := range p.keysOf[h] {
		if e.store.get(p.keys[k]) == nil {
			return p.keyOf[k], nil // no more are looked at than are held, whatever the plan lists
		}
		if id < 0 {
			id = p.keyOf[k]
		}
	}
	if id < 0 {
		return 0, fmt.Errorf("%w: the plan has no weight %v", transport.ErrMissingWeight, h)
	}
	return id, nil
}

// WeightForm names what [Engine.PutWeight] would take.
func (e *Engine) WeightForm(p *Program, v plan.Value) (WeightKey, error) {
	id, err := e.weightID(p, v.Hash)
	if err != nil {
		return WeightKey{}, err
	}
	return WeightKey{v.Hash, p.layout[id]}, nil
}

// Got is the number of bytes that have been written, and the hash of them as
// [transport.HashWeight] would have it.
func (w *WeightWriter) Got() (n int64, prefix plan.Hash) { return w.got, w.hash.Sum() }

// Tag is the tag of what has been written; nil where none is kept.
func (w *WeightWriter) Tag() *transport.PossessionTag {
	if w.tag == nil {
		return nil
	}
	t := w.tag.Sum()
	return &t
}

// Held is the memory that the writer holds, in bytes.
func (w *WeightWriter) Held() int64 { return w.amounts().Total() }

// amounts is the memory of a writer.
func (w *WeightWriter) amounts() (a budget.Amounts) {
	a[w.w.kind()] = w.size.first + w.size.rounded
	a[budget.Buffers] = w.size.stage + w.size.wide
	a[budget.Plans] = weightHead
	return a
}

// WeightMemory is what [Engine.PutWeight] takes for v.
func (e *Engine) WeightMemory(p *Program, v plan.Value) (int64, error) {
	id, err := e.weightID(p, v.Hash)
	if err != nil {
		return 0, err
	}
	s, err := e.weightSize(p, id)
	return s.first + s.rounded + s.stage + s.wide + weightHead, err
}

// unreserve takes what is reserved from the account, but for what the weight keeps.
func (w *WeightWriter) unreserve() {
	a := w.amounts()
	a[w.w.kind()] -= int64(len(w.w.data))
	a[budget.Plans] -= weightHead
	w.e.account.ReleaseAll(a)
}

// Want is the number of bytes that the content has.
func (w *WeightWriter) Want() int64 { return w.size.want }

// direct reports whether the content is held as it comes.
func (w *WeightWriter) direct() bool { return w.size.stage == 0 }

// Write takes the next bytes. More than the content has is
// [transport.ErrCorrupt].
func (w *WeightWriter) Write(b []byte) (n int, err error) {
	defer w.guard(&err)
	w.e.fault("write")
	n = len(b)
	if w.got += int64(n); w.got > w.size.want || w.aborted {
		return 0, fmt.Errorf("%w: weight %q has %d bytes, got more", transport.ErrCorrupt, w.val.Name, w.size.want)
	}
	_, _ = w.hash.Write(b)
	if w.tag != nil {
		_, _ = w.tag.Write(b)
	}
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

// guard makes a panic an error, after which nothing is left of the weight.
func (w *WeightWriter) guard(err *error) {
	if r := recover(); r != nil {
		*err = internal(r)
		w.Abort()
	}
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
			w.e.store.memory.Free(data)
		}
	}()
	if err := kernels.QuantizeColumns(m.i8(), m.scales, wide, m.k, m.n, 0, kernels.Panels(m.n)); err != nil {
		return fmt.Errorf("%w: weight %q in 8 bits: %w", transport.ErrDType, w.val.Name, err)
	}
	done = true
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
func (w *WeightWriter) Commit() (err error) {
	defer w.guard(&err)
	w.e.fault("commit")
	if w.aborted {
		return fmt.Errorf("%w: weight %q was given up", transport.ErrCorrupt, w.val.Name)
	}
	if w.got != w.size.want {
		w.Abort()
		return fmt.Errorf("%w: weight %q has %d bytes, got %d", transport.ErrCorrupt, w.val.Name, w.size.want, w.got)
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
	w.w.tag = w.Tag()
	w.aborted = true
	w.unreserve()
	w.e.store.add(w.key, w.w)
	return nil
}

// Abort gives the memory back. It is harmless after Commit.
func (w *WeightWriter) Abort() {
	if !w.aborted {
		w.aborted = true
		w.unreserve()
		w.e.store.release(w.w)
	}
}
