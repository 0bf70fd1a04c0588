package engine

import (
	"sync"
	"sync/atomic"
)

// pool is a set of goroutines that help with loops. They wait on a channel and
// do not spin. Jobs of several sessions share it; whoever waits for a job's
// helpers works on other jobs meanwhile, so no order of jobs can block.
type pool struct {
	jobs    chan *job
	helpers int
	wg      sync.WaitGroup
}

// job is one loop over n chunks. It is reused from loop to loop by its owner.
type job struct {
	fn      func(s *step, lo, hi int)
	step    *step
	n, size int // chunks of size positions over n positions
	next    atomic.Int64
	pending atomic.Int32 // helpers that have not finished with the job
	done    chan struct{}
	failed  atomic.Pointer[any] // first panic of a chunk
}

func newJob() *job { return &job{done: make(chan struct{}, 1)} }

func newPool(threads int) *pool {
	p := &pool{jobs: make(chan *job, 4*threads), helpers: threads - 1}
	for range p.helpers {
		p.wg.Go(func() {
			for j := range p.jobs {
				j.help()
			}
		})
	}
	return p
}

func (p *pool) close() {
	close(p.jobs)
	p.wg.Wait()
}

func (j *job) help() {
	j.work()
	if j.pending.Add(-1) == 0 {
		j.done <- struct{}{}
	}
}

func (j *job) work() {
	defer func() {
		if r := recover(); r != nil {
			j.failed.CompareAndSwap(nil, &r)
			j.next.Store(int64(j.n))
		}
	}()
	for {
		hi := int(j.next.Add(int64(j.size)))
		lo := hi - j.size
		if lo >= j.n {
			return
		}
		j.fn(j.step, lo, min(hi, j.n))
	}
}

// run calls fn for all positions 0..n in chunks of size, on this goroutine and
// on helpers, and returns when all are done. A panic of fn is raised again
// here. fn must be a plain function: closures would allocate.
func (p *pool) run(j *job, s *step, n, size int, fn func(s *step, lo, hi int)) {
	chunks := (n + size - 1) / max(size, 1)
	if chunks <= 1 || p.helpers == 0 {
		if n > 0 {
			fn(s, 0, n)
		}
		return
	}
	j.fn, j.step, j.n, j.size = fn, s, n, size
	j.next.Store(0)
	// One more than the helpers asked, so that done comes only after this
	// goroutine has let go too.
	want := min(p.helpers, chunks-1)
	j.pending.Store(int32(want) + 1)
	for i := range want {
		select {
		case p.jobs <- j:
		default: // all helpers are busy and the queue is full
			j.pending.Add(int32(i - want))
			want = i
		}
		if want == i {
			break
		}
	}
	j.work()
	if j.pending.Add(-1) == 0 {
		j.finish()
		return
	}
	for {
		select {
		case <-j.done:
			j.finish()
			return
		case other := <-p.jobs:
			other.help()
		}
	}
}

func (j *job) finish() {
	j.step = nil
	if f := j.failed.Swap(nil); f != nil {
		panic(*f)
	}
}
