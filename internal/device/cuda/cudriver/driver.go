//go:build genie_cuda

package cudriver

// The paths of an installed CUDA toolkit, as gorgonia.org/cu has them; those in
// CGO_CFLAGS and CGO_LDFLAGS come first.

/*
#cgo linux CFLAGS: -I/usr/local/cuda/include
#cgo linux LDFLAGS: -L/usr/local/cuda/lib64/stubs -L/usr/lib/x86_64-linux-gnu -lcuda -ldl
#include "calls.h"
*/
import "C"

import (
	"runtime"

	"gorgonia.org/cu"

	"github.com/genie-sdk/go/internal/device/cuda/driver"
)

// New initialises the driver of this machine. Without one, or without a device,
// the error says so.
func New() (driver.Driver, error) {
	if err := failed("cuInit", C.genie_init()); err != nil {
		return nil, err
	}
	return cuda{}, nil
}

// cuda implements [driver.Driver].
type cuda struct{}

func (cuda) Version() int { return cu.Version() }

func (cuda) Devices() (int, error) {
	n, err := cu.NumDevices()
	return n, wrap("cuDeviceGetCount", err)
}

// sharedPerBlockOptIn is an attribute that gorgonia.org/cu has no name for.
const sharedPerBlockOptIn = cu.DeviceAttribute(C.CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN)

func (cuda) Describe(i int) (driver.Properties, error) {
	var p driver.Properties
	d, err := cu.GetDevice(i)
	if err != nil {
		return p, wrap("cuDeviceGet", err)
	}
	if p.Name, err = d.Name(); err != nil {
		return p, wrap("cuDeviceGetName", err)
	}
	if p.Memory, err = d.TotalMem(); err != nil {
		return p, wrap("cuDeviceTotalMem", err)
	}
	for _, a := range []struct {
		to   *int
		from cu.DeviceAttribute
	}{
		{&p.Major, cu.ComputeCapabilityMajor},
		{&p.Minor, cu.ComputeCapabilityMinor},
		{&p.Multiprocessors, cu.MultiprocessorCount},
		{&p.ClockKHz, cu.ClockRate},
		{&p.MemoryClockKHz, cu.MemoryClockRate},
		{&p.BusBits, cu.GlobalMemoryBusWidth},
		{&p.L2Bytes, cu.L2CacheSize},
		{&p.SharedPerBlock, sharedPerBlockOptIn},
	} {
		if *a.to, err = d.Attribute(a.from); err != nil {
			return p, wrap("cuDeviceGetAttribute", err)
		}
	}
	return p, nil
}

func (c cuda) Open(i int) (driver.Context, error) {
	props, err := c.Describe(i)
	if err != nil {
		return nil, err
	}
	d, err := cu.GetDevice(i)
	if err != nil {
		return nil, wrap("cuDeviceGet", err)
	}
	// A new context is current to the thread that makes it, which goes back to
	// the scheduler without it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	made, err := d.MakeContext(cu.SchedAuto)
	if err != nil {
		return nil, wrap("cuCtxCreate", err)
	}
	if _, err := cu.PopCurrentCtx(); err != nil {
		_ = made.Destroy() // the first error counts
		return nil, wrap("cuCtxPopCurrent", err)
	}
	return &context{cu: made, c: C.CUcontext(handle(&made)), props: props, pages: map[*byte]*pages{}}, nil
}
