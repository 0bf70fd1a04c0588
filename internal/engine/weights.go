package engine

import (
	"encoding/binary"
	"fmt"
	"math"
	"sync"

	"github.com/genie-sdk/go/internal/kernels"
	"github.com/genie-sdk/go/internal/memory"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// packing is the form in which a weight is held.
type packing uint8

const (
	dense  packing = iota // f32 or index elements, row-major
	panels                // f32 in the panels of kernels.GemmPacked
)

// packings chooses the form of each weight: panels for a matrix that is the
// untransposed right side of every matrix product that reads it, and
// otherwise at most gathered from.
func (p *Program) packings() {
	only := map[int]bool{}
	wants := map[int]bool{}
	for i, s := range p.plan.Steps {
		for j, v := range s.In {
			if p.plan.Values[p.res.Base[v]].Kind != plan.KindWeight {
				continue
			}
			if _, seen := only[p.res.Base[v]]; !seen {
				only[p.res.Base[v]] = true
			}
			switch o := p.res.Ops[i].(type) {
			case op.MatMul:
				if j == 1 && !o.TransA && !o.TransB && p.res.Base[v] == v && len(p.plan.Values[v].Spec.Shape) == 2 {
					wants[v] = true
					continue
				}
			case op.Embedding:
				if j == 0 && p.res.Base[v] == v {
					continue
				}
			}
			only[p.res.Base[v]] = false
		}
	}
	for _, o := range p.plan.Outputs {
		only[p.res.Base[o.Value]] = false
	}
	for v := range p.plan.Values {
		if p.plan.Values[v].Kind == plan.KindWeight {
			p.layout[v] = dense
			if wants[v] && only[v] {
				p.layout[v] = panels
			}
		}
	}
}

type weightKey struct {
	hash   plan.Hash
	layout packing
}

type weight struct {
	data []byte
	spec plan.Spec
}

// store holds weights by content and form.
type store struct {
	mu       sync.Mutex
	held     map[weightKey]*weight
	bytes    int64
	received int64
}

func newStore() *store { return &store{held: map[weightKey]*weight{}} }

func (s *store) get(k weightKey) *weight {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.held[k]
}

func (s *store) stats() (n, bytes, received int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return int64(len(s.held)), s.bytes, s.received
}

// add keeps w unless the store has the content already.
func (s *store) add(k weightKey, w *weight) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.received++
	if s.held == nil || s.held[k] != nil {
		memory.Unmap(w.data)
		return
	}
	s.held[k] = w
	s.bytes += int64(len(w.data))
}

func (s *store) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, w := range s.held {
		memory.Unmap(w.data)
	}
	s.held, s.bytes = nil, 0
}

// Missing lists the weights of a program that the engine does not hold in the
// form that the program needs.
func (e *Engine) Missing(p *Program) []plan.Value {
	var out []plan.Value
	seen := map[weightKey]bool{}
	for v, l := range p.layout {
		k := weightKey{p.plan.Values[v].Hash, l}
		if !seen[k] && e.store.get(k) == nil {
			seen[k] = true
			out = append(out, p.plan.Values[v])
		}
	}
	return out
}

// WeightWriter takes the content of one weight in its storage format, in
// order, in pieces of any size, and puts it into the form that a program
// needs.
type WeightWriter struct {
	e       *Engine
	key     weightKey
	val     plan.Value
	shape   []int
	hash    transport.WeightHasher
	w       *weight
	want    int64 // bytes in storage format
	got     int64
	rest    []byte // bytes of an element or a row that is not complete yet
	rows    []float32
	row     int
	elem    int // elements written, dense
	aborted bool
}

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
	held := n * int64(v.Spec.DType.Size())
	if p.layout[id] == panels {
		held = int64(kernels.PackedLen(shape[0], shape[1])) * 4
	}
	if held > math.MaxInt {
		return nil, fmt.Errorf("%w: weight %q of %d bytes", transport.ErrLimit, v.Name, held)
	}
	ww := &WeightWriter{
		e: e, key: weightKey{v.Hash, p.layout[id]}, val: v, shape: shape,
		hash: transport.NewWeightHasher(v.Storage, shape), want: n * int64(v.Storage.Size()),
		w: &weight{spec: v.Spec},
	}
	if ww.w.data, err = mapped(int(held)); err != nil {
		return nil, err
	}
	return ww, nil
}

// Want is the number of bytes that the content has.
func (w *WeightWriter) Want() int64 { return w.want }

// Write takes the next bytes. More than the content has is
// [transport.ErrCorrupt].
func (w *WeightWriter) Write(b []byte) (int, error) {
	n := len(b)
	if w.got += int64(n); w.got > w.want || w.aborted {
		return 0, fmt.Errorf("%w: weight %q has %d bytes, got more", transport.ErrCorrupt, w.val.Name, w.want)
	}
	_, _ = w.hash.Write(b)
	if w.key.layout == dense && w.val.Storage.Size() == w.val.Spec.DType.Size() {
		copy(w.w.data[w.got-int64(n):], b)
		return n, nil
	}
	unit := w.val.Storage.Size()
	if w.key.layout == panels {
		unit *= w.shape[1]
	}
	if len(w.rest) > 0 {
		k := min(unit-len(w.rest), len(b))
		w.rest = append(w.rest, b[:k]...)
		b = b[k:]
		if len(w.rest) < unit {
			return n, nil
		}
		w.units(w.rest, 1)
		w.rest = w.rest[:0]
	}
	if unit > 0 {
		k := len(b) / unit
		w.units(b, k)
		w.rest = append(w.rest, b[k*unit:]...)
	}
	return n, nil
}

// units widens and stores k whole rows (panels) or elements (dense).
func (w *WeightWriter) units(b []byte, k int) {
	if k == 0 {
		return
	}
	if w.key.layout == dense {
		out := (&op.Array{Data: w.w.data}).F32()[w.elem : w.elem+k]
		widen(out, b, w.val.Storage)
		w.elem += k
		return
	}
	n := w.shape[1]
	const block = 64
	if w.rows == nil {
		w.rows = make([]float32, min(block, w.shape[0])*n)
	}
	packed := (&op.Array{Data: w.w.data}).F32()
	for k > 0 {
		c := min(k, len(w.rows)/n)
		widen(w.rows[:c*n], b, w.val.Storage)
		kernels.PackRows(packed, w.rows[:c*n], w.row, w.row+c, w.shape[0], n)
		w.row, k, b = w.row+c, k-c, b[c*n*w.val.Storage.Size():]
	}
}

// widen turns stored elements into float32.
func widen(dst []float32, b []byte, from plan.DType) {
	switch from {
	case plan.F16:
		kernels.F16ToF32(dst, halves(b, len(dst)))
	case plan.BF16:
		kernels.BF16ToF32(dst, halves(b, len(dst)))
	default:
		for i := range dst {
			dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
		}
	}
}

func halves(b []byte, n int) []uint16 {
	h := make([]uint16, n)
	for i := range h {
		h[i] = binary.LittleEndian.Uint16(b[2*i:])
	}
	return h
}

// Commit checks length and hash and makes the weight available. A mismatch is
// [transport.ErrCorrupt] and leaves nothing behind.
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
	w.aborted = true
	w.e.store.add(w.key, w.w)
	return nil
}

// Abort gives the memory back. It is harmless after Commit.
func (w *WeightWriter) Abort() {
	if !w.aborted {
		w.aborted = true
		memory.Unmap(w.w.data)
	}
}
