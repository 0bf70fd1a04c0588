package cuda

import (
	"github.com/genie-sdk/go/internal/device/cuda/kernels"
)

// Wait implements [device.Run].
func (r *run) Wait(n int) (at int, err error) {
	q := r.queue
	if q == nil {
		return n, nil
	}
	entered := r.d.enter()
	if entered == nil {
		defer r.d.leave()
	}
	defer func() {
		r.queue, r.st, r.ahead, r.timed = nil, nil, pacing{}, r.timed[:0]
		r.leaveShared()
		r.d.giveQueue(q)
	}()
	if entered != nil {
		return r.last(n), entered
	}
	if at, err = r.result(q, n); err != nil {
		_ = q.reset() // it fails with the context, and then the queue is not used again
	}
	return at, err
}

// last is the last of n groups: the one that an error is said of that may be of
// any of them.
func (r *run) last(n int) int { return max(min(n, len(r.groups))-1, 0) }

// result waits, and returns what has become of n groups.
func (r *run) result(q *queue, n int) (at int, err error) {
	if err := r.drain(q, n == len(r.groups)); err != nil {
		return r.last(n), err
	}
	if err := r.takeTimes(); err != nil {
		return r.last(n), err
	}
	if s := kernels.DecodeStatus(q.host.mem[:kernels.StatusBytes]); s.Code != kernels.StatusOK {
		return s.Group, s.Err()
	}
	r.takeFetched(q)
	return n, nil
}

// drain waits for everything that the run has queued, with copies of the status
// word and, if whole, of small outputs.
func (r *run) drain(q *queue, whole bool) error {
	err := r.d.check(r.st.CopyOut(q.host.mem[:kernels.StatusBytes], q.status))
	if err == nil && whole {
		err = r.fetch(q)
	}
	end := q.end.Synchronize
	if r.st.Record(q.end) != nil {
		end = r.st.Synchronize
	}
	if late := r.d.waited(end()); err == nil {
		err = late
	}
	return err
}

// fetched is a small output that Wait copies together with the status word, so
// that reading it takes no further wait.
type fetched struct {
	value  int
	queued int // bytes whose copy is queued
	data   []byte
	valid  bool
}

// fetchedMost is the size of an output that is fetched, at most, in bytes.
const fetchedMost = 1 << 10

// fetch queues copies of the small outputs.
func (r *run) fetch(q *queue) error {
	at := outputsFrom
	for i := range r.fetched {
		f := &r.fetched[i]
		n := r.bound.Bytes(f.value)
		if f.queued = 0; n == 0 || n > fetchedMost || at+n > uploadsFrom || !r.bound.Contiguous(f.value) {
			continue
		}
		if err := r.d.check(r.st.CopyOut(q.host.mem[at:at+n], r.tensors[f.value].At)); err != nil {
			return err
		}
		f.queued = n
		at += (n + 7) &^ 7
	}
	return nil
}

// takeFetched takes them out of the page-locked memory, which goes to another
// run.
func (r *run) takeFetched(q *queue) {
	at := outputsFrom
	for i := range r.fetched {
		if f := &r.fetched[i]; f.queued > 0 {
			f.data = append(f.data[:0], q.host.mem[at:at+f.queued]...)
			at += (f.queued + 7) &^ 7
			f.queued, f.valid = 0, true
		}
	}
}
