package engine

import (
	"fmt"

	"github.com/genie-sdk/go/internal/budget"
	"github.com/genie-sdk/go/internal/device"
	"github.com/genie-sdk/go/transport"
)

func (p *page) size() int { return p.mem.Len() }

// size is the memory of the state, in bytes.
func (st *state) size() int { return pagesSize(st.pages) }

func pagesSize(pages []*page) (n int) {
	for _, p := range pages {
		n += p.size()
	}
	return n
}

// room is the number of positions that the state has room for.
func (st *state) room() int { return st.capacity * max(len(st.pages), 1) }

// written is the first page that is written to when the state grows from its
// present positions.
func (st *state) written() int {
	if st.axis < 0 || st.capacity == 0 {
		return 0
	}
	return st.shape[st.axis] / st.capacity
}

// sharedFrom reports whether another session has one of the pages from the first on.
func (st *state) sharedFrom(first int) bool {
	for _, p := range st.pages[min(first, len(st.pages)):] {
		if p.refs.Load() > 1 {
			return true
		}
	}
	return false
}

// piece is page i in the device's form.
func (st *state) piece(i int) device.Piece {
	return device.Piece{Buffer: st.pages[i].mem, Positions: st.capacity}
}

// replacePages keeps the first pages of a state, drops the others and adds
// more, whose memory has been reserved.
func (s *Session) replacePages(st *state, keep int, more []*page) {
	gone := st.pages[keep:]
	s.budget.Give(max(int64(pagesSize(gone)-pagesSize(more)), 0)) // the rest has been taken
	for i, p := range gone {
		s.on.dropPage(p)
		gone[i] = nil
	}
	st.pages = append(st.pages[:keep], more...)
	st.version++
}

// dropPage drops one session's share of a page.
func (on *incarnation) dropPage(p *page) {
	if p.refs.Add(-1) == 0 {
		n := p.size()
		on.device.Free(device.UseState, p.mem)
		on.e.budget.Release(budget.State, int64(n))
	}
}

// ShareState gives s the carried state of another session of the engine, which
// keeps it. They share its memory: full pages stay shared, and a page that a
// later run of either writes to is copied first. It waits for the running calls
// of both; s must have no state. The error is [transport.ErrState],
// [transport.ErrClosed] or that of the budget of s.
func (s *Session) ShareState(from *Session) error {
	if err := from.on.enter(); err != nil {
		return err
	}
	defer from.on.leave()
	if s.on != from.on {
		return fmt.Errorf("%w: the device was lost between the two sessions", transport.ErrState)
	}
	list, err := from.shareStates()
	if err != nil {
		return err
	}
	taken := false
	defer func() {
		if !taken {
			for _, st := range list {
				for _, p := range st.pages {
					s.on.dropPage(p)
				}
			}
		}
	}()
	s.run.Lock()
	defer s.run.Unlock()
	taken, err = s.adopt(list)
	return err
}

// shareStates are copies of a session's states over the same pages.
func (s *Session) shareStates() ([]*state, error) {
	s.run.Lock()
	defer s.run.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(); err != nil {
		return nil, err
	}
	for _, st := range s.states {
		if st.lost {
			return nil, lostState(st.name)
		}
	}
	list := make([]*state, 0, len(s.states))
	for _, st := range s.states {
		own := &state{name: st.name, mode: st.mode, dtype: st.dtype, axis: st.axis, capacity: st.capacity}
		own.shape = append(own.dims[:0], st.shape...)
		for _, p := range st.pages {
			p.refs.Add(1)
			own.pages = append(own.pages, p)
		}
		list = append(list, own)
	}
	return list, nil
}

// adopt takes states over. The caller has the session's turn.
func (s *Session) adopt(list []*state) (taken bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(); err != nil {
		return false, err
	}
	if len(s.states) > 0 {
		return false, fmt.Errorf("%w: the session has carried state", transport.ErrState)
	}
	size := 0
	for _, st := range list {
		size += st.size()
	}
	if err := s.budget.Take(int64(size)); err != nil {
		return false, err
	}
	for _, st := range list {
		s.states[st.name] = st
	}
	s.resets++ // bindings look the states up again
	return true, nil
}

// sees reads where state i is stored, and reports whether its capacity has
// changed.
func (b *binding) sees(i int, st *state) bool {
	if b.states[i] != st || b.seen[i] != st.version {
		b.moved = true
		at := &b.place.States[i]
		at.Buffers, at.Rows = at.Buffers[:0], st.capacity
		for _, p := range st.pages {
			at.Buffers = append(at.Buffers, p.mem)
		}
	}
	b.states[i], b.seen[i] = st, st.version
	return b.bound.SetCapacity(i, st.capacity, len(st.pages))
}
