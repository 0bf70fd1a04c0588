package engine

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/genie-sdk/go/internal/device"
)

// askAgain is how long the kernels of a call compute before they ask whether
// others should go first, and yield to ready goroutines of this process: those
// that receive and send would otherwise wait for the runtime to interrupt a
// kernel, which takes 10 ms or more.
const askAgain = time.Millisecond

// pace answers the kernels of a running call: whether the call has been
// cancelled and, at intervals, whether it should wait for others. All threads
// that work for the call ask; while it waits, all of them do.
type pace struct {
	ctx   context.Context //nolint:containedctx // of the call, while it runs
	done  <-chan struct{}
	pause func(ctx context.Context) (time.Duration, error) // may be nil
	begun time.Time

	next    atomic.Int64 // when to ask others, counted from begun
	waits   atomic.Bool  // some thread asks, or waits
	stopped atomic.Bool  // a kernel has been told to stop

	mu     sync.Mutex // of the thread that asks others
	paused time.Duration
	err    error // why the call stops, other than ctx
}

// begin is called before a call's kernels run, end after the last one.
func (p *pace) begin(ctx context.Context) {
	p.ctx, p.done, p.begun = ctx, ctx.Done(), time.Now()
	p.paused, p.err = 0, nil
	p.next.Store(int64(askAgain))
	p.stopped.Store(false)
}

func (p *pace) end() { p.ctx, p.done, p.pause = nil, nil, nil }

// Halt implements [device.Control].
func (p *pace) Halt() bool {
	if p.over() {
		return true
	}
	if now := int64(time.Since(p.begun)); now < p.next.Load() && !p.waits.Load() {
		return false
	}
	p.letOthers()
	return p.over()
}

// Halted implements [device.Control].
func (p *pace) Halted() bool { return p.stopped.Load() }

// over reports whether the call is to stop.
func (p *pace) over() bool {
	select {
	case <-p.done:
		p.stopped.Store(true)
		return true
	default:
		return p.stopped.Load()
	}
}

// letOthers asks the call's owner whether others go first, and waits until they
// have. The first thread asks, the others wait for it.
func (p *pace) letOthers() {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Since(p.begun)
	if int64(now) < p.next.Load() {
		return
	}
	p.waits.Store(true)
	defer p.waits.Store(false)
	runtime.Gosched()
	if p.pause != nil && !p.stopped.Load() {
		waited, err := p.pause(p.ctx)
		p.paused += waited
		if err != nil {
			p.err = err
			p.stopped.Store(true)
		}
	}
	p.next.Store(int64(time.Since(p.begun) + askAgain))
}

// cause is the error of a call that was stopped.
func (p *pace) cause(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err != nil {
		return p.err
	}
	return device.Stopped(ctx)
}
