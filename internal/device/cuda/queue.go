package cuda

import (
	"github.com/genie-sdk/go/internal/device/cuda/driver"
	"github.com/genie-sdk/go/internal/device/cuda/kernels"
)

// queue is what a run needs while its groups are queued: a stream, a status
// word, page-locked memory for small copies, and events. One goroutine at a
// time may use it.
type queue struct {
	d      *Device
	st     *stream
	status driver.Ptr // zero, unless a kernel of the run has failed
	// counters are for attention, see [kernels.Attention].
	counters driver.Ptr
	host     *pinned      // see the offsets below
	end      driver.Event // after the last group of the run
	left     driver.Event // after the last one in its own stream, when it joins a batch
	// marks are before and after groups whose time is measured.
	marks []driver.Event
}

// The parts of a queue's page-locked memory: the status word, small outputs, and
// what the run reads from this process.
const (
	outputsFrom = 256
	uploadsFrom = 16 << 10
	queueHost   = 64 << 10
)

// The device memory of a queue: the status word and the counters.
const (
	countersFrom = 256
	queueBytes   = countersFrom + kernels.AttentionCounterBytes
)

// spareQueues is how many queues wait for their next use.
const spareQueues = 64

// takeQueue takes a queue in which nothing is queued.
func (d *Device) takeQueue() (*queue, error) {
	if err := d.usable(); err != nil {
		return nil, err
	}
	if q := d.queues.take(); q != nil {
		return q, nil
	}
	q := &queue{d: d}
	if err := q.open(); err != nil {
		q.close()
		return nil, err
	}
	return q, nil
}

func (q *queue) open() (err error) {
	if q.st, err = q.d.stream(); err != nil {
		return err
	}
	if q.status, err = q.d.memory.take(queueBytes, "the status of a run"); err != nil {
		return err
	}
	q.counters = q.status + countersFrom
	if q.host, err = q.d.staging.take(queueHost); err != nil {
		return err
	}
	for _, e := range []*driver.Event{&q.end, &q.left} {
		if *e, err = q.d.ctx.NewEvent(); err != nil {
			return q.d.check(err)
		}
	}
	return q.d.check(q.st.Fill(q.status, 0, queueBytes))
}

// reset queues clearing the status word, after an error of a run.
func (q *queue) reset() error { return q.d.check(q.st.Fill(q.status, 0, kernels.StatusBytes)) }

// mark records mark i in a stream.
func (q *queue) mark(st driver.Stream, i int) error {
	for len(q.marks) <= i {
		e, err := q.d.ctx.NewEvent()
		if err != nil {
			return q.d.check(err)
		}
		q.marks = append(q.marks, e)
	}
	return q.d.check(st.Record(q.marks[i]))
}

// close frees a queue in which nothing is queued.
func (q *queue) close() {
	for _, e := range append(q.marks, q.end, q.left) {
		if e != nil && q.d.usable() == nil {
			_ = q.d.check(e.Close()) // it fails with the context, which the next call finds lost
		}
	}
	q.d.staging.give(q.host)
	q.d.memory.give(q.status, queueBytes, true)
	if q.st != nil {
		q.d.giveStream(q.st)
	}
}

// giveQueue takes a queue back. Nothing may be queued in it, except clearing its
// status word.
func (d *Device) giveQueue(q *queue) {
	if d.usable() == nil && !d.queues.keep(q) {
		if q.st.wait() == nil {
			q.close()
		}
	}
}

func (s *queues) take() *queue {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.idle)
	if n == 0 {
		return nil
	}
	q := s.idle[n-1]
	s.idle = s.idle[:n-1]
	return q
}

func (s *queues) keep(q *queue) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.idle) >= spareQueues {
		return false
	}
	s.idle = append(s.idle, q)
	return true
}
