//go:build genie_cuda

package cudriver

// #include <stdlib.h>
// #include "calls.h"
import "C"

import (
	"bytes"
	"fmt"
	"math"
	"unsafe"

	"github.com/genie-sdk/go/internal/device/cuda/driver"
)

// module implements [driver.Module], and function [driver.Function].
type (
	module struct {
		ctx *context
		m   C.CUmodule
	}
	function struct {
		ctx *context
		f   C.CUfunction
	}
)

// logBytes is as much as is kept of what the driver's compiler says of PTX.
const logBytes = 4 << 10

func (c *context) Load(image []byte) (driver.Module, error) {
	const call = "cuModuleLoadDataEx"
	if len(image) == 0 {
		return nil, invalid(call, "an empty image")
	}
	if err := c.usable(call); err != nil {
		return nil, err
	}
	// PTX ends with a zero; a cubin does not mind one.
	text := append(bytes.Clone(image), 0)
	log := make([]byte, logBytes)
	m := &module{ctx: c}
	code := C.genie_load(c.c, &m.m, unsafe.Pointer(&text[0]), (*C.char)(unsafe.Pointer(&log[0])), logBytes) //nolint:gocritic // what cgo makes of it
	if code == driver.CodeSuccess {
		return m, nil
	}
	detail := C.GoString(C.genie_describe(code))
	if said, _, _ := bytes.Cut(log, []byte{0}); len(said) > 0 {
		detail = fmt.Sprintf("%s: %q", detail, said)
	}
	return nil, driver.NewError(call, int(code), detail)
}

func (m *module) Function(name string) (driver.Function, error) {
	const call = "cuModuleGetFunction"
	if err := m.ctx.usable(call); err != nil {
		return nil, err
	}
	text := C.CString(name)
	defer C.free(unsafe.Pointer(text))
	f := &function{ctx: m.ctx}
	if err := failed(call, C.genie_function(m.ctx.c, &f.f, m.m, text)); err != nil { //nolint:gocritic // what cgo makes of it
		return nil, err
	}
	return f, nil
}

func (f *function) AllowShared(n int) error {
	const call = "cuFuncSetAttribute"
	if n < 0 || n > math.MaxInt32 {
		return invalid(call, fmt.Sprintf("%d bytes", n))
	}
	if err := f.ctx.usable(call); err != nil {
		return err
	}
	return failed(call, C.genie_allow_shared(f.ctx.c, f.f, C.int(n)))
}
