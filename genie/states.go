package genie

import (
	"fmt"
	"iter"
	"slices"
	"weak"

	"github.com/genie-sdk/go/semantic"
)

// carried is what a program carries from run to run, as far as the client knows.
type carried struct {
	pairs   []string // the carried inputs, as text: what programs that share it agree in
	ran     bool
	next    []int    // sizes that carried values give the next run, as program.next
	data    [][]byte // by carry: the value, when it comes and goes with the run
	shape   [][]int  // by carry: its shape, with data
	gone    error    // why the carried values are gone
	byValue bool     // some carried value comes and goes with the runs
}

func newCarried(p *program) *carried {
	n := len(p.carries)
	c := &carried{pairs: p.pairs(), next: make([]int, len(p.next)), data: make([][]byte, n), shape: make([][]int, n)}
	return c
}

// pairs describes the carried inputs, and of which symbols they say the size.
func (p *program) pairs() []string {
	var out []string
	for _, in := range p.carries {
		out = append(out, fmt.Sprintf("%s %v", in.t.Name(), in.t.Spec()))
	}
	for _, n := range p.next {
		out = append(out, p.symbols[n.symbol])
	}
	return out
}

// reset clears the carried values.
func (c *carried) reset() {
	c.ran, c.byValue, c.gone = false, false, nil
	clear(c.data)
	clear(c.shape)
}

// forget forgets the carried values and their names.
func (l *loop) forget() {
	l.reset()
	l.state = ""
}

// states are the names of a session's carried state. They are assigned again
// after a Reset, in the order in which programs run: the first graph of a
// structure has the same name in every session, so that sessions and processes
// make the same plan of it, which an executor compiles once.
type states struct {
	ran    bool                // the executor may have state
	of     map[string]int      // graphs that were given a name, by that of the first
	shared map[string]*carried // by name given by the caller
	count  int
	loops  []weak.Pointer[loop] // those with names
}

// all are the loops that carry something and whose graphs are still there.
func (t *states) all() iter.Seq[*loop] {
	return func(yield func(*loop) bool) {
		for _, w := range t.loops {
			if l := w.Value(); l != nil && !yield(l) {
				return
			}
		}
	}
}

// named notes that a loop has got its names.
func (t *states) named(l *loop, state string) {
	l.state = state
	if len(t.loops) >= 2*maxStates { // of recaptured programs that share a state
		t.loops = slices.DeleteFunc(t.loops, func(w weak.Pointer[loop]) bool { return w.Value() == nil })
	}
	t.loops = append(t.loops, weak.Make(l))
}

// claim gives a loop the names of its states, and what it carries where that is
// shared.
func (t *states) claim(l *loop) error {
	if l.state != "" || len(l.p.carries) == 0 {
		return nil
	}
	name, shared := semantic.StateOf(l.p.graph), l.p.graph.SharedState() != ""
	if have := t.shared[name]; have != nil {
		if !slices.Equal(have.pairs, l.p.pairs()) {
			return fmt.Errorf("%w: %q shares the state %q, but carries other values: %q, the state has %q",
				ErrCapture, l.p.graph.Name(), l.p.graph.SharedState(), l.p.pairs(), have.pairs)
		}
		l.carried = have
		t.named(l, name)
		return nil
	}
	if t.count >= maxStates {
		return fmt.Errorf("%w: the session carries values of %d programs; Reset forgets them", ErrLimit, t.count)
	}
	t.count++
	if shared {
		if t.shared == nil {
			t.shared = map[string]*carried{}
		}
		t.shared[name] = l.carried
		t.named(l, name)
		return nil
	}
	if t.of == nil {
		t.of = map[string]int{}
	}
	t.of[name]++
	if n := t.of[name]; n > 1 {
		name = fmt.Sprintf("%s.%d", name, n)
	}
	t.named(l, name)
	return nil
}

// replaced says that a program has grown: l goes where old was.
func (t *states) replaced(old, l *loop) {
	if l.state != "" {
		t.named(l, l.state)
	}
	if have := t.shared[old.state]; have == nil || have == l.carried {
		return
	}
	t.shared[old.state] = l.carried
	if l.gone != nil {
		old.gone = l.gone
	}
}

// forget starts again without state.
func (t *states) forget() {
	for l := range t.all() {
		l.forget()
	}
	*t = states{}
}

// runs records that a run is about to start, whatever its outcome.
func (s *Session) runs(l *loop) {
	s.fresh = false
	s.states.ran = s.states.ran || len(l.p.carries) > 0
}
