//go:build genie_cuda

package cudriver

/*
#cgo noescape genie_event_query
#cgo nocallback genie_event_query
#include "calls.h"
*/
import "C"

import (
	"time"

	"gorgonia.org/cu"

	"github.com/genie-sdk/go/internal/device/cuda/driver"
)

// event implements [driver.Event].
type event struct {
	ctx *context
	cu  cu.Event
	e   C.CUevent
}

func (e *event) Done() (bool, error) {
	const call = "cuEventQuery"
	if err := e.ctx.usable(call); err != nil {
		return false, err
	}
	return done(call, C.genie_event_query(e.ctx.c, e.e))
}

func (e *event) Synchronize() error {
	const call = "cuEventSynchronize"
	if err := e.ctx.usable(call); err != nil {
		return err
	}
	return failed(call, C.genie_event_synchronize(e.ctx.c, e.e))
}

func (e *event) Since(earlier driver.Event) (time.Duration, error) {
	const call = "cuEventElapsedTime"
	from, ok := earlier.(*event)
	if !ok || from.ctx != e.ctx {
		return 0, invalid(call, "the event is of another context")
	}
	if err := e.ctx.usable(call); err != nil {
		return 0, err
	}
	var ms C.float
	if err := failed(call, C.genie_elapsed(e.ctx.c, &ms, from.e, e.e)); err != nil {
		return 0, err
	}
	return time.Duration(float64(ms) * float64(time.Millisecond)), nil
}

// Close destroys the event, unless the context has taken it along.
func (e *event) Close() error {
	if e.e == nil || e.ctx.closed.Load() {
		return nil
	}
	e.e = nil
	return e.ctx.in("cuEventDestroy", func() error { return cu.DestroyEvent(&e.cu) })
}
