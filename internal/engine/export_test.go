package engine

import (
	"maps"
	"slices"
	"time"
)

// Branches lists the sizes of a program's branches and of the rest, in groups.
func Branches(p *Program) []int {
	if len(p.Lanes) == 0 {
		return nil
	}
	out := []int{}
	for _, l := range p.Lanes {
		out = append(out, l.To-l.From)
	}
	return append(out, len(p.Groups)-p.Lanes[len(p.Lanes)-1].To)
}

// NewReference makes an engine that runs every step of a plan separately, with
// its reference if plain is true and with the kernels otherwise.
func NewReference(opts Options, plain bool) (*Engine, error) {
	opts.separate, opts.plain = true, plain
	return New(opts)
}

// HoldBatches acts as if a batch of p were running: its calls wait until
// release, and then run in batches. waiting is the number of waiting calls.
func HoldBatches(p *Program) (waiting func() int, release func()) {
	r := p.batching.batcher
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.busy {
		panic("a batch is running")
	}
	r.busy = true
	waiting = func() int {
		r.mu.Lock()
		defer r.mu.Unlock()
		return len(r.waiting)
	}
	release = func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.pass()
	}
	return waiting, release
}

// Joint lists the groups of a program that are products of all calls of a
// batch, and the number of all groups.
func Joint(p *Program) (joint []int, groups int) {
	for i, is := range p.batching.joint {
		if is {
			joint = append(joint, i)
		}
	}
	return joint, len(p.Groups)
}

// BreakGroup makes a group of a session's program panic when it runs, until
// mend.
func BreakGroup(s *Session, p *Program, group int) (mend func()) {
	return s.bound[p].run.(interface{ Break(i int) func() }).Break(group)
}

// PlantPanic makes an engine panic at a place, once.
func PlantPanic(e *Engine, at string) { e.opts.fault = (&panicking{at: at}).fault }

// StatePages is the number of pages of each state of a session, in the order of
// the states' names, and their positions.
func StatePages(s *Session, i int) (pages, rows int) {
	st := s.states[slices.Sorted(maps.Keys(s.states))[i]]
	return len(st.pages), st.capacity
}

// AlwaysPortions makes long runs of a program, and of those that compute the
// same, in portions of so many rows, whoever else runs; 0 ends that.
func AlwaysPortions(p *Program, rows int) {
	r := p.batching.batcher
	r.mu.Lock()
	defer r.mu.Unlock()
	r.always = rows
}

// Riding is the number of portions that wait for a batch.
func Riding(p *Program) int {
	r := p.batching.batcher
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.riding)
}

// Portions is the number of portions that an engine has run.
func Portions(e *Engine) int { return int(e.portions.Load()) }

// Divides reports whether runs of a program can be made in portions.
func Divides(p *Program) bool { return p.division != nil }

// StateContent is the valid positions of all states of a session, in the order of
// their names, in memory that the host can address.
func StateContent(s *Session) (out []byte) {
	for _, name := range slices.Sorted(maps.Keys(s.states)) {
		st := s.states[name]
		outer, inner := 1, st.dtype.Size()
		for i, n := range st.shape {
			switch {
			case i < st.axis:
				outer *= n
			case i > st.axis:
				inner *= n
			}
		}
		for o := range outer {
			for at := range st.shape[st.axis] {
				mem, err := s.on.device.Bytes(st.pages[at/st.capacity].mem, st.pages[at/st.capacity].size())
				if err != nil {
					panic(err)
				}
				out = append(out, mem[(o*st.capacity+at%st.capacity)*inner:][:inner]...)
			}
		}
	}
	return out
}

// Ride simulates batches of short calls with portions that wait for each, whose
// time is took, and returns the rows of portions of the last few.
func Ride(batches, short int, took func(short, long int) time.Duration) (rows []int, rests int) {
	var r ride
	now := time.Now()
	for range batches {
		long := 0
		if n := r.budget(); r.takes(short, 0, n) {
			long = n
		} else {
			rests++
		}
		d := took(short, long)
		now = now.Add(d)
		r.begin(short, long)
		r.end(now, d)
		rows = append(rows, long)
	}
	return rows[max(len(rows)-20, 0):], rests
}
