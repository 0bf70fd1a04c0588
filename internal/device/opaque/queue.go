package opaque

import (
	"runtime"
	"sync"
	"time"

	"github.com/genie-sdk/go/internal/device"
)

// queue is the remaining work of a run, in order. It begins when something
// waits for it, or on its own some time earlier.
type queue struct {
	run *run

	mu      sync.Mutex
	work    []stretch
	running chan struct{} // closed when nothing is left; nil while nothing runs
	failed  error         // since the last wait: nothing runs after it
	at      int           // the failing group
}

// stretch is groups to run.
type stretch struct {
	from, to int
	times    []time.Duration
}

// add queues a stretch.
func (q *queue) add(s stretch) {
	n := q.run.d.queued.Add(1) * 0x9e3779b97f4a7c15 >> 32
	if q.put(s, n%3 == 0) {
		q.launch(int(n >> 2 % 64))
	}
}

// put adds a stretch, and reports whether the queue starts by itself.
func (q *queue) put(s stretch, begin bool) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.work = append(q.work, s)
	if begin = begin && q.running == nil; begin {
		q.running = make(chan struct{})
	}
	return begin
}

// launch runs the queue after other goroutines have had the given number of
// turns.
func (q *queue) launch(late int) {
	q.run.d.drains.Go(func() {
		for range late {
			runtime.Gosched()
		}
		q.drain()
	})
}

// drain runs the queued stretches.
func (q *queue) drain() {
	for {
		s, ok := q.next()
		if !ok {
			return
		}
		if n, err := q.run.stretch(s); err != nil {
			q.fail(n, err)
		}
	}
}

// next takes the first stretch; there is none after a failed one.
func (q *queue) next() (s stretch, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.work) == 0 || q.failed != nil {
		q.work = q.work[:0]
		close(q.running)
		q.running = nil
		return s, false
	}
	s = q.work[0]
	q.work = append(q.work[:0], q.work[1:]...)
	return s, true
}

func (q *queue) fail(n int, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.failed, q.at = err, n
}

// flush returns when nothing is left, and returns the failure.
func (q *queue) flush() error {
	for {
		done, begin, err := q.under()
		if begin {
			q.launch(0)
		}
		if done == nil {
			return err
		}
		<-done
	}
}

// under is the channel to wait for, nil for none, and whether the queue must be
// launched.
func (q *queue) under() (done chan struct{}, begin bool, failed error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if begin = q.running == nil && len(q.work) > 0; begin {
		q.running = make(chan struct{})
	}
	return q.running, begin, q.failed
}

// take returns the failure, once.
func (q *queue) take() (at int, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	at, err = q.at, q.failed
	q.failed = nil
	return at, err
}

// stretch runs groups and returns the first that did not run.
func (r *run) stretch(s stretch) (n int, err error) {
	n = s.from
	defer func() {
		if p := recover(); p != nil {
			err = device.Caught(p)
		}
	}()
	if err := r.upload(); err != nil {
		return n, err
	}
	for ; n < s.to; n++ {
		r.d.fault("kernel")
		if err := r.d.fails("kernel"); err != nil {
			return n, err
		}
		start := time.Now()
		if err := r.group(n); err != nil {
			return n, err
		}
		if s.times != nil {
			s.times[n] = time.Since(start)
		}
	}
	return n, nil
}
