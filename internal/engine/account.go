package engine

import (
	"github.com/genie-sdk/go/transport/plan"
)

// Account bounds the memory of one tenant's sessions. It is safe for concurrent
// use.
type Account interface {
	// Take counts n bytes before they are taken, or refuses them.
	Take(n int64) error
	// Give counts n bytes that have been given back.
	Give(n int64)
}

// unbounded is the account of a session that has no other.
type unbounded struct{}

func (unbounded) Take(int64) error { return nil }
func (unbounded) Give(int64)       {}

// Charge makes the session take its memory, carried state and kept values, from
// an account. It must be called before the session's first call.
func (s *Session) Charge(a Account) { s.account = a }

// newMem is memory of n bytes for a state; resize makes it the state's.
func (s *Session) newMem(n int) ([]byte, error) {
	if err := s.account.Take(int64(n)); err != nil {
		return nil, err
	}
	mem, err := s.e.allocState(n)
	if err != nil {
		s.account.Give(int64(n))
		return nil, err
	}
	return mem, nil
}

// dropMem gives memory back that newMem took and that is no state's.
func (s *Session) dropMem(mem []byte) {
	s.account.Give(int64(len(mem)))
	s.e.stateMem.Free(mem)
}

// keptBytes is the size of the outputs that a finished run keeps.
func (c *Call) keptBytes() (n int64) {
	for _, o := range c.b.prog.plan.Outputs {
		if o.Place == plan.Keep {
			a := &c.b.arrays[o.Value]
			n += int64(a.Len() * a.DType.Size())
		}
	}
	return n
}

// room takes the memory that the run's effects will need, so that they happen
// all or not at all. Where no state gets larger, states is nil.
func (c *Call) room() (states [][]byte, err error) {
	b, p := c.b, c.b.prog.plan
	for i := range p.States {
		d, st := &p.States[i], b.states[i]
		if d.Mode != plan.StateReplace {
			continue
		}
		a := &b.arrays[d.Out]
		if n := a.Len() * a.DType.Size(); n > len(st.mem) {
			if states == nil {
				states = make([][]byte, len(p.States))
			}
			if states[i], err = c.s.newMem(n); err != nil {
				break
			}
		}
	}
	if err == nil {
		err = c.s.account.Take(c.keptBytes())
	}
	if err != nil {
		for _, mem := range states {
			c.s.dropMem(mem)
		}
		return nil, err
	}
	return states, nil
}
