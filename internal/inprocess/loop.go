package inprocess

import (
	"context"
	"slices"
	"time"

	"github.com/genie-sdk/go/internal/host"
	"github.com/genie-sdk/go/internal/memory"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/loops"
)

// RunLoop implements [transport.Looper].
func (s *session) RunLoop(ctx context.Context, call transport.Call, loop transport.Loop, each func(tokens []byte, elapsed time.Duration) error) error {
	return s.loop(ctx, nil, call, loop, each)
}

// OpenLoop implements [transport.LoopOpener].
func (s *session) OpenLoop(ctx context.Context, open transport.Opening, call transport.Call, loop transport.Loop, each func(tokens []byte, elapsed time.Duration) error) error {
	ref, err := s.planOf(open.Call.Plan)
	if err != nil {
		return err
	}
	if err := open.Check(ref.program.Plan()); err != nil {
		return err
	}
	return s.loop(ctx, &open, call, loop, each)
}

func (s *session) loop(ctx context.Context, open *transport.Opening, call transport.Call, loop transport.Loop, each func(tokens []byte, elapsed time.Duration) error) error {
	ref, err := s.planOf(call.Plan)
	if err != nil {
		return err
	}
	if err := loop.Check(ref.program.Plan(), call.Bindings); err != nil {
		return err
	}
	if ctx, err = s.enter(ctx); err != nil {
		return err
	}
	defer s.leave()
	call.Inputs = slices.Clone(call.Inputs)
	inputs := make([][]byte, len(call.Inputs))
	for i, in := range call.Inputs {
		inputs[i] = make([]byte, len(in.Data)) // the loop writes to them
		if _, err := memory.CopyView(inputs[i], in.Data); err != nil {
			return host.FileError(in.File, err)
		}
		call.Inputs[i].Data, call.Inputs[i].File = inputs[i], ""
	}
	call.Bindings = slices.Clone(call.Bindings)
	state := loops.Start(&loop, call.Bindings, inputs)
	ended := false
	defer func() { s.unknown = s.unknown || !ended }()
	var opening loops.Run
	if open != nil {
		opening = func() ([]byte, time.Duration, error) { return s.open(ctx, open) }
	}
	err = state.Drive(opening, func() ([]byte, time.Duration, error) {
		return s.loopRun(ctx, ref, call, loop.Token)
	}, func(tokens []byte, elapsed time.Duration, _ bool) error { return each(tokens, elapsed) })
	if err != nil {
		return err
	}
	ended = true
	return nil
}

// open makes the run before a loop.
func (s *session) open(ctx context.Context, o *transport.Opening) ([]byte, time.Duration, error) {
	if o.Reset {
		s.es.Reset()
		s.unknown = false
	}
	ref, err := s.planOf(o.Call.Plan)
	if err != nil {
		return nil, 0, err
	}
	return s.loopRun(ctx, ref, o.Call, o.Token)
}

// loopRun is one run of a loop, whose tokens it copies.
func (s *session) loopRun(ctx context.Context, ref *planRef, call transport.Call, token int) ([]byte, time.Duration, error) {
	c, err := s.start(ctx, ref, call)
	if err != nil {
		return nil, 0, err
	}
	tokens, elapsed := host.Tokens(c, token)
	return tokens, elapsed, nil
}
