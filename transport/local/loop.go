package local

import (
	"context"
	"slices"
	"time"

	"github.com/genie-sdk/go/transport"
)

// RunLoop implements [transport.Looper].
func (s *session) RunLoop(ctx context.Context, call transport.Call, loop transport.Loop, each func(tokens []byte, elapsed time.Duration) error) error {
	ref, err := s.planOf(call.Plan)
	if err != nil {
		return err
	}
	if err := loop.Check(ref.program.Plan(), call.Bindings); err != nil {
		return err
	}
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave()
	call.Inputs = slices.Clone(call.Inputs)
	inputs := make([][]byte, len(call.Inputs))
	for i, in := range call.Inputs {
		inputs[i] = slices.Clone(in.Data) // the loop writes to them
		call.Inputs[i].Data = inputs[i]
	}
	call.Bindings = slices.Clone(call.Bindings)
	state := loop.Start(call.Bindings, inputs)
	ended := false
	defer func() { s.unknown = s.unknown || !ended }()
	for more := true; more; {
		tokens, elapsed, err := s.loopRun(ctx, ref, call, loop.Token)
		if err != nil {
			return err
		}
		if more, err = state.Next(tokens); err != nil {
			return err
		}
		if err := each(tokens, elapsed); err != nil {
			return err
		}
	}
	ended = true
	return nil
}

// loopRun is one run of a loop, whose tokens it copies.
func (s *session) loopRun(ctx context.Context, ref *planRef, call transport.Call, token int) ([]byte, time.Duration, error) {
	c, err := s.start(ctx, ref, call)
	if err != nil {
		return nil, 0, err
	}
	defer c.Release()
	t, _ := c.Output(token)
	return slices.Clone(t.Data), c.Elapsed(), nil
}
