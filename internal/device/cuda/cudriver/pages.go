//go:build genie_cuda

package cudriver

// #include "calls.h"
import "C"

import (
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"github.com/genie-sdk/go/internal/device/cuda/driver"
)

// pages are memory of Go whose pages are locked, so that a device can copy from and
// to it. Memory of the driver would be gone with a context, under whoever still
// holds a slice of it; this is only unlocked then.
type pages struct {
	all []byte
	pin runtime.Pinner // the driver holds the address beyond its calls
}

func (c *context) AllocHost(n int) ([]byte, error) {
	const call = "cuMemHostRegister"
	if n <= 0 {
		return nil, invalid(call, fmt.Sprintf("%d bytes", n))
	}
	if err := c.usable(call); err != nil {
		return nil, err
	}
	// Whole pages, which nothing else is on.
	size := os.Getpagesize()
	p := &pages{all: make([]byte, (n+size-1)/size*size+size)}
	skip := -int(uintptr(unsafe.Pointer(&p.all[0]))) & (size - 1)
	whole := p.all[skip : skip+len(p.all)-size]
	p.pin.Pin(&p.all[0])
	if err := failed(call, C.genie_lock_pages(c.c, unsafe.Pointer(&whole[0]), C.size_t(len(whole)))); err != nil {
		p.pin.Unpin()
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pages[&whole[0]] = p
	return whole[:n:n], nil
}

// FreeHost unlocks memory. After Close it has been unlocked.
func (c *context) FreeHost(b []byte) error {
	const call = "cuMemHostUnregister"
	p := c.forget(b)
	switch {
	case c.closed.Load():
		return nil
	case p == nil:
		return driver.NewError(call, driver.CodeInvalidValue, "the memory is not from AllocHost, or freed")
	}
	defer p.pin.Unpin()
	return failed(call, C.genie_unlock_pages(c.c, unsafe.Pointer(unsafe.SliceData(b))))
}

func (c *context) forget(b []byte) *pages {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := unsafe.SliceData(b)
	p := c.pages[at]
	delete(c.pages, at)
	return p
}

// unpinAll leaves locked memory to the garbage collector, once the context that
// locked it is gone.
func (c *context) unpinAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.pages {
		p.pin.Unpin()
	}
	clear(c.pages)
}
