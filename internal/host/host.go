// Package host makes an engine of this process's devices. The local executor
// and the worker share it.
package host

import (
	"github.com/genie-sdk/go/internal/device/cpu"
	"github.com/genie-sdk/go/internal/engine"
)

// Open starts an engine, on the CPU unless o names another device. An unusable
// GENIE_CPU is an error.
func Open(o engine.Options) (*engine.Engine, error) {
	if o.Device == nil {
		o.Device = cpu.Open
	}
	return engine.New(o)
}
