//go:build genie_cuda

package cudriver

// #include "calls.h"
import "C"

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"unsafe"

	"gorgonia.org/cu"

	"github.com/genie-sdk/go/internal/device/cuda/driver"
)

// context implements [driver.Context]. It is current to no thread between calls:
// goroutines move between threads.
type context struct {
	cu     cu.CUContext
	c      C.CUcontext
	props  driver.Properties
	closed atomic.Bool

	mu    sync.Mutex
	pages map[*byte]*pages
}

// handle is the handle that a type of gorgonia.org/cu holds, its one field.
func handle[T cu.CUContext | cu.Stream | cu.Event](of *T) unsafe.Pointer {
	return *(*unsafe.Pointer)(unsafe.Pointer(of))
}

// That field has the size of a pointer.
var (
	_ [unsafe.Sizeof(uintptr(0))]byte = [unsafe.Sizeof(cu.CUContext{})]byte{}
	_ [unsafe.Sizeof(uintptr(0))]byte = [unsafe.Sizeof(cu.Stream{})]byte{}
	_ [unsafe.Sizeof(uintptr(0))]byte = [unsafe.Sizeof(cu.Event{})]byte{}
)

// usable refuses calls after Close: their handles are dangling pointers.
func (c *context) usable(call string) error {
	if c.closed.Load() {
		return driver.NewError(call, driver.CodeContextIsDestroyed, "the context is closed")
	}
	return nil
}

// in runs a call of gorgonia.org/cu with the context current.
func (c *context) in(call string, f func() error) error {
	if err := c.usable(call); err != nil {
		return err
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := cu.SetCurrentContext(c.cu); err != nil {
		return wrap("cuCtxSetCurrent", err)
	}
	return wrap(call, f())
}

func (c *context) Properties() driver.Properties { return c.props }

func (c *context) MemInfo() (free, total int64, err error) {
	err = c.in("cuMemGetInfo", func() (err error) {
		free, total, err = cu.MemInfo()
		return err
	})
	return free, total, err
}

func (c *context) Alloc(n int64) (driver.Ptr, error) {
	if n <= 0 {
		return 0, invalid("cuMemAlloc", fmt.Sprintf("%d bytes", n))
	}
	var p cu.DevicePtr
	err := c.in("cuMemAlloc", func() (err error) {
		p, err = cu.MemAlloc(n)
		return err
	})
	return driver.Ptr(p), err
}

func (c *context) Free(p driver.Ptr) error {
	return c.in("cuMemFree", func() error { return cu.MemFree(cu.DevicePtr(p)) })
}

func (c *context) NewStream() (driver.Stream, error) {
	s := &stream{ctx: c}
	err := c.in("cuStreamCreate", func() (err error) {
		s.cu, err = cu.MakeStream(cu.NonBlocking)
		return err
	})
	if err != nil {
		return nil, err
	}
	s.s = C.CUstream(handle(&s.cu))
	return s, nil
}

func (c *context) NewEvent() (driver.Event, error) {
	e := &event{ctx: c}
	err := c.in("cuEventCreate", func() (err error) {
		e.cu, err = cu.MakeEvent(0)
		return err
	})
	if err != nil {
		return nil, err
	}
	e.e = C.CUevent(handle(&e.cu))
	return e, nil
}

// Close destroys the context. What it returns is the sticky error, if there is one:
// the context is destroyed anyway, so that is not an error of Close.
func (c *context) Close() error {
	if c.closed.Swap(true) {
		return nil
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	_ = c.cu.Destroy()
	c.unpinAll()
	return nil
}
