//go:build genie_cuda

package cudriver

// The arguments of a launch and the results of a query are not kept beyond the
// call. Memory that is copied is, so it is not listed here.

/*
#cgo noescape genie_launch
#cgo nocallback genie_launch
#cgo noescape genie_copy
#cgo nocallback genie_copy
#cgo noescape genie_fill
#cgo nocallback genie_fill
#cgo noescape genie_record
#cgo nocallback genie_record
#cgo noescape genie_wait_for
#cgo nocallback genie_wait_for
#cgo noescape genie_stream_query
#cgo nocallback genie_stream_query
#cgo nocallback genie_copy_in
#cgo nocallback genie_copy_out
#include "calls.h"
*/
import "C"

import (
	"fmt"
	"math"
	"unsafe"

	"gorgonia.org/cu"

	"github.com/genie-sdk/go/internal/device/cuda/driver"
)

// stream implements [driver.Stream].
type stream struct {
	ctx *context
	cu  cu.Stream
	s   C.CUstream
}

func (s *stream) CopyIn(dst driver.Ptr, src []byte) error {
	const call = "cuMemcpyHtoDAsync"
	if len(src) == 0 {
		return nil
	}
	if err := s.ctx.usable(call); err != nil {
		return err
	}
	return failed(call, C.genie_copy_in(s.ctx.c, s.s, C.CUdeviceptr(dst), unsafe.Pointer(&src[0]), C.size_t(len(src))))
}

func (s *stream) CopyOut(dst []byte, src driver.Ptr) error {
	const call = "cuMemcpyDtoHAsync"
	if len(dst) == 0 {
		return nil
	}
	if err := s.ctx.usable(call); err != nil {
		return err
	}
	return failed(call, C.genie_copy_out(s.ctx.c, s.s, unsafe.Pointer(&dst[0]), C.CUdeviceptr(src), C.size_t(len(dst))))
}

func (s *stream) Copy(dst, src driver.Ptr, n int64) error {
	const call = "cuMemcpyDtoDAsync"
	if n == 0 {
		return nil
	}
	if n < 0 {
		return invalid(call, fmt.Sprintf("%d bytes", n))
	}
	if err := s.ctx.usable(call); err != nil {
		return err
	}
	return failed(call, C.genie_copy(s.ctx.c, s.s, C.CUdeviceptr(dst), C.CUdeviceptr(src), C.size_t(n)))
}

func (s *stream) Fill(dst driver.Ptr, b byte, n int64) error {
	const call = "cuMemsetD8Async"
	if n == 0 {
		return nil
	}
	if n < 0 {
		return invalid(call, fmt.Sprintf("%d bytes", n))
	}
	if err := s.ctx.usable(call); err != nil {
		return err
	}
	return failed(call, C.genie_fill(s.ctx.c, s.s, C.CUdeviceptr(dst), C.uchar(b), C.size_t(n)))
}

func (s *stream) Launch(f driver.Function, grid, block driver.Dim, shared int, args []byte) error {
	const call = "cuLaunchKernel"
	fn, ok := f.(*function)
	if !ok || fn.ctx != s.ctx {
		return invalid(call, "the kernel is of another context")
	}
	if len(args) == 0 || len(args)%8 != 0 {
		return invalid(call, fmt.Sprintf("%d bytes of arguments", len(args)))
	}
	if !fits(grid.X, grid.Y, grid.Z, block.X, block.Y, block.Z) || shared < 0 || shared > math.MaxInt32 {
		return invalid(call, fmt.Sprintf("grid %v, block %v, %d bytes of shared memory", grid, block, shared))
	}
	if err := s.ctx.usable(call); err != nil {
		return err
	}
	d := C.genie_dim{
		grid:   [3]C.uint{C.uint(grid.X), C.uint(grid.Y), C.uint(grid.Z)},
		block:  [3]C.uint{C.uint(block.X), C.uint(block.Y), C.uint(block.Z)},
		shared: C.uint(shared),
	}
	return failed(call, C.genie_launch(s.ctx.c, s.s, fn.f, &d, unsafe.Pointer(&args[0]), C.size_t(len(args))))
}

// fits reports whether each size is one that the driver can be asked about.
func fits(a, b, c, d, e, f int) bool {
	return min(a, b, c, d, e, f) > 0 && max(a, b, c, d, e, f) <= math.MaxInt32
}

func (s *stream) Record(e driver.Event) error {
	const call = "cuEventRecord"
	ev, ok := e.(*event)
	if !ok || ev.ctx != s.ctx {
		return invalid(call, "the event is of another context")
	}
	if err := s.ctx.usable(call); err != nil {
		return err
	}
	return failed(call, C.genie_record(s.ctx.c, s.s, ev.e))
}

func (s *stream) WaitFor(e driver.Event) error {
	const call = "cuStreamWaitEvent"
	ev, ok := e.(*event)
	if !ok || ev.ctx != s.ctx {
		return invalid(call, "the event is of another context")
	}
	if err := s.ctx.usable(call); err != nil {
		return err
	}
	return failed(call, C.genie_wait_for(s.ctx.c, s.s, ev.e))
}

func (s *stream) Done() (bool, error) {
	const call = "cuStreamQuery"
	if err := s.ctx.usable(call); err != nil {
		return false, err
	}
	return done(call, C.genie_stream_query(s.ctx.c, s.s))
}

// done is the answer to a query.
func done(call string, code C.CUresult) (bool, error) {
	if code == driver.CodeNotReady {
		return false, nil
	}
	return code == driver.CodeSuccess, failed(call, code)
}

func (s *stream) Synchronize() error {
	const call = "cuStreamSynchronize"
	if err := s.ctx.usable(call); err != nil {
		return err
	}
	return failed(call, C.genie_stream_synchronize(s.ctx.c, s.s))
}

// Close destroys the stream, unless the context has taken it along.
func (s *stream) Close() error {
	if s.s == nil || s.ctx.closed.Load() {
		return nil
	}
	s.s = nil
	return s.ctx.in("cuStreamDestroy", s.cu.Destroy)
}
