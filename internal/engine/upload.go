package engine

import (
	"fmt"
	"sync"

	"github.com/genie-sdk/go/internal/budget"
	"github.com/genie-sdk/go/internal/device"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// WeightWriter takes the content of one weight in its storage format, in order,
// in pieces of any size, and passes it to the device in the layout that a
// program needs.
type WeightWriter struct {
	e   *Engine
	on  *incarnation
	mu  sync.Mutex // a lost device ends the writer from another goroutine
	key WeightKey

	val   plan.Value
	hash  transport.WeightHasher
	tag   *transport.PossessionHasher // nil if not requested
	to    device.WeightLoader
	size  device.WeightSizes
	got   int64
	ended bool // committed or aborted
}

// PutWeight starts to receive the content of v, one of [Engine.Missing]. It
// reserves and maps all memory for it; when there is not enough the error is a
// [transport.MemoryError]. Several writers may load the same content.
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
	size, err := p.code.WeightSizes(id)
	if err != nil {
		return nil, err
	}
	ww := &WeightWriter{
		e: e, on: p.on, key: p.on.key(v.Hash, p.layout[id]), val: v, size: size,
		hash: transport.NewWeightHasher(v.Storage, shape),
	}
	if nonce := e.possession.Load(); nonce != nil {
		tag := transport.NewPossessionHasher(*nonce, v.Storage, shape)
		ww.tag = &tag
	}
	if err := e.budget.ReserveAll(ww.amounts(), "a weight"); err != nil {
		return nil, err
	}
	if err := ww.open(p, id); err != nil {
		e.budget.ReleaseAll(ww.amounts())
		return nil, err
	}
	return ww, nil
}

// open begins the loading.
func (w *WeightWriter) open(p *Program, id int) (err error) {
	if err := w.on.enter(); err != nil {
		return err
	}
	defer w.on.leave()
	if w.to, err = p.code.LoadWeight(id, w.size); err != nil {
		return err
	}
	if err := w.on.adds(w); err != nil {
		w.to.Abort()
		return err
	}
	return nil
}

// weightID is the value of p with the content h that the engine does not hold
// in the layout that p needs, or another of that content when it holds all.
func (e *Engine) weightID(p *Program, h plan.Hash) (int, error) {
	id := -1
	for _, k := range p.keysOf[h] {
		if p.on.store.get(p.keys[k]) == nil {
			return p.keyOf[k], nil // no more are examined than are held, whatever the plan lists
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
	return p.on.key(v.Hash, p.layout[id]), nil
}

// Got is the number of bytes written, and their hash as [transport.HashWeight]
// computes it.
func (w *WeightWriter) Got() (n int64, prefix plan.Hash) { return w.got, w.hash.Sum() }

// Tag is the tag of the bytes written; nil if none is computed.
func (w *WeightWriter) Tag() *transport.PossessionTag {
	if w.tag == nil {
		return nil
	}
	t := w.tag.Sum()
	return &t
}

// Held is the memory that the writer holds, in bytes.
func (w *WeightWriter) Held() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended {
		return 0
	}
	return w.amounts().Total()
}

// amounts is the memory of a writer.
func (w *WeightWriter) amounts() (a budget.Amounts) {
	a[kind(w.size.Packed)] = w.size.Peak
	a[budget.Buffers] = w.size.Staging
	a[budget.Plans] = weightHead
	return a
}

// WeightMemory is what [Engine.PutWeight] takes for v.
func (e *Engine) WeightMemory(p *Program, v plan.Value) (int64, error) {
	id, err := e.weightID(p, v.Hash)
	if err != nil {
		return 0, err
	}
	s, err := p.code.WeightSizes(id)
	return s.Peak + s.Staging + weightHead, err
}

// unreserve releases the reservation, except for what the weight keeps.
func (w *WeightWriter) unreserve(keeps device.Weight) {
	a := w.amounts()
	if keeps != nil {
		a[kind(w.size.Packed)] -= keeps.Bytes()
		a[budget.Plans] -= weightHead
	}
	w.e.budget.ReleaseAll(a)
}

// Want is the size of the content in bytes.
func (w *WeightWriter) Want() int64 { return w.size.Content }

// Write takes the next bytes. More than the content has is
// [transport.ErrCorrupt].
func (w *WeightWriter) Write(b []byte) (n int, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	defer w.guard(&err)
	w.e.fault("write")
	if err := w.usable(); err != nil {
		return 0, err
	}
	n = len(b)
	if w.got += int64(n); w.got > w.size.Content {
		return 0, fmt.Errorf("%w: weight %q has %d bytes, got more", transport.ErrCorrupt, w.val.Name, w.size.Content)
	}
	_, _ = w.hash.Write(b)
	if w.tag != nil {
		_, _ = w.tag.Write(b)
	}
	w.to.Write(b)
	return n, nil
}

// guard makes a panic an error, after which nothing is left of the weight.
func (w *WeightWriter) guard(err *error) {
	if r := recover(); r != nil {
		*err = device.Caught(r)
		w.abort()
	}
}

// Commit checks length and hash and makes the weight available. A mismatch is
// [transport.ErrCorrupt], a value that is not finite where weights are rounded
// to 8 bits [transport.ErrDType]; either leaves nothing behind.
func (w *WeightWriter) Commit() (err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	defer w.guard(&err)
	w.e.fault("commit")
	if err := w.usable(); err != nil {
		return err
	}
	if w.got != w.size.Content {
		w.abort()
		return fmt.Errorf("%w: weight %q has %d bytes, got %d", transport.ErrCorrupt, w.val.Name, w.size.Content, w.got)
	}
	if h := w.hash.Sum(); h != w.val.Hash {
		w.abort()
		return fmt.Errorf("%w: weight %q has hash %v, the plan says %v", transport.ErrCorrupt, w.val.Name, h, w.val.Hash)
	}
	on, err := w.to.Finish()
	w.ends()
	if err != nil {
		w.unreserve(nil)
		return err
	}
	w.unreserve(on)
	w.on.store.add(w.key, &weight{on: on, tag: w.Tag()})
	return nil
}

// Abort releases the memory. It is harmless after Commit.
func (w *WeightWriter) Abort() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.abort()
}

// abort is Abort for a caller that holds the lock.
func (w *WeightWriter) abort() {
	if !w.ended {
		w.to.Abort()
		w.ends()
		w.unreserve(nil)
	}
}

// ends records that nothing is held any more. The caller holds the lock.
func (w *WeightWriter) ends() {
	w.ended = true
	w.on.removes(w)
}

// usable is nil while content can be taken. The caller holds the lock.
func (w *WeightWriter) usable() error {
	if lost := w.on.lost.Load(); lost != nil {
		w.abort()
		return *lost
	}
	if w.ended {
		return fmt.Errorf("%w: weight %q was given up", transport.ErrCorrupt, w.val.Name)
	}
	return nil
}
