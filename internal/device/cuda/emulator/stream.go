package emulator

import (
	"fmt"
	"runtime/debug"

	"github.com/genie-sdk/go/internal/device/cuda/driver"
)

// stream is a driver.Stream: a queue that a goroutine of its own executes.
type stream struct {
	c     *context
	index int
	clock clock // what is ordered before its next operation

	// The mutex of the context guards what follows.
	queue    []work // a ring
	queued   uint64 // how many were queued in all
	finished uint64
	demand   uint64 // how many something waits for
	waits    uint64 // of the context, when something was queued last
	ended    bool
	err      *driver.Error // of work that failed, and left the context whole
	copier   agent
	op       operation
	gaps     bool // the copy under way read what is unwritten
}

// task is what a stream does.
type task uint8

const (
	taskIn task = iota
	taskOut
	taskCopy
	taskFill
	taskLaunch
	taskRecord
	taskWait
	taskJoin
)

// work is one entry of a queue. Its memory is used again.
type work struct {
	task   task
	to, at uint64
	n      uint64
	value  byte
	host   []byte
	hash   uint64
	hashed bool
	launch *launch
	event  *event
	point  point // of the event
	clock  clock
	fault  *Fault
}

// maxQueued bounds a queue: then calls wait for room.
const maxQueued = 1024

// push queues work: fill sets what it is.
func (s *stream) push(fill func(w *work)) error {
	c := s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.ended {
		return NewError("cuStream", InvalidHandle, "the stream is closed", false)
	}
	if s.waits != c.waits {
		s.waits = c.waits
		w := s.entry()
		w.task, w.clock = taskJoin, append(w.clock[:0], c.host...)
		s.queued++
	}
	w := s.entry()
	fill(w)
	s.queued++
	if c.d.options.Eager {
		s.demand = s.queued
	}
	c.changed.Broadcast()
	return nil
}

// entry is the next free entry of the queue.
func (s *stream) entry() *work {
	for s.queued-s.finished >= maxQueued && !s.c.closed {
		s.demand = s.queued
		s.c.changed.Broadcast()
		s.c.changed.Wait()
	}
	if n := uint64(len(s.queue)); s.queued-s.finished == n {
		grown := make([]work, max(2*n, 16))
		for i := s.finished; i < s.queued; i++ {
			grown[i%uint64(len(grown))] = s.queue[i%n]
		}
		s.queue = grown
	}
	w := &s.queue[s.queued%uint64(len(s.queue))]
	*w = work{clock: w.clock[:0], launch: w.launch}
	return w
}

// run executes the queue until the context or the stream is closed.
func (s *stream) run() {
	defer s.c.running.Done()
	for {
		w, ok := s.next()
		if !ok {
			return
		}
		s.finish(&w, s.execute(&w))
	}
}

// next waits for an entry that something waits for.
func (s *stream) next() (work, bool) {
	c := s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	for s.finished >= min(s.demand, s.queued) && !c.closed && !s.ended {
		c.changed.Wait()
	}
	if c.closed || s.finished >= min(s.demand, s.queued) {
		return work{}, false
	}
	// The queue may grow, and move, while an entry executes.
	return s.queue[s.finished%uint64(len(s.queue))], true
}

// execute executes an entry.
func (s *stream) execute(w *work) *driver.Error {
	switch w.task {
	case taskRecord:
	case taskWait, taskJoin:
		s.await(w)
	default:
		if s.c.err.Load() == nil {
			return s.operate(w)
		}
	}
	return nil
}

// await waits until an event is reached, or notes what the process waited for.
func (s *stream) await(w *work) {
	c := s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if w.task == taskJoin {
		s.clock.join(w.clock)
		return
	}
	for !w.point.reached() && !c.closed && c.err.Load() == nil {
		c.changed.Wait()
	}
	s.clock.join(w.event.before(w.point))
}

// finish removes an entry that was executed.
func (s *stream) finish(w *work, err *driver.Error) {
	c := s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fail(err)
	if err != nil && !err.Sticky && s.err == nil {
		s.err = err
	}
	switch w.task {
	case taskRecord:
		w.event.reach(w.point)
	case taskWait, taskJoin:
	default:
		if w.task == taskOut {
			s.outDone(w.host)
		}
		c.numbers[s.index]++
		s.ordered()
	}
	s.queue[s.finished%uint64(len(s.queue))].host = nil
	s.finished++
	c.changed.Broadcast()
}

// ordered notes that the stream's earlier operations are ordered before the next.
func (s *stream) ordered() {
	for len(s.clock) <= s.index {
		s.clock = append(s.clock, 0)
	}
	s.clock[s.index] = s.c.numbers[s.index]
}

// operate executes a copy or a launch.
func (s *stream) operate(w *work) (err *driver.Error) {
	defer func() {
		if r := recover(); r != nil {
			err = NewError("cuStream", LaunchFailed, fmt.Sprintf("the emulator panicked: %v\n%s", r, debug.Stack()), true)
		}
	}()
	if w.fault != nil {
		return w.fault.Err
	}
	op, blocks := &s.op, 1
	if w.task == taskLaunch {
		op, blocks = &w.launch.operation, w.launch.total
	}
	op.clock = s.clock
	if !s.c.history.begin(op, blocks, s.index, s.number()+1) {
		return NewError("cuLaunchKernel", LaunchFailed, "the context has executed more blocks than the emulator can tell apart", true)
	}
	if w.task == taskLaunch {
		return w.launch.execute(s.c)
	}
	s.copier = agent{op: op, id: op.first}
	return s.transfer(w)
}

// number is how many operations the stream did.
func (s *stream) number() uint32 { return s.clock[s.index] }

// queueCopy queues a copy.
func (s *stream) queueCopy(call string, fill func(w *work)) error {
	if err := s.c.lost(call); err != nil {
		return err
	}
	f := s.c.d.fault(CallCopy, func(n *Counts) { n.Copies++ })
	if f != nil && !f.Late {
		s.c.fail(f.Err)
		return f.Err
	}
	return s.push(func(w *work) {
		fill(w)
		w.fault = f
	})
}

func (s *stream) Record(e driver.Event) error {
	ev, err := s.event("cuEventRecord", e)
	if err != nil {
		return err
	}
	return s.push(func(w *work) {
		ev.last = point{s, s.queued + 1, ev.last.turn + 1}
		w.task, w.event, w.point = taskRecord, ev, ev.last
	})
}

func (s *stream) WaitFor(e driver.Event) error {
	ev, err := s.event("cuStreamWaitEvent", e)
	if err != nil {
		return err
	}
	return s.push(func(w *work) { w.task, w.event, w.point = taskWait, ev, ev.last })
}

func (s *stream) event(call string, e driver.Event) (*event, error) {
	if err := s.c.lost(call); err != nil {
		return nil, err
	}
	ev, ok := e.(*event)
	if !ok || ev.c != s.c {
		return nil, NewError(call, InvalidHandle, fmt.Sprintf("%T is no event of the context", e), false)
	}
	return ev, nil
}

func (s *stream) Done() (bool, error) {
	if err := s.c.lost("cuStreamQuery"); err != nil {
		return false, err
	}
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	s.demand = s.queued
	s.c.changed.Broadcast()
	if s.finished < s.queued {
		return false, nil
	}
	return true, s.result()
}

func (s *stream) Synchronize() error {
	if err := s.c.enter("cuStreamSynchronize", CallSynchronize, func(n *Counts) { n.Synchronizes++ }); err != nil {
		return err
	}
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	until := s.queued
	s.demand = max(s.demand, until)
	s.c.changed.Broadcast()
	for s.finished < until && !s.c.closed {
		s.c.changed.Wait()
	}
	return s.result()
}

// result is the error of work that failed; the process has waited for the rest.
// The caller holds the mutex.
func (s *stream) result() error {
	if err := s.c.err.Load(); err != nil {
		return err
	}
	if s.c.closed {
		return NewError("cuStreamSynchronize", ContextDestroyed, "the context is closed", true)
	}
	if err := s.err; err != nil {
		s.err = nil
		return err
	}
	s.c.waited(s.clock)
	return nil
}

// waited notes that the process has waited for operations.
func (c *context) waited(until clock) {
	c.host.join(until)
	c.waits++
}

// Close ends the stream, after the work that is queued.
func (s *stream) Close() error {
	c := s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.ended || c.closed {
		return nil
	}
	for s.finished < s.queued && !c.closed {
		s.demand = s.queued
		c.changed.Broadcast()
		c.changed.Wait()
	}
	s.ended = true
	c.waited(s.clock)
	c.streams[s.index] = nil
	c.changed.Broadcast()
	return nil
}
