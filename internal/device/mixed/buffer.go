package mixed

import (
	"context"
	"sync"

	"github.com/genie-sdk/go/internal/budget"
	"github.com/genie-sdk/go/internal/device"
	"github.com/genie-sdk/go/internal/halt"
	"github.com/genie-sdk/go/internal/op"
)

// buffer is memory of the device, with a mirror in memory of this process if
// the CPU has used it. For states and retained values it records which side has
// the current content; for scratch the run records this for each value, see
// [run]. It implements [device.Buffer].
type buffer struct {
	d   *Device
	use device.Use
	own device.Buffer

	copying chan struct{} // held by a token during the copy of a piece

	mu     sync.Mutex
	mirror device.Buffer // of the CPU's; nil until it is needed
	behind side          // the side with stale content: at most one
	copied int           // bytes copied to it so far
	zero   bool          // a state that has not been written: a mirror also begins as zeros
}

// side is where content is stale, or current.
type side uint8

const (
	neither side = iota
	onDevice
	onHost
)

// Len implements [device.Buffer].
func (b *buffer) Len() int { return b.own.Len() }

// mirrorKind is what the mirror's memory counts as.
func (b *buffer) mirrorKind() budget.Kind {
	switch b.use {
	case device.UseState:
		return budget.State
	case device.UseRetained:
		return budget.Retained
	case device.UseScratch:
	}
	return budget.Scratch
}

// mirrored returns the mirror of a state or a retained value, whose content may
// be stale.
func (b *buffer) mirrored() (device.Buffer, error) {
	if m := b.hasMirror(); m != nil {
		return m, nil
	}
	m, err := b.newMirror(b.own.Len())
	if err != nil {
		return nil, err
	}
	first := b.setMirror(m)
	if first != m { // of a page that several runs share
		b.release(m)
	}
	return first, nil
}

// scratch returns a mirror of the first n bytes, of undefined content, to the
// only run that has the memory.
func (b *buffer) scratch(n int) (device.Buffer, error) {
	if m := b.hasMirror(); m != nil {
		if m.Len() >= n {
			return m, nil
		}
		b.dropMirror()
	}
	m, err := b.newMirror(n)
	if err != nil {
		return nil, err
	}
	return b.setMirror(m), nil
}

// newMirror allocates memory of this process. It is scratch memory for every
// purpose, which begins as zeros without being written.
func (b *buffer) newMirror(n int) (device.Buffer, error) {
	n = max(n, 1)
	if err := b.d.budget.Reserve(b.mirrorKind(), int64(n), "a copy for the CPU of memory of the device"); err != nil {
		return nil, err
	}
	m, err := b.d.cpu.Alloc(context.Background(), device.UseScratch, n)
	if err != nil {
		b.d.budget.Release(b.mirrorKind(), int64(n))
		return nil, err
	}
	return m, nil
}

func (b *buffer) hasMirror() device.Buffer {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.mirror
}

// setMirror sets a mirror, unless there is one.
func (b *buffer) setMirror(m device.Buffer) device.Buffer {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.mirror == nil {
		b.mirror = m
		if !b.zero {
			b.behind = onHost
		}
	}
	return b.mirror
}

// dropMirror frees the mirror of a buffer with no other user.
func (b *buffer) dropMirror() {
	if m := b.takeMirror(); m != nil {
		b.release(m)
	}
}

func (b *buffer) takeMirror() device.Buffer {
	b.mu.Lock()
	defer b.mu.Unlock()
	m := b.mirror
	b.mirror, b.behind, b.copied = nil, neither, 0
	return m
}

func (b *buffer) release(m device.Buffer) {
	n := m.Len()
	b.d.cpu.Free(device.UseScratch, m)
	b.d.budget.Release(b.mirrorKind(), int64(n))
}

// toHost returns the mirror with the current content.
func (b *buffer) toHost(h halt.Func) (device.Buffer, error) {
	m, err := b.mirrored()
	if err != nil {
		return nil, err
	}
	return m, b.update(onHost, h)
}

// toDevice brings the current content to the device.
func (b *buffer) toDevice(h halt.Func) error { return b.update(onDevice, h) }

// update copies the content to a side where it is stale, until h says stop.
// Runs that share a page may call it concurrently: they copy its pieces in
// turn. There is no halt check during a piece, since the answer may wait for
// another run.
func (b *buffer) update(to side, h halt.Func) error {
	for {
		more, err := b.updatePiece(to)
		if err != nil || !more {
			return err
		}
		if h.Now() {
			return op.ErrHalted
		}
	}
}

// updatePiece copies the next piece and reports whether more remain.
func (b *buffer) updatePiece(to side) (more bool, err error) {
	b.copying <- struct{}{} // held for no longer than a piece takes
	defer func() { <-b.copying }()
	mirror, from := b.next(to)
	if mirror == nil {
		return false, nil
	}
	mem, err := b.d.cpu.Bytes(mirror, b.own.Len()) // this run may write the mirror
	if err != nil {
		return false, err
	}
	part := mem[from:min(from+piece, len(mem))]
	if to == onHost {
		err = b.d.primary.Download(part, b.own, from, nil)
	} else {
		err = b.d.primary.Upload(b.own, from, part, nil)
	}
	if err != nil {
		return false, err
	}
	return b.has(to, from+len(part)), nil
}

// next returns the mirror, nil if the content of a side is current, and how
// many of its bytes have been copied.
func (b *buffer) next(to side) (mirror device.Buffer, from int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.behind != to {
		return nil, 0
	}
	return b.mirror, b.copied
}

// has records how much has been copied to a side, and reports whether more
// remains.
func (b *buffer) has(to side, n int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.copied = n; n == b.own.Len() {
		b.behind, b.copied = neither, 0
	}
	return b.behind == to
}

// piece bytes are copied between two halt checks.
const piece = 1 << 20

// written records that one side, which has the current content, is about to
// change it.
func (b *buffer) written(by side) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.zero, b.copied = false, 0
	switch {
	case by == onHost:
		b.behind = onDevice
	case b.mirror != nil:
		b.behind = onHost
	}
}

// isBehind reports whether the content of a side is stale.
func (b *buffer) isBehind(s side) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.behind == s
}
