// Package cpu is the device of this process: kernels in Go and assembly on a
// pool of goroutines, over host memory.
package cpu

import (
	"context"
	"fmt"
	"runtime"
	"slices"

	"github.com/genie-sdk/go/internal/budget"
	"github.com/genie-sdk/go/internal/device"
	"github.com/genie-sdk/go/internal/halt"
	"github.com/genie-sdk/go/internal/kernels"
	"github.com/genie-sdk/go/internal/memory"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport"
)

// Open implements [device.Open]. An unusable GENIE_CPU is an error.
func Open(o device.Options) (device.Device, error) {
	if err := kernels.PathErr(); err != nil {
		return nil, err
	}
	if o.Threads <= 0 {
		o.Threads = runtime.GOMAXPROCS(0)
	}
	if o.Budget == nil {
		o.Budget = budget.New(0)
	}
	d := &Device{opts: o, pool: newPool(o.Threads)}
	d.weights.Trim = o.Budget.Limit() > 0
	d.states.Trim = d.weights.Trim
	return d, nil
}

// Info implements [device.Device].
func (*Device) Info() device.Info {
	return device.Info{Kind: "cpu", Path: kernels.Path(), HostAddressable: true, PageRows: kernels.KeyBlock}
}

// Begin implements [device.Device].
func (d *Device) Begin() { d.pool.begin() }

// End implements [device.Device].
func (d *Device) End() { d.pool.end() }

// Close implements [device.Device].
func (d *Device) Close() {
	d.pool.close()
	d.weights.Close()
	d.states.Close()
}

// Len implements [device.Buffer].
func (b *buffer) Len() int { return len(b.mem) }

// noMemory is the error for n bytes that the system does not provide.
func noMemory(n int, err error) error {
	return fmt.Errorf("%w: the system gives no %d bytes: %w", transport.ErrMemory, n, err)
}

// Alloc implements [device.Memory]. Scratch is mapped. State comes from large
// mappings and begins as zeros, whatever used it before. Retained values are on
// the Go heap, so that a reader may hold one that has been freed.
func (d *Device) Alloc(ctx context.Context, use device.Use, n int) (device.Buffer, error) {
	var mem []byte
	var err error
	switch use {
	case device.UseScratch:
		mem, err = memory.Map(n)
	case device.UseState:
		return d.allocState(ctx, n)
	case device.UseRetained:
		mem = make([]byte, n)
	}
	if err != nil {
		return nil, noMemory(n, err)
	}
	return &buffer{mem}, nil
}

func (d *Device) allocState(ctx context.Context, n int) (device.Buffer, error) {
	b, used, err := d.states.AllocUsed(n)
	if err != nil {
		return nil, noMemory(n, err)
	}
	h := device.HaltOn(ctx)
	for i := 0; i < used; i += copyPiece {
		if i > 0 && h.Now() {
			d.states.Free(b)
			return nil, device.Stopped(ctx)
		}
		clear(b[i:min(i+copyPiece, used)])
	}
	return &buffer{b}, nil
}

// Free implements [device.Memory].
func (d *Device) Free(use device.Use, b device.Buffer) {
	if b == nil {
		return
	}
	switch use {
	case device.UseScratch:
		memory.Unmap(bytes(b))
	case device.UseState:
		d.states.Free(bytes(b))
	case device.UseRetained: // left to the collector
	}
}

// Bytes implements [device.Memory].
func (*Device) Bytes(b device.Buffer, n int) ([]byte, error) { return bytes(b)[:n], nil }

// Download implements [device.Memory].
func (*Device) Download(dst []byte, b device.Buffer, off int, h halt.Func) error {
	copyPieces(dst, bytes(b)[off:off+len(dst)], h)
	return nil
}

// Upload implements [device.Memory].
func (*Device) Upload(b device.Buffer, off int, src []byte, h halt.Func) error {
	copyPieces(bytes(b)[off:off+len(src)], src, h)
	return nil
}

// CopyRows implements [device.Memory].
func (*Device) CopyRows(dst device.Piece, to int, src device.Piece, from, n int, s device.State, h halt.Func) error {
	if s.Axis >= 0 {
		if n > 0 {
			out, in := rowsOf(s, dst, to, n), rowsOf(s, src, from, n)
			copyStrided(&out, &in, h)
		}
		return nil
	}
	copyPieces(bytes(dst.Buffer), bytes(src.Buffer), h)
	return nil
}

// rowsOf is n positions of a state in one piece of memory.
func rowsOf(s device.State, p device.Piece, from, n int) op.Array {
	full, shape := slices.Clone(s.Shape), slices.Clone(s.Shape)
	full[s.Axis], shape[s.Axis] = p.Positions, n
	strides := op.ContiguousStrides(full)
	return op.Array{DType: s.DType, Shape: shape, Strides: strides, Data: bytes(p.Buffer)[from*strides[s.Axis]*s.DType.Size():]}
}
