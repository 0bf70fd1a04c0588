package cuda

import (
	"fmt"
	"math"

	"github.com/genie-sdk/go/internal/device"
	"github.com/genie-sdk/go/internal/device/cuda/kernels"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// weightSize is the memory of a weight, in bytes. All of it follows from the
// plan.
type weightSize struct {
	content int64 // in storage format
	held    int64 // on the device
	row     int   // of the content, in storage format
	piece   int   // arrived content that is placed at once: whole rows
	halves  int   // pieces under way at once
	// on is the size of a piece on the device, before it is packed; 0 where
	// pieces are copied to their place.
	on int64
	// wide is the size of a piece in the compute type, where the process widens
	// it; 0 where it does not.
	wide int
}

// stageBytes is the size that pieces have, except those of longer rows.
const stageBytes = 1 << 20

func (l *layout) size() (weightSize, error) {
	elems := int64(1)
	for _, d := range l.spec.Dims[:l.spec.Rank] {
		var ok bool
		if elems, ok = plan.MulChecked(elems, int64(d)); !ok || elems > math.MaxInt/16 {
			return weightSize{}, fmt.Errorf("%w: a weight of %v", transport.ErrLimit, l.spec.Dims[:l.spec.Rank])
		}
	}
	storage, wide := l.spec.Storage.Size(), l.spec.DType.Size()
	s := weightSize{content: elems * int64(storage), held: elems * int64(wide), row: storage}
	if l.packed() {
		k, n := l.matrix()
		s.held = kernels.PackedBytes(l.spec.Storage, k, n)
		s.row = max(l.spec.Dims[1], 1) * storage
	}
	s.held = blockSize(s.held)
	s.piece = int(min(int64(max(stageBytes/s.row, 1)*s.row), s.content))
	if s.piece > 0 {
		s.halves = int(min((s.content+int64(s.piece)-1)/int64(s.piece), 2))
	}
	switch {
	case l.packed():
		s.on = blockSize(int64(s.piece))
	case storage != wide:
		s.wide = s.piece / storage * wide
	}
	return s, nil
}

// pinned is the size of the page-locked memory of a piece.
func (s *weightSize) pinned() int { return pinnedSize(max(s.piece, s.wide)) }

// WeightSizes implements [device.Code].
func (w *weights) WeightSizes(v int) (device.WeightSizes, error) {
	l := w.layouts[v]
	s, err := l.size()
	out := device.WeightSizes{
		Content: s.content, Packed: l.packed(), Held: s.held, Peak: s.held + int64(s.halves)*s.on,
		Staging: int64(s.halves) * int64(s.pinned()),
	}
	if s.wide > 0 {
		out.Staging += int64(s.piece)
	}
	return out, err
}

// Bytes implements [device.Weight].
func (w *weight) Bytes() int64 { return w.size }

// Packed implements [device.Weight].
func (w *weight) Packed() bool { return w.layout.packed() }

// Free implements [device.Weight]. Its memory goes back to the driver, for
// weights of other sizes.
func (w *weight) Free() {
	if w.d.enter() != nil {
		return // its memory has gone with the context
	}
	defer w.d.leave()
	w.d.memory.give(w.at, w.size, false)
	w.at = 0
}

// product is the weight as products read it.
func (w *weight) product() kernels.Packed {
	k, n := w.layout.matrix()
	return kernels.Packed{At: w.at, Elem: w.layout.spec.Storage, K: k, N: n}
}
