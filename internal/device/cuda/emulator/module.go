package emulator

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/genie-sdk/go/internal/device/cuda/driver"
)

// loaded is a driver.Module.
type loaded struct {
	c       *context
	entries map[string]*entry
}

// entry is a driver.Function.
type entry struct {
	c       *context
	m       *module
	f       *function
	allowed atomic.Int64

	once sync.Once
	k    *kernel
	err  error
}

// kernel decodes the function, the first time that it is used.
func (e *entry) kernel(call string) (*kernel, error) {
	e.once.Do(func() { e.k, e.err = decode(e.m, e.f) })
	if e.err != nil {
		return nil, NewError(call, InvalidPTX, e.err.Error(), false)
	}
	return e.k, nil
}

// Decode decodes all kernels of PTX, and is the first error of what the emulator
// does not know. A context decodes a kernel when it is first launched.
func Decode(ptx []byte) error {
	m, err := parse(string(ptx))
	if err != nil {
		return fmt.Errorf("genie: PTX: %w", err)
	}
	for _, name := range slices.Sorted(maps.Keys(m.functions)) {
		if f := m.functions[name]; f.entry {
			if _, err := decode(m, f); err != nil {
				return fmt.Errorf("genie: PTX: %w", err)
			}
		}
	}
	return nil
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
		r.writeAll() // what has no value is zero
		globals[v.name] = r.base
	}
	m.globals = globals
	l := &loaded{c: c, entries: map[string]*entry{}}
	for name, f := range m.functions {
		if f.entry {
			l.entries[name] = &entry{c: c, m: m, f: f}
		}
	}
	return l, nil
}

func (l *loaded) Function(name string) (driver.Function, error) {
	if err := l.c.lost("cuModuleGetFunction"); err != nil {
		return nil, err
	}
	e := l.entries[name]
	if e == nil {
		return nil, NewError("cuModuleGetFunction", NotFound, "kernel "+name, false)
	}
	return e, nil
}

func (e *entry) AllowShared(n int) error {
	const call = "cuFuncSetAttribute"
	if err := e.c.lost(call); err != nil {
		return err
	}
	k, err := e.kernel(call)
	if err != nil {
		return err
	}
	if n < 0 || n > sharedPerBlock-k.static {
		return NewError(call, InvalidValue, fmt.Sprintf("kernel %s: %d bytes of dynamic shared memory, beside %d that it declares, are more than %d", k.name, n, k.static, sharedPerBlock), false)
	}
	e.allowed.Store(int64(n))
	return nil
}
