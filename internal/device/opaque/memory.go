package opaque

import (
	"context"
	"crypto/subtle"
	"encoding/binary"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/genie-sdk/go/internal/device"
	"github.com/genie-sdk/go/internal/halt"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport"
)

// memory is the device's memory: numbered regions with scrambled content.
type memory struct {
	lost atomic.Pointer[error] // why nothing can be read or written any more

	mu      sync.Mutex
	last    uint64
	closed  bool
	regions map[uint64]*region
}

// region is allocated memory. Its owner must order reads and writes: the race
// detector finds missing ordering.
type region struct {
	use   device.Use
	bytes []byte
	mask  []byte // repeats each 8 bytes
}

// useWeight is memory of weights, in addition to the uses of [device.Memory].
const useWeight = device.UseRetained + 1

// maskLen bytes are scrambled at once.
const maskLen = 4096

// buffer names a region. It implements [device.Buffer].
type buffer struct {
	id uint64
	n  int
}

// Len implements [device.Buffer].
func (b *buffer) Len() int { return b.n }

// alloc makes a region of undefined content.
func (m *memory) alloc(use device.Use, n int) *buffer {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.last++
	r := &region{use: use, bytes: make([]byte, n), mask: make([]byte, maskLen+8)}
	for i := 0; i < len(r.mask); i += 8 {
		binary.LittleEndian.PutUint64(r.mask[i:], m.last*0x9e3779b97f4a7c15|1)
	}
	m.regions[m.last] = r
	return &buffer{m.last, n}
}

// free releases a region. It panics if the region has already been released or
// was allocated for another use.
func (m *memory) free(use device.Use, b *buffer) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.regions[b.id]
	if r == nil || r.use != use {
		panic(fmt.Sprintf("opaque: memory %d of %d bytes is freed, but not in use for %d", b.id, b.n, use))
	}
	delete(m.regions, b.id)
}

func (m *memory) find(b *buffer) (*region, error) {
	if lost := m.lost.Load(); lost != nil {
		return nil, *lost
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if r := m.regions[b.id]; r != nil {
		return r, nil
	}
	return nil, fmt.Errorf("%w: memory %d of the device is used after it was freed", transport.ErrInternal, b.id)
}

// read copies part of a region to memory of this process.
func (m *memory) read(b *buffer, off, n int) ([]byte, error) {
	out := make([]byte, n)
	if n == 0 {
		return out, nil
	}
	r, err := m.find(b)
	if err != nil {
		return nil, err
	}
	r.scramble(out, r.bytes[off:off+n], off)
	return out, nil
}

// write copies memory of this process to a part of a region.
func (m *memory) write(b *buffer, off int, data []byte) error {
	if len(data) == 0 {
		return nil
	}
	r, err := m.find(b)
	if err != nil {
		return err
	}
	r.scramble(r.bytes[off:off+len(data)], data, off)
	return nil
}

// scramble converts content of a region at off to its stored form, or back.
func (r *region) scramble(dst, src []byte, off int) {
	for i := 0; i < len(src); i += maskLen {
		part := src[i:min(i+maskLen, len(src))]
		subtle.XORBytes(dst[i:], part, r.mask[(off+i)%8:][:len(part)])
	}
}

func (m *memory) close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed = true; len(m.regions) > 0 {
		panic(fmt.Sprintf("opaque: %d regions of memory are left at the end", len(m.regions)))
	}
}

// Alloc implements [device.Memory].
func (d *Device) Alloc(ctx context.Context, use device.Use, n int) (device.Buffer, error) {
	if err := d.fails("alloc"); err != nil {
		return nil, err
	}
	b := d.memory.alloc(use, n)
	if use != device.UseState {
		return b, nil
	}
	h := device.HaltOn(ctx)
	for i := 0; i < n; i += zeroed {
		if h.Now() {
			d.memory.free(use, b)
			return nil, device.Stopped(ctx)
		}
		if err := d.memory.write(b, i, make([]byte, min(zeroed, n-i))); err != nil {
			d.memory.free(use, b)
			return nil, err
		}
	}
	return b, nil
}

// zeroed bytes are cleared between two halt checks.
const zeroed = 256 << 10

// Free implements [device.Memory].
func (d *Device) Free(use device.Use, b device.Buffer) {
	if b != nil {
		d.memory.free(use, b.(*buffer))
	}
}

// Bytes implements [device.Memory]: a copy.
func (d *Device) Bytes(b device.Buffer, n int) ([]byte, error) {
	if err := d.fails("copy"); err != nil {
		return nil, err
	}
	return d.memory.read(b.(*buffer), 0, n)
}

// Download implements [device.Memory].
func (d *Device) Download(dst []byte, b device.Buffer, off int, h halt.Func) error {
	if err := d.fails("copy"); err != nil {
		return err
	}
	for i := 0; i < len(dst) && !h.Now(); i += zeroed {
		part, err := d.memory.read(b.(*buffer), off+i, min(zeroed, len(dst)-i))
		if err != nil {
			return err
		}
		copy(dst[i:], part)
	}
	return nil
}

// Upload implements [device.Memory].
func (d *Device) Upload(b device.Buffer, off int, src []byte, h halt.Func) error {
	if err := d.fails("copy"); err != nil {
		return err
	}
	for i := 0; i < len(src) && !h.Now(); i += zeroed {
		if err := d.memory.write(b.(*buffer), off+i, src[i:min(i+zeroed, len(src))]); err != nil {
			return err
		}
	}
	return nil
}

// CopyRows implements [device.Memory].
func (d *Device) CopyRows(dst device.Piece, to int, src device.Piece, from, n int, s device.State, h halt.Func) error {
	if err := d.fails("copy"); err != nil {
		return err
	}
	in, out := src.Buffer.(*buffer), dst.Buffer.(*buffer)
	content, err := d.memory.read(in, 0, in.n)
	if err != nil {
		return err
	}
	if s.Axis < 0 {
		return d.memory.write(out, 0, content)
	}
	had, err := d.memory.read(out, 0, out.n)
	if err != nil {
		return err
	}
	shape := append([]int(nil), s.Shape...)
	array := func(data []byte, positions, at int) *op.Array {
		shape[s.Axis] = positions
		a := &op.Array{DType: s.DType, Strides: op.ContiguousStrides(shape)}
		a.Data = data[min(at*a.Strides[s.Axis]*s.DType.Size(), len(data)):]
		return a
	}
	a, b := array(had, dst.Positions, to), array(content, src.Positions, from)
	shape[s.Axis] = n
	if !move(a, b, shape, h) {
		return nil // the caller that stops it discards the memory
	}
	return d.memory.write(out, 0, had)
}

// move copies elements of one shape, which the arrays need not carry, until h
// says stop.
func move(dst, src *op.Array, shape []int, h halt.Func) (whole bool) {
	size, n := src.DType.Size(), 1
	for _, d := range shape {
		n *= d
	}
	index, ask := make([]int, len(shape)), h.Counter()
	to, from := 0, 0
	for range n {
		copy(dst.Data[to*size:to*size+size], src.Data[from*size:])
		if ask.Stop(16) {
			return false
		}
		for d := len(shape) - 1; d >= 0; d-- {
			to, from, index[d] = to+dst.Strides[d], from+src.Strides[d], index[d]+1
			if index[d] < shape[d] {
				break
			}
			to, from, index[d] = to-dst.Strides[d]*shape[d], from-src.Strides[d]*shape[d], 0
		}
	}
	return true
}
