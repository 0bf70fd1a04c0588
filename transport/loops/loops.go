// Package loops contains the logic of a loop ([transport.Loop]), for
// implementers of executors: the inputs of the next run, and when every
// sequence has ended. The executor in this process and the worker both use it.
//
//	state := loops.Start(&loop, bindings, inputs)
//	err := state.Drive(nil, func() ([]byte, time.Duration, error) {
//		return run(state.Bindings, state.Inputs)
//	}, deliver)
package loops

import (
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/genie-sdk/go/transport"
)

// State goes through a loop. It does no I/O.
type State struct {
	loop     *transport.Loop
	Bindings []int    // of the next run
	Inputs   [][]byte // of the next run; nil where a handle is
	done     []bool
	runs     int
}

// Start begins a loop, which [transport.Loop.Check] has held against its plan, with
// what its first run gets. Bindings and inputs are the state's from then on.
func Start(l *transport.Loop, bindings []int, inputs [][]byte) *State {
	return &State{loop: l, Bindings: bindings, Inputs: inputs, done: make([]bool, len(l.Limits))}
}

// Going is the number of sequences that have not ended.
func (s *State) Going() (n int) {
	for _, done := range s.done {
		if !done {
			n++
		}
	}
	return n
}

// Next takes the tokens of a run and prepares the next one. It returns false
// when every sequence has ended.
func (s *State) Next(tokens []byte) (more bool, err error) {
	l := s.loop
	if len(tokens) != 4*len(s.done) {
		return false, fmt.Errorf("%w: tokens of %d bytes for %d sequences", transport.ErrShape, len(tokens), len(s.done))
	}
	s.runs++
	for i := range s.done {
		t := int32(binary.LittleEndian.Uint32(tokens[4*i:]))
		s.done[i] = s.done[i] || s.runs >= l.Limits[i] || slices.Contains(l.Stop, t)
	}
	if !slices.Contains(s.done, false) {
		return false, nil
	}
	for i, n := range l.Grow {
		s.Bindings[i] += n
	}
	for i, in := range l.Inputs {
		switch in.Kind {
		case transport.LoopToken:
			if err := s.give(i, tokens); err != nil {
				return false, err
			}
		case transport.LoopCount:
			count(s.Inputs[i], in.Max)
		case transport.LoopSame:
		}
	}
	return true, nil
}

func count(b []byte, limit int64) {
	for ; len(b) >= 4; b = b[4:] {
		n := int64(int32(binary.LittleEndian.Uint32(b)))
		binary.LittleEndian.PutUint32(b, uint32(int32(min(n+1, max(limit, n)))))
	}
}

// Run makes the next run of a loop, or its opening, and gives its tokens and the time
// that it took.
type Run func() (tokens []byte, elapsed time.Duration, err error)

// Drive makes the runs of a loop until every sequence has ended: first the
// opening, which may be nil, then runs. It passes the tokens of every run to
// each; more reports whether another run follows.
func (s *State) Drive(opening, run Run, each func(tokens []byte, elapsed time.Duration, more bool) error) error {
	more := true
	if opening != nil {
		var err error
		if more, err = s.drive(opening, s.Open, each); err != nil {
			return err
		}
	}
	for more {
		var err error
		if more, err = s.drive(run, s.Next, each); err != nil {
			return err
		}
	}
	return nil
}

func (s *State) drive(run Run, take func(tokens []byte) (bool, error), each func(tokens []byte, elapsed time.Duration, more bool) error) (more bool, err error) {
	tokens, elapsed, err := run()
	if err != nil {
		return false, err
	}
	if more, err = take(tokens); err != nil {
		return false, err
	}
	return more, each(tokens, elapsed, more)
}

// Open takes the tokens of the run before the loop, which does not count as a
// run of the loop. It returns false when they end every sequence.
func (s *State) Open(tokens []byte) (more bool, err error) {
	if len(tokens) != 4*len(s.done) {
		return false, fmt.Errorf("%w: an opening with tokens of %d bytes for %d sequences", transport.ErrShape, len(tokens), len(s.done))
	}
	for i := range s.done {
		t := int32(binary.LittleEndian.Uint32(tokens[4*i:]))
		s.done[i] = slices.Contains(s.loop.Stop, t)
	}
	for i, in := range s.loop.Inputs {
		if in.Kind != transport.LoopToken {
			continue
		}
		if err := s.give(i, tokens); err != nil {
			return false, err
		}
	}
	return slices.Contains(s.done, false), nil
}

// give makes tokens the value of input i.
func (s *State) give(i int, tokens []byte) error {
	if len(s.Inputs[i]) != len(tokens) {
		return fmt.Errorf("%w: input %d has %d bytes, the tokens %d", transport.ErrShape, i, len(s.Inputs[i]), len(tokens))
	}
	copy(s.Inputs[i], tokens)
	return nil
}
