package cluster

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/loops"
)

// RunLoop implements [transport.Looper].
func (s *session) RunLoop(ctx context.Context, call transport.Call, loop transport.Loop, each func(tokens []byte, elapsed time.Duration) error) (err error) {
	defer s.endedBy(&err)
	ref, err := s.planOf(call.Plan)
	if err != nil {
		return err
	}
	if k, ok := ref.alone(); ok {
		if on, err := s.member(ctx, k); err != nil {
			return err
		} else if looper, ok := on.(transport.Looper); ok {
			return s.passLoop(ctx, k, ref, call, func(call transport.Call) error {
				return looper.RunLoop(ctx, call, loop, each)
			})
		}
	}
	return s.loop(ctx, nil, ref, call, loop, each)
}

// OpenLoop implements [transport.LoopOpener].
func (s *session) OpenLoop(ctx context.Context, open transport.Opening, call transport.Call, loop transport.Loop, each func(tokens []byte, elapsed time.Duration) error) (err error) {
	defer s.endedBy(&err)
	first, err := s.planOf(open.Call.Plan)
	if err != nil {
		return err
	}
	ref, err := s.planOf(call.Plan)
	if err != nil {
		return err
	}
	if err := open.Check(first.split.Whole); err != nil {
		return err
	}
	k, ok := ref.alone()
	if before, also := first.alone(); ok && also && before == k && s.only(k) {
		if on, err := s.member(ctx, k); err != nil {
			return err
		} else if opener, ok := on.(transport.LoopOpener); ok {
			return s.passLoop(ctx, k, ref, call, func(call transport.Call) error {
				var err error
				if open.Call, err = s.own(ctx, k, first, open.Call); err != nil {
					return err
				}
				return opener.OpenLoop(ctx, open, call, loop, each)
			})
		}
	}
	return s.loop(ctx, &open, ref, call, loop, each)
}

// only reports whether member k is the only one that the session uses: its Reset
// is then the session's.
func (s *session) only(k int) bool {
	for i := range s.on {
		if i != k && s.on[i].opened.Load() != nil {
			return false
		}
	}
	return true
}

// passLoop passes a loop through to the member that does all of it.
func (s *session) passLoop(ctx context.Context, k int, ref *planRef, call transport.Call, loop func(transport.Call) error) error {
	if err := s.enterReady(ctx); err != nil {
		return err
	}
	defer s.leave(some)
	call, err := s.own(ctx, k, ref, call)
	if err != nil {
		return err
	}
	return s.x.failed(k, loop(call))
}

// loop makes the runs of a loop.
func (s *session) loop(ctx context.Context, open *transport.Opening, ref *planRef, call transport.Call, loop transport.Loop, each func(tokens []byte, elapsed time.Duration) error) error {
	if err := loop.Check(ref.split.Whole, call.Bindings); err != nil {
		return err
	}
	if err := s.enter(ctx, whole); err != nil {
		return err
	}
	defer s.leave(whole)
	if open == nil {
		if err := s.ready(ctx); err != nil {
			return err
		}
	}
	call.Inputs = slices.Clone(call.Inputs)
	inputs := make([][]byte, len(call.Inputs))
	for i := range call.Inputs {
		in := transport.Weight{Data: call.Inputs[i].Data, File: call.Inputs[i].File}
		inputs[i] = make([]byte, len(in.Data)) // the loop writes to them
		if _, err := in.CopyTo(inputs[i], 0); err != nil {
			return err
		}
		call.Inputs[i].Data, call.Inputs[i].File = inputs[i], ""
	}
	call.Bindings = slices.Clone(call.Bindings)
	state := loops.Start(&loop, call.Bindings, inputs)
	ended := false
	defer func() { s.carried.undefined = s.carried.undefined || !ended }()
	var opening loops.Run
	if open != nil {
		opening = func() ([]byte, time.Duration, error) { return s.open(ctx, open) }
	}
	err := state.Drive(opening, func() ([]byte, time.Duration, error) {
		return s.tokens(ctx, ref, call, loop.Token)
	}, func(tokens []byte, elapsed time.Duration, _ bool) error {
		select {
		case <-s.ended:
			return closedError()
		default:
		}
		return each(tokens, elapsed)
	})
	if err != nil {
		return err
	}
	ended = true
	return nil
}

// open makes the run before a loop.
func (s *session) open(ctx context.Context, o *transport.Opening) ([]byte, time.Duration, error) {
	if o.Reset {
		if err := s.reset(ctx); err != nil {
			return nil, 0, err
		}
	}
	ref, err := s.planOf(o.Call.Plan)
	if err != nil {
		return nil, 0, err
	}
	return s.tokens(ctx, ref, o.Call, o.Token)
}

// tokens is one run of a loop.
func (s *session) tokens(ctx context.Context, ref *planRef, call transport.Call, token int) ([]byte, time.Duration, error) {
	select {
	case <-s.ended:
		return nil, 0, closedError()
	default:
	}
	if ctx.Err() != nil {
		return nil, 0, fmt.Errorf("cluster session: %w", ctxError(ctx))
	}
	var res transport.Result
	var err error
	if k, ok := ref.alone(); ok {
		if err = s.ready(ctx); err == nil {
			res, err = s.passed(ctx, k, ref, call)
		}
	} else {
		res, err = s.run(ctx, ref, call)
	}
	if err != nil {
		return nil, 0, err
	}
	return res.Outputs[token].Tensor.Data, res.Elapsed, nil
}
