package cpu

import (
	"time"

	"github.com/genie-sdk/go/internal/device"
	"github.com/genie-sdk/go/internal/kernels"
)

// boxTaken is in the mailbox of a working helper, boxClosed in that of one that is to
// end.
var boxTaken, boxClosed = new(job), new(job)

const waiting = 1 << 30

func newJob() *job { return &job{done: make(chan struct{}, 1)} }

func newPool(threads int) *pool {
	p := &pool{threads: threads}
	for range threads - 1 {
		h := &helper{wake: make(chan struct{}, 1)}
		p.helpers = append(p.helpers, h)
		p.wg.Go(func() { h.loop(p) })
	}
	return p
}

// close ends the helpers. No run may be in progress.
func (p *pool) close() {
	for _, h := range p.helpers {
		h.box.Store(boxClosed)
		h.signal()
	}
	p.wg.Wait()
}

// begin and end enclose a run.
func (p *pool) begin() { p.running.Add(1) }
func (p *pool) end()   { p.running.Add(-1) }

// spins is how long a mailbox or the end of a job is watched before its watcher
// sleeps. A wake-up takes about as long.
const spins = 30 * time.Microsecond

// watch calls ready until it is true or the time is over.
func watch(ready func() bool) bool {
	const between = 64 // looks at the mailbox per look at the clock
	for start := time.Now(); ; {
		for range between {
			if ready() {
				return true
			}
			kernels.Pause()
		}
		if time.Since(start) > spins {
			return false
		}
	}
}

func (h *helper) loop(p *pool) {
	mail := func() bool { return h.box.Load() != nil }
	for {
		if p.running.Load() == 0 || !watch(mail) {
			h.asleep.Store(true)
			if h.box.Load() == nil {
				<-h.wake
			}
			h.asleep.Store(false)
		}
		j := h.box.Load()
		switch {
		case j == boxClosed:
			return
		case j != nil && h.box.CompareAndSwap(j, boxTaken):
			j.work()
			h.box.Store(nil)
			j.leave()
		}
	}
}

// signal wakes a helper that sleeps or is about to.
func (h *helper) signal() {
	if h.asleep.Load() {
		select {
		case h.wake <- struct{}{}:
		default:
		}
	}
}

func (j *job) work() {
	defer func() {
		if r := recover(); r != nil {
			first := any(device.Caught(r))
			j.failed.CompareAndSwap(nil, &first)
			j.next.Store(int64(j.n))
		}
	}()
	for {
		hi := int(j.next.Add(int64(j.size)))
		lo := hi - j.size
		if lo >= j.n {
			return
		}
		if j.fn(j.step, lo, min(hi, j.n)); j.step.halt.Now() {
			return
		}
	}
}

// leave is a helper's last access to the job, which its owner may reuse from
// then on unless it waits.
func (j *job) leave() {
	if j.pending.Add(-1) == waiting {
		j.done <- struct{}{}
	}
}

// wait returns when no helper has the job.
func (j *job) wait() {
	if watch(func() bool { return j.pending.Load() == 0 }) {
		return
	}
	if j.pending.Add(waiting) != waiting {
		<-j.done
	}
	j.pending.Store(0)
}

// run calls fn for all positions 0..n in chunks of size, on this goroutine and
// on helpers, and returns when all are done or the step is halted. A panic of fn is
// raised again here. fn must be a plain function: closures would allocate.
func (p *pool) run(j *job, s *step, n, size int, fn func(s *step, lo, hi int)) {
	p.runFrom(j, s, 0, n, size, fn)
}

// runFrom is run for the positions from..n. It returns the number reached: all
// earlier positions were computed, none from there on. It does at least one
// chunk.
func (p *pool) runFrom(j *job, s *step, from, n, size int, fn func(s *step, lo, hi int)) (to int) {
	size = max(size, 1)
	chunks := (n - from + size - 1) / size
	want := min(len(p.helpers), chunks-1, p.threads-int(p.running.Load()))
	if want <= 0 {
		for from < n {
			to := from + min(size, n-from)
			fn(s, from, to)
			if from = to; from < n && s.halt.Now() {
				break
			}
		}
		return from
	}
	j.fn, j.step, j.n, j.size = fn, s, n, size
	j.next.Store(int64(from))
	for _, h := range p.helpers {
		if want == 0 {
			break
		}
		j.pending.Add(1)
		if h.box.CompareAndSwap(nil, j) {
			h.signal()
			want--
		} else {
			j.pending.Add(-1)
		}
	}
	j.work()
	// A helper that has not begun need not begin.
	for _, h := range p.helpers {
		if h.box.CompareAndSwap(j, nil) {
			j.pending.Add(-1)
		}
	}
	j.wait()
	j.step = nil
	if f := j.failed.Swap(nil); f != nil {
		panic(*f)
	}
	return int(min(j.next.Load(), int64(n)))
}
