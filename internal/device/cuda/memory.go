package cuda

import (
	"context"
	"errors"
	"fmt"

	"github.com/genie-sdk/go/internal/device"
	"github.com/genie-sdk/go/internal/device/cuda/driver"
	"github.com/genie-sdk/go/internal/halt"
	"github.com/genie-sdk/go/transport"
)

// The part of free device memory that is not taken: contexts, kernels, local
// memory of threads and the driver's own tables grow.
const (
	reservePart  = 16       // of the free memory
	leastReserve = 64 << 20 // bytes, where the device has as much
)

// usableMemory is the bytes that blocks may have in total.
func (d *Device) usableMemory(want int64) (int64, error) {
	free, _, err := d.ctx.MemInfo()
	if err != nil {
		return 0, d.check(err)
	}
	usable := free - max(free/reservePart, min(leastReserve, free/4))
	switch {
	case want == 0:
		return usable, nil
	case want > free:
		return 0, fmt.Errorf("%w: %d bytes of device memory are wanted, %d are free", transport.ErrMemory, want, free)
	}
	return want, nil
}

// Len implements [device.Buffer].
func (b *buffer) Len() int { return b.n }

// purposes names the uses in errors.
var purposes = [...]string{
	device.UseScratch: "scratch memory on the device", device.UseState: "carried state on the device",
	device.UseRetained: "retained values on the device",
}

// Alloc implements [device.Memory].
func (d *Device) Alloc(ctx context.Context, use device.Use, n int) (device.Buffer, error) {
	if err := d.enter(); err != nil {
		return nil, err
	}
	defer d.leave()
	if ctx.Err() != nil {
		return nil, device.Stopped(ctx)
	}
	at, err := d.memory.take(int64(n), purposes[use])
	if err != nil {
		return nil, err
	}
	if use == device.UseState {
		if err := d.zero(at, int64(n)); err != nil {
			d.memory.give(at, int64(n), false)
			return nil, err
		}
	}
	return &buffer{at: at, n: n}, nil
}

// zero clears memory.
func (d *Device) zero(at driver.Ptr, n int64) error {
	if n == 0 {
		return nil
	}
	st, err := d.stream()
	if err != nil {
		return err
	}
	defer d.giveStream(st)
	if err := d.check(st.Fill(at, 0, n)); err != nil {
		return err
	}
	return st.wait()
}

// Free implements [device.Memory].
func (d *Device) Free(_ device.Use, b device.Buffer) {
	if b == nil || d.enter() != nil {
		return // memory of a lost context is gone
	}
	defer d.leave()
	x := b.(*buffer)
	d.memory.give(x.at, int64(x.n), true)
}

// Bytes implements [device.Memory]: a copy.
func (d *Device) Bytes(b device.Buffer, n int) ([]byte, error) {
	dst := make([]byte, n)
	return dst, d.download(dst, b.(*buffer).at, nil)
}

// Download implements [device.Memory].
func (d *Device) Download(dst []byte, b device.Buffer, off int, h halt.Func) error {
	return d.download(dst, b.(*buffer).at+driver.Ptr(off), h)
}

// Upload implements [device.Memory].
func (d *Device) Upload(b device.Buffer, off int, src []byte, h halt.Func) error {
	return d.upload(b.(*buffer).at+driver.Ptr(off), src, h)
}

// granule is the unit of blocks, and their alignment.
const granule = 256

// blockSize is the size of the block for n bytes.
func blockSize(n int64) int64 { return (n + granule - 1) &^ (granule - 1) }

// take takes a block of at least n bytes, of undefined content; none for no
// bytes. purpose appears in the error.
func (m *memory) take(n int64, purpose string) (driver.Ptr, error) {
	if err := m.d.usable(); err != nil || n == 0 {
		return 0, err
	}
	size := blockSize(n)
	if at := m.pick(size); at != 0 {
		return at, nil
	}
	if err := m.count(size, purpose); err != nil {
		return 0, err
	}
	at, err := m.d.ctx.Alloc(size)
	if err != nil && m.trim(0) { // spare blocks may be in the way
		at, err = m.d.ctx.Alloc(size)
	}
	if err != nil {
		m.uncount(size)
		return 0, m.refused(size, purpose, err)
	}
	return at, nil
}

// refused is the error of a block that the driver does not provide.
func (m *memory) refused(size int64, purpose string, err error) error {
	err = m.d.check(err)
	if !errors.Is(err, transport.ErrMemory) {
		return err
	}
	free, _, failed := m.d.ctx.MemInfo()
	if failed != nil {
		return m.d.check(failed)
	}
	return &transport.MemoryError{Need: size, Free: min(free, size-1), Limit: m.limit, For: purpose}
}

// pick takes a spare block.
func (m *memory) pick(size int64) driver.Ptr {
	m.mu.Lock()
	defer m.mu.Unlock()
	list := m.spare[size]
	if len(list) == 0 {
		return 0
	}
	at := list[len(list)-1]
	m.spare[size] = list[:len(list)-1]
	m.idle -= size
	return at
}

// count counts a block before the driver is asked for it. Spare blocks are
// freed for it.
func (m *memory) count(size int64, purpose string) error {
	for {
		short, free := m.add(size)
		if short <= 0 {
			return nil
		}
		if short > free || !m.trim(short) {
			return &transport.MemoryError{Need: size, Free: size - short + free, Limit: m.limit, For: purpose}
		}
	}
}

// add counts a block within the limit, or returns how much is missing and how
// much is spare.
func (m *memory) add(size int64) (short, spare int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if short = size - (m.limit - m.taken); short <= 0 {
		m.taken += size
	}
	return short, m.idle
}

func (m *memory) uncount(size int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.taken -= size
}

// give takes a block of n bytes back. Nothing queued may use it.
func (m *memory) give(at driver.Ptr, n int64, keep bool) {
	if at == 0 || m.d.usable() != nil { // memory of a lost context is gone
		return
	}
	if size := blockSize(n); !keep || !m.keep(at, size) {
		m.free(at, size)
	}
}

// spareBlocks is the part of the limit that may wait in spare blocks.
const spareBlocks = 8

// keep retains a block for its next use.
func (m *memory) keep(at driver.Ptr, size int64) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.idle+size > m.limit/spareBlocks {
		return false
	}
	m.spare[size] = append(m.spare[size], at)
	m.idle += size
	return true
}

// free gives a block back to the driver.
func (m *memory) free(at driver.Ptr, size int64) {
	_ = m.d.check(m.d.ctx.Free(at)) // it fails with the context, which the next call finds lost
	m.uncount(size)
}

// trim frees spare blocks of at least n bytes, all of them for 0. It returns
// false when there was none.
func (m *memory) trim(n int64) bool {
	freed := int64(0)
	for freed == 0 || freed < n || n == 0 {
		at, size := m.spareBlock()
		if at == 0 {
			break
		}
		m.free(at, size)
		freed += size
	}
	return freed > 0
}

// spareBlock takes any spare block.
func (m *memory) spareBlock() (at driver.Ptr, size int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for size, list := range m.spare {
		if len(list) > 0 {
			at = list[len(list)-1]
			m.spare[size] = list[:len(list)-1]
			m.idle -= size
			return at, size
		}
		delete(m.spare, size)
	}
	return 0, 0
}
