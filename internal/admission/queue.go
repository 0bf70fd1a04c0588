package admission

import (
	"sync"
	"time"
)

// The bounds of a hint, and the hint of a queue without measurements.
const (
	shortestHint   = time.Millisecond
	longestHint    = 30 * time.Second
	unmeasuredHint = 100 * time.Millisecond
)

// Queue bounds the waiting requests and estimates, from the time that requests
// take, when there will be room. It is safe for concurrent use.
type Queue struct {
	most int
	now  func() time.Time

	mu      sync.Mutex
	waiting int
	served  int           // requests being served
	mean    time.Duration // of the time that a request takes
	lines   map[string]*Line
}

// NewQueue makes a queue for up to most requests, or 1 when most is less. The
// clock is [time.Now] when now is nil.
func NewQueue(most int, now func() time.Time) *Queue {
	if now == nil {
		now = time.Now
	}
	return &Queue{most: max(most, 1), now: now, lines: map[string]*Line{}}
}

// Line is an owner's part of a queue. It must be closed.
type Line struct {
	q       *Queue
	name    string
	users   int
	waiting int // guarded by the queue's lock
}

// Line begins or shares the line of an owner. The owner "" does not share.
func (q *Queue) Line(owner string) *Line {
	q.mu.Lock()
	defer q.mu.Unlock()
	l := q.lines[owner]
	if l == nil {
		l = &Line{q: q, name: owner}
		if owner != "" {
			q.lines[owner] = l
		}
	}
	l.users++
	return l
}

// Close ends one use of a line.
func (l *Line) Close() {
	l.q.mu.Lock()
	defer l.q.mu.Unlock()
	if l.users--; l.users == 0 && l.name != "" {
		delete(l.q.lines, l.name)
	}
}

// Place is a request in a queue, until it ends. A nil Place stands for none.
type Place struct {
	l     *Line
	since time.Time // zero while it waits
}

// Join takes a place. An owner may have as many waiting requests as there are
// places left, so an owner with few waiting requests always finds room, however
// many the others have (dynamic thresholds: Choudhury, Hahne, IEEE/ACM
// Transactions on Networking 6(2), 1998). Without room the place is nil, and
// retry is an estimate of when there will be room.
func (l *Line) Join() (p *Place, retry time.Duration) {
	q := l.q
	q.mu.Lock()
	defer q.mu.Unlock()
	if l.waiting >= q.most-q.waiting {
		return nil, q.hint(q.waiting, q.served)
	}
	l.waiting++
	q.waiting++
	return &Place{l: l}, 0
}

// Begin ends the wait.
func (p *Place) Begin() {
	if p == nil {
		return
	}
	q := p.l.q
	q.mu.Lock()
	defer q.mu.Unlock()
	if p.since.IsZero() {
		q.waiting--
		p.l.waiting--
		q.served++
		p.since = q.now()
	}
}

// End frees the place, whether the request has begun or not. It is called once.
func (p *Place) End() {
	if p == nil {
		return
	}
	q := p.l.q
	q.mu.Lock()
	defer q.mu.Unlock()
	if p.since.IsZero() {
		q.waiting--
		p.l.waiting--
		return
	}
	q.served--
	took := q.now().Sub(p.since)
	if q.mean == 0 {
		q.mean = took
	} else {
		q.mean += (took - q.mean) / 8
	}
}

// Hint is when half of a line of requests, served one after the other, will be
// done.
func (q *Queue) Hint(waiting int) time.Duration {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.hint(waiting, 1)
}

// hint is the time in which half of the waiting requests will have begun, when
// served are done at once.
func (q *Queue) hint(waiting, served int) time.Duration {
	if q.mean == 0 {
		return unmeasuredHint
	}
	d := q.mean * time.Duration(waiting) / time.Duration(2*max(served, 1))
	return min(max(d, shortestHint), longestHint)
}

// Waiting is the number of waiting requests.
func (q *Queue) Waiting() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.waiting
}
