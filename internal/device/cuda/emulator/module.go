package emulator

import (
	"bytes"
	"fmt"
	"sync/atomic"

	"github.com/genie-sdk/go/internal/device/cuda/driver"
)

// loaded is a driver.Module.
type loaded struct {
	c       *context
	kernels map[string]*kernel
}

// entry is a driver.Function.
type entry struct {
	c       *context
	k       *kernel
	allowed atomic.Int64
}

// Load loads PTX. All its variables are allocations of the context.
func (c *context) Load(image []byte) (driver.Module, error) {
	const call = "cuModuleLoadData"
	if err := c.enter(call, CallLoad, func(n *Counts) { n.Loads++ }); err != nil {
		return nil, err
	}
	if bytes.HasPrefix(image, []byte("\x7fELF")) {
		return nil, NewError(call, InvalidImage, "the emulator executes PTX, not machine code", false)
	}
	m, err := parse(string(image))
	if err != nil {
		return nil, NewError(call, InvalidPTX, err.Error(), false)
	}
	globals := map[string]uint64{}
	for i := range m.vars {
		v := &m.vars[i]
		if v.space == "shared" || v.bytes == 0 {
			continue
		}
		if !c.reserve(int64(v.bytes)) {
			return nil, NewError(call, OutOfMemory, "variable "+v.name, false)
		}
		r := c.heap.add(int64(v.bytes), "variable "+v.name, c.d.options.Check == Full)
		r.module = true
		copy(r.data, v.image)
		for at := range r.data { // what has no value is zero
			if r.pages != nil {
				p := r.page(uint64(at) / pageBytes)
				p.flags[at%pageBytes/4] |= 1 << (at % 4)
				p.mu.Unlock()
			}
		}
		globals[v.name] = r.base
	}
	l := &loaded{c: c, kernels: map[string]*kernel{}}
	for name, f := range m.functions {
		if !f.entry {
			continue
		}
		k, err := decode(m, f, globals)
		if err != nil {
			return nil, NewError(call, InvalidPTX, err.Error(), false)
		}
		l.kernels[name] = k
	}
	return l, nil
}

func (l *loaded) Function(name string) (driver.Function, error) {
	if err := l.c.lost("cuModuleGetFunction"); err != nil {
		return nil, err
	}
	k := l.kernels[name]
	if k == nil {
		return nil, NewError("cuModuleGetFunction", NotFound, "kernel "+name, false)
	}
	return &entry{c: l.c, k: k}, nil
}

func (e *entry) AllowShared(n int) error {
	const call = "cuFuncSetAttribute"
	if err := e.c.lost(call); err != nil {
		return err
	}
	if n < 0 || n > sharedPerBlock-e.k.static {
		return NewError(call, InvalidValue, fmt.Sprintf("kernel %s: %d bytes of dynamic shared memory, beside %d that it declares, are more than %d", e.k.name, n, e.k.static, sharedPerBlock), false)
	}
	e.allowed.Store(int64(n))
	return nil
}
