package simulation

import (
	"sort"

	"github.com/genie-sdk/go/fleet/route"
)

// worker is one worker.
type worker struct {
	number   int32
	kind     *workerKind
	id       string // of this life
	life     uint32
	up       bool
	draining bool
	absent   float64 // seconds after a drain

	used, idle int64 // bytes in all; of these, of entries without users
	held       map[uint64]int32
	recent     int32 // entries without users, by last use
	oldest     int32
	linkFree   int64 // when its link can move the next state
	prefixes   *route.Filter
	filterAt   int64 // when it is made again

	queue     [route.Classes]fifo
	admitted  uint32  // requests, for the turn of the last class
	prompting int32   // the session whose prompt is computed, or none
	chunk     int32   // rows of the step under way, 0 without a prompt
	slots     []slot  // running sequences by model
	count     int     // running sequences
	steps     int64   // decode steps since the beginning
	epoch     uint32  // of the step under way
	busy      bool    // a step is under way
	since     int64   // its begin
	ahead     int64   // decode steps until it ends
	step      float64 // nanoseconds of the first decode step
	growth    float64 // nanoseconds by which each step is longer than the one before
}

// slot is the running sequences of one model.
type slot struct {
	running []running
	rows    int64 // of their caches, without the prefix's being shared
}

// running is a sequence that generates.
type running struct {
	session int32
	last    int64 // the step of its last token
}

// interrupt lets a worker look at its queue: at once when it is idle, and when the
// decode step under way is over.
func (f *fleet) interrupt(w *worker) {
	if !w.busy {
		f.plan(w)
		return
	}
	if w.ahead <= 1 {
		return
	}
	past := f.now - w.since
	n := 1 + int64(sort.Search(int(w.ahead-1), func(i int) bool { return w.lasts(int64(i)+1) >= past }))
	if n < w.ahead {
		w.ahead = n
		f.ends(w, w.since+w.lasts(n))
	}
}

// lasts is the time of n decode steps, whose caches grow.
func (w *worker) lasts(n int64) int64 {
	x := float64(n)
	return int64(min(x*w.step+w.growth*x*(x-1)/2, float64(longest)))
}

func (f *fleet) ends(w *worker, at int64) {
	w.epoch++
	f.events.push(max(at, f.now), stepEnds, w.number, w.epoch)
}

// plan begins the next step: a chunk of a prompt and a token of each running
// sequence, or decode steps until a sequence ends.
func (f *fleet) plan(w *worker) {
	w.busy, w.chunk = false, 0
	if w.prompting == none {
		f.startNext(w)
	}
	w.step, w.growth = w.decode()
	if id := w.prompting; id != none {
		s := &f.session[id]
		w.chunk = min(s.rows, int32(w.kind.Chunk))
		w.step += 1e9 * w.times(s).Prefill(int(w.chunk), int(s.cached))
		w.ahead = 1
	} else if w.ahead = w.soonest(); w.ahead == 0 {
		return
	}
	w.busy, w.since = true, f.now
	f.ends(w, f.now+w.lasts(w.ahead))
}

func (w *worker) times(s *session) Times { return w.kind.times[w.kind.slot[s.group.model.number]] }

// decode is the time of one token of all running sequences, and by how much the
// next one takes longer.
func (w *worker) decode() (step, growth float64) {
	for i := range w.slots {
		n := len(w.slots[i].running)
		if n == 0 {
			continue
		}
		t, mean := w.kind.times[i], int(w.slots[i].rows)/n
		row := t.Row(mean)
		step += 1e9 * (t.Decode(n) + float64(n)*row)
		growth += 1e9 * float64(n) * (t.Row(mean+16) - row) / 16
	}
	return step, max(growth, 0)
}

// soonest is the number of decode steps until a sequence ends, 0 without any.
func (w *worker) soonest() int64 {
	least := int64(0)
	for i := range w.slots {
		for _, r := range w.slots[i].running {
			if n := r.last - w.steps; least == 0 || n < least {
				least = n
			}
		}
	}
	return least
}

// startNext starts the next request whose state has room.
func (f *fleet) startNext(w *worker) {
	for w.count < w.kind.MaxBatch {
		c := w.turn()
		if c < 0 {
			return
		}
		id := w.queue[c].first()
		if !f.admit(w, id) {
			if w.count > 0 || w.used-w.idle > w.weights(f) {
				return // later
			}
			w.queue[c].pop()
			s := &f.session[id]
			s.worker = none
			f.refuse(id) // it never fits
			continue
		}
		w.queue[c].pop()
		w.admitted++
		w.prompting = id
		return
	}
}

// turn is the class whose request is next, or -1.
func (w *worker) turn() int {
	classes := len(w.queue)
	for i := range classes {
		c := i
		if w.admitted%8 == 7 {
			c = classes - 1 - i
		}
		if w.queue[c].len() > 0 {
			return c
		}
	}
	return -1
}

func (w *worker) weights(f *fleet) int64 {
	n := int64(0)
	for _, m := range w.kind.models {
		n += f.models[m].weights
	}
	return n
}

// stepped ends a step.
func (f *fleet) stepped(w *worker) {
	f.stats.busy += f.now - w.since
	n := w.ahead
	if w.count > 0 {
		w.steps += n
	}
	for i := range w.slots {
		slot := &w.slots[i]
		slot.rows += n * int64(len(slot.running))
		f.stats.tokens += n * int64(len(slot.running))
		for k := 0; k < len(slot.running); k++ {
			r := slot.running[k]
			if r.last > w.steps {
				continue
			}
			last := len(slot.running) - 1
			slot.running[k] = slot.running[last]
			slot.running = slot.running[:last]
			k--
			w.count--
			s := &f.session[r.session]
			slot.rows -= int64(s.tokens() + s.output)
			f.finish(r.session, w)
		}
	}
	if w.prompting != none {
		f.prompted(w)
	}
	f.plan(w)
}

// prompted ends a chunk of a prompt. With the last one the first token is there.
func (f *fleet) prompted(w *worker) {
	id := w.prompting
	s := &f.session[id]
	s.rows -= w.chunk
	s.cached += w.chunk
	f.stats.computed += int64(w.chunk)
	if s.rows > 0 {
		return
	}
	w.prompting = none
	f.stats.tokens++
	f.stats.firstToken(s, f.now+w.kind.delay)
	if s.output <= 1 {
		f.finish(id, w)
		return
	}
	slot := &w.slots[w.kind.slot[s.group.model.number]]
	slot.running = append(slot.running, running{id, w.steps + int64(s.output) - 1})
	slot.rows += int64(s.tokens()) + 1
	w.count++
}

// fifo is a queue of sessions.
type fifo struct {
	list []int32
	head int
}

func (q *fifo) len() int { return len(q.list) - q.head }

func (q *fifo) first() int32 { return q.list[q.head] }

func (q *fifo) push(id int32) {
	if q.head > 32 && q.head > len(q.list)/2 {
		q.list = append(q.list[:0], q.list[q.head:]...)
		q.head = 0
	}
	q.list = append(q.list, id)
}

func (q *fifo) pop() { q.head++ }
