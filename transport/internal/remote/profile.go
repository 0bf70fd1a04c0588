package remote

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/transport/wire"
	"github.com/genie-sdk/go/transport/wire/wirepb"
)

// profiles notes that a run of a plan is profiled. The plan stays in memory while
// the session is open, since the worker's profile names its steps by number.
func (s *session) profiles(ref *planRef) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.profiled == nil {
		s.profiled = map[uint32]*plan.Plan{}
	}
	s.profiled[ref.num] = ref.layout.Plan
}

// addProfiles asks the worker for the profiles of the open sessions. A session
// that ends meanwhile has none.
func (x *Executor) addProfiles(ctx context.Context, st *transport.Stats) error {
	for _, s := range x.openSessions() {
		for num, p := range s.profiledPlans() {
			m := wirepb.Stats{}
			err := s.call(ctx, &request{
				typ: wire.TypeStats, order: s.order, answer: &m,
				control: &wirepb.Stats{AskProfile: true, Session: s.num, Plan: num},
			})
			switch {
			case errors.Is(err, transport.ErrClosed), errors.Is(err, transport.ErrSessionLost):
				continue
			case err != nil:
				return err
			case m.GetProfile() == nil: // each of its runs was refused, or the worker profiles nothing
				continue
			}
			profile, err := wire.ProfileFrom(m.GetProfile(), p)
			if err != nil {
				return x.describe("statistics", err)
			}
			st.AddProfiles(*profile)
		}
	}
	return nil
}

func (x *Executor) describe(doing string, err error) error { return Describe(doing, x.cfg.Addr, err) }

// openSessions lists the open sessions, in the order in which they were opened.
func (x *Executor) openSessions() []*session {
	x.mu.Lock()
	defer x.mu.Unlock()
	return slices.SortedFunc(maps.Keys(x.sessions), func(a, b *session) int { return int(a.num) - int(b.num) })
}

func (s *session) profiledPlans() map[uint32]*plan.Plan {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.profiled)
}
