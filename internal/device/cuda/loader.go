package cuda

import (
	"fmt"

	"github.com/genie-sdk/go/internal/device"
	"github.com/genie-sdk/go/internal/device/cuda/driver"
	hostkernels "github.com/genie-sdk/go/internal/kernels"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// loader implements [device.WeightLoader]. While a piece arrives in one half of
// the page-locked memory, the piece before is copied from the other half and
// packed.
type loader struct {
	d    *Device
	w    *weight
	size weightSize

	st     *stream
	halves [2]*pinned
	on     driver.Ptr // pieces that have been copied and are being packed
	raw    []byte     // the arriving piece, where it is widened
	queued [2]bool    // halves that may still be read
	half   int        // that is being filled
	fill   int        // bytes
	placed int64      // bytes of the content before this piece
	err    error      // the first: nothing is done after it
}

// LoadWeight implements [device.Code].
func (w *weights) LoadWeight(v int, _ device.WeightSizes) (device.WeightLoader, error) {
	lay := w.layouts[v]
	size, err := lay.size()
	if err != nil {
		return nil, err
	}
	l := &loader{d: w.d, size: size, w: &weight{d: w.d, layout: lay, size: size.held}}
	if err := w.d.enter(); err != nil {
		return nil, err
	}
	defer w.d.leave()
	if err := l.open(); err != nil {
		l.Abort()
		return nil, err
	}
	return l, nil
}

// open takes all memory.
func (l *loader) open() (err error) {
	if l.w.at, err = l.d.memory.take(l.size.held, "a weight on the device"); err != nil {
		return err
	}
	if l.on, err = l.d.memory.take(int64(l.size.halves)*l.size.on, "a weight on its way to the device"); err != nil {
		return err
	}
	for i := range l.size.halves {
		if l.halves[i], err = l.d.staging.take(l.size.pinned()); err != nil {
			return err
		}
	}
	if l.size.wide > 0 {
		l.raw = make([]byte, l.size.piece)
	}
	l.st, err = l.d.stream()
	return err
}

// Bytes implements [device.WeightLoader].
func (l *loader) Bytes() int64 { return l.size.held + int64(l.size.halves)*l.size.on }

// Write implements [device.WeightLoader].
func (l *loader) Write(b []byte) {
	if l.err != nil {
		return
	}
	if l.err = l.d.enter(); l.err != nil {
		return
	}
	defer l.d.leave()
	l.err = l.write(b)
}

func (l *loader) write(b []byte) error {
	for len(b) > 0 {
		if l.fill == 0 && l.queued[l.half] {
			if err := l.st.reached(l.half); err != nil {
				return err
			}
			l.queued[l.half] = false
		}
		to := l.raw
		if to == nil {
			to = l.halves[l.half].mem[:l.size.piece]
		}
		n := copy(to[l.fill:], b)
		l.fill, b = l.fill+n, b[n:]
		if l.fill == l.size.piece {
			if err := l.place(); err != nil {
				return err
			}
		}
	}
	return nil
}

// place queues the arrived piece for its place.
func (l *loader) place() error {
	if l.fill == 0 {
		return nil
	}
	l.d.fault("weight")
	half, n, at := l.halves[l.half].mem, l.fill, l.placed
	var err error
	switch {
	case l.w.layout.packed():
		on := l.on + driver.Ptr(int64(l.half)*l.size.on)
		if err = l.d.check(l.st.CopyIn(on, half[:n])); err == nil {
			err = l.pack(on, int(at)/l.size.row, (int(at)+n)/l.size.row)
		}
		if err == nil {
			err = l.d.check(l.st.Record(l.st.events[l.half]))
		}
	case l.size.wide > 0:
		n = l.widen(half, l.raw[:n])
		err = l.st.queueIn(l.half, l.w.at+driver.Ptr(at/int64(l.w.layout.spec.Storage.Size())*int64(l.w.layout.spec.DType.Size())), half[:n])
	default:
		err = l.st.queueIn(l.half, l.w.at+driver.Ptr(at), half[:n])
	}
	l.queued[l.half] = true
	l.placed += int64(l.fill)
	l.fill = 0
	if l.size.halves > 1 {
		l.half = 1 - l.half
	}
	return err
}

// pack queues the packing of the source's rows from..to.
func (l *loader) pack(src driver.Ptr, from, to int) error {
	k, n := l.w.layout.matrix()
	return l.d.check(l.d.kernels.Pack(l.st, l.w.at, l.w.layout.spec.Storage, k, n, src, l.w.layout.kind == columns, from, to))
}

// widen converts elements of 16 bits to float32, and returns the bytes of those.
func (l *loader) widen(dst, src []byte) int {
	in, n := (&op.Array{Data: src}).U16(), len(src)/2
	out := (&op.Array{Data: dst}).F32()[:n]
	if l.w.layout.spec.Storage == plan.F16 {
		hostkernels.F16ToF32(out, in)
	} else {
		hostkernels.BF16ToF32(out, in)
	}
	return 4 * n
}

// Finish implements [device.WeightLoader].
func (l *loader) Finish() (device.Weight, error) {
	err := l.err
	if err == nil {
		err = l.d.enter()
	}
	if err != nil {
		l.Abort()
		return nil, err
	}
	defer l.d.leave()
	if err = l.place(); err == nil {
		err = l.st.wait()
	}
	if err == nil && l.placed != l.size.content {
		err = fmt.Errorf("%w: %d of %d bytes of a weight have arrived", transport.ErrInternal, l.placed, l.size.content)
	}
	if err != nil {
		l.Abort()
		return nil, err
	}
	l.close()
	return l.w, nil
}

// Abort implements [device.WeightLoader].
func (l *loader) Abort() {
	if l.d.enter() != nil {
		return // its memory has gone with the context
	}
	defer l.d.leave()
	if l.st != nil {
		_ = l.st.wait() // whatever was queued uses the memory until then
	}
	l.close()
	l.w.Free()
}

// close gives back what only loading needs. Nothing is queued.
func (l *loader) close() {
	for _, p := range l.halves {
		l.d.staging.give(p)
	}
	if l.st != nil {
		l.d.giveStream(l.st)
	}
	l.d.memory.give(l.on, int64(l.size.halves)*l.size.on, true)
	l.halves, l.st, l.on, l.raw = [2]*pinned{}, nil, 0, nil
}
