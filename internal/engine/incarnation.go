package engine

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/genie-sdk/go/internal/budget"
	"github.com/genie-sdk/go/internal/device"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// incarnation is an open device with all that is on it. When the device is lost
// so is everything of its incarnation: programs, weights and sessions. Another
// incarnation follows, see [Engine.renew].
type incarnation struct {
	e      *Engine
	number uint64
	before *incarnation // the last one, until it is closed
	store  *store

	opened chan struct{} // closed when the fields below are set
	err    error         // why it will never be open
	device device.Device
	arenas *arenas[device.Buffer]
	// pageRows is the number of positions in a page of carried state.
	pageRows    int
	addressable bool     // this process can address the device's memory
	forget      []func() // remove its holders from the budget

	settled chan struct{} // closed when it has been reported that it is open, or never will be
	losing  atomic.Bool
	lost    atomic.Pointer[error] // why the device is lost

	mu      sync.Mutex
	users   int                        // of the device, except calls of sessions
	none    chan struct{}              // closed and replaced by quiet when users is 0
	writers map[*WeightWriter]struct{} // that have not ended
}

func newIncarnation(e *Engine, before *incarnation) *incarnation {
	on := &incarnation{
		e: e, before: before, store: newStore(e.budget, &e.weights), writers: map[*WeightWriter]struct{}{},
		opened: make(chan struct{}), settled: make(chan struct{}),
	}
	if before != nil {
		on.number = before.number + 1
	}
	return on
}

// open opens the device.
func (on *incarnation) open() error {
	e, o := on.e, &opening{on: on}
	d, err := e.opts.Device(device.Options{
		Threads: e.opts.Threads, Int8Weights: e.opts.Int8Weights, Budget: e.budget, Reference: e.opts.plain, Fault: e.fault, Lost: o.lost, Slow: &e.slow,
	})
	if err != nil {
		return err
	}
	on.device, on.arenas = d, scratchArenas(e.budget, d)
	info := d.Info()
	on.pageRows, on.addressable = info.PageRows, info.HostAddressable
	if err := o.done(); err != nil { // it is lost already
		d.Close()
		return err
	}
	if info.Memory > 0 {
		limit := info.Memory
		if e.opts.MemLimit > 0 {
			limit = min(limit, e.opts.MemLimit)
		}
		e.budget.SetLimit(limit)
	}
	on.forget = []func(){e.budget.Register(budget.Spare, on.arenas), e.budget.Register(budget.Unused, on.store)}
	e.info.Store(&info)
	close(on.opened)
	return nil
}

// opening is a device that is being opened. One that is lost meanwhile never
// becomes a part of its incarnation.
type opening struct {
	on *incarnation

	mu   sync.Mutex
	open bool
	err  error
}

// lost implements [device.Options.Lost].
func (o *opening) lost(err error, freed <-chan struct{}) {
	if o.loses(err) {
		o.on.lose(err, freed)
	}
}

func (o *opening) loses(err error) (open bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.err = err
	return o.open
}

func (o *opening) done() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.open = o.err == nil
	return o.err
}

// gone is nil while the device has not been lost: afterwards it is the error of
// all that was on it, except of the calls that were in progress.
func (on *incarnation) gone() error {
	if lost := on.lost.Load(); lost != nil {
		return fmt.Errorf("%w: with its device: %w", transport.ErrSessionLost, *lost)
	}
	return nil
}

// key names content in a layout on this device.
func (on *incarnation) key(h plan.Hash, l device.WeightLayout) WeightKey {
	return WeightKey{h, l, on.number}
}

// enter begins a use of the device by something other than a session's call;
// leave ends it.
func (on *incarnation) enter() error {
	on.hold()
	if lost := on.lost.Load(); lost != nil {
		on.leave()
		return *lost
	}
	return nil
}

// hold is enter on behalf of calls that use the device already.
func (on *incarnation) hold() {
	on.mu.Lock()
	defer on.mu.Unlock()
	on.users++
}

func (on *incarnation) leave() {
	on.mu.Lock()
	defer on.mu.Unlock()
	if on.users--; on.users == 0 && on.none != nil {
		close(on.none)
		on.none = nil
	}
}

// quiet waits until nothing but calls of sessions uses the device.
func (on *incarnation) quiet() {
	if none := on.untilNone(); none != nil {
		<-none
	}
}

func (on *incarnation) untilNone() <-chan struct{} {
	on.mu.Lock()
	defer on.mu.Unlock()
	if on.users == 0 {
		return nil
	}
	if on.none == nil {
		on.none = make(chan struct{})
	}
	return on.none
}

// adds counts a writer in. An error means that the device is lost.
func (on *incarnation) adds(w *WeightWriter) error {
	on.mu.Lock()
	defer on.mu.Unlock()
	if lost := on.lost.Load(); lost != nil {
		return *lost
	}
	on.writers[w] = struct{}{}
	return nil
}

func (on *incarnation) removes(w *WeightWriter) {
	on.mu.Lock()
	defer on.mu.Unlock()
	delete(on.writers, w)
}

func (on *incarnation) openWriters() []*WeightWriter {
	on.mu.Lock()
	defer on.mu.Unlock()
	return slices.Collect(maps.Keys(on.writers))
}

// close frees everything. Nothing uses the device any more.
func (on *incarnation) close() {
	if on.device == nil {
		return
	}
	on.store.close()
	on.arenas.close()
	for _, forget := range on.forget {
		forget()
	}
	on.device.Close()
}

// ready is the present incarnation once its device is open. It waits no longer
// than ctx.
func (e *Engine) ready(ctx context.Context) (*incarnation, error) {
	for {
		on := e.current.Load()
		select {
		case <-on.opened:
		case <-ctx.Done():
			return nil, fmt.Errorf("genie: stopped while a device was opened: %w", context.Cause(ctx))
		}
		if on.err != nil || on.lost.Load() == nil {
			return on, on.err
		}
	}
}

// fault lets tests panic at a named place.
func (e *Engine) fault(at string) {
	if e.opts.fault != nil {
		e.opts.fault(at)
	}
}
