package worker

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/genie-sdk/go/internal/host"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/loops"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/transport/wire"
	"github.com/genie-sdk/go/transport/wire/wirepb"
)

// loop handles Loop: a run that the worker repeats.
func (st *stream) loop(h wire.Header, control []byte) (*task, error) {
	var m wirepb.Loop
	if err := decode(control, &m); err != nil {
		return nil, err
	}
	if m.GetRun() == nil || m.GetCredit() == 0 || m.GetCredit() > transport.MaxLoopRuns {
		return nil, fmt.Errorf("%w: a loop without a run, or with a credit of %d", transport.ErrProtocol, m.GetCredit())
	}
	l, err := loopOf(&m)
	if err != nil {
		return nil, err
	}
	rep := &repetition{loop: l, credit: make(chan int, 1)}
	rep.credit <- int(m.GetCredit())
	if err := rep.calls(st, h, &m, len(control)); err != nil {
		return nil, err
	}
	r, right := rep.call, false
	defer func() {
		if !right {
			r.free()
		}
	}()
	if err := l.Check(r.p.layout.Plan, r.bindings); err != nil {
		return nil, err
	}
	t := &task{session: r.s, call: r, free: r.free, seq: m.GetRun().GetSeq(), begun: func() bool { return rep.ran }}
	t.do = func(ctx context.Context) (answer, error) {
		err := rep.do(ctx, st)
		t.answered = err == nil
		return answer{}, err
	}
	st.repeat, right = rep, true
	return t, nil
}

func loopOf(m *wirepb.Loop) (*transport.Loop, error) {
	l := &transport.Loop{
		Inputs: make([]transport.LoopInput, len(m.GetInputs())), Grow: make([]int, len(m.GetGrow())),
		Limits: make([]int, len(m.GetLimits())), Stop: m.GetStop(),
	}
	if m.GetToken() > math.MaxInt16 {
		return nil, fmt.Errorf("%w: output %d", transport.ErrUnknownInput, m.GetToken())
	}
	l.Token = int(m.GetToken())
	for i, in := range m.GetInputs() {
		if in.GetKind() > math.MaxUint8 {
			return nil, fmt.Errorf("%w: input %d has the unknown kind %d", transport.ErrProtocol, i, in.GetKind())
		}
		l.Inputs[i] = transport.LoopInput{Kind: transport.LoopKind(in.GetKind()), Max: in.GetMax()}
	}
	for i, n := range m.GetGrow() {
		if n > transport.MaxLoopRuns {
			return nil, fmt.Errorf("%w: binding %d grows by %d", transport.ErrShape, i, n)
		}
		l.Grow[i] = int(n)
	}
	for i, n := range m.GetLimits() {
		l.Limits[i] = int(n)
	}
	return l, nil
}

// repetition is a running loop.
type repetition struct {
	opening *opening // nil for none
	call    *call
	loop    *transport.Loop
	credit  chan int // runs that may be answered; holds one number, or nothing for zero
	left    int      // rest of the number taken from it
	lags    bool     // the client has left the loop without credit
	ran     bool     // a run was done
}

// credit handles Credit.
func (c *conn) credit(st *stream, control []byte) error {
	var m wirepb.Credit
	if err := decode(control, &m); err != nil {
		return err
	}
	if st == nil || st.typ == wire.TypeLoop && st.repeat == nil { // the loop has ended, or was refused
		return nil
	}
	if st.repeat == nil || m.GetRuns() > transport.MaxLoopRuns {
		return fmt.Errorf("%w: %d runs of credit on stream %d", transport.ErrProtocol, m.GetRuns(), st.id)
	}
	st.repeat.add(int(m.GetRuns()))
	return nil
}

// add gives credit. Only the receiving goroutine calls it.
func (r *repetition) add(n int) {
	select {
	case have := <-r.credit:
		n = min(have+n, transport.MaxLoopRuns)
	default:
	}
	r.credit <- n
}

// spend waits for credit and takes one. If the loop had to wait, the client has
// unread runs when it gives more.
func (r *repetition) spend(ctx context.Context) error {
	for r.left == 0 {
		select {
		case r.left = <-r.credit:
			r.lags = false
			continue
		default:
		}
		select {
		case r.left = <-r.credit:
			r.lags = true
		case <-ctx.Done():
			return fmt.Errorf("genie: stopped while the client did not read: %w", context.Cause(ctx))
		}
	}
	r.left--
	return nil
}

// do makes runs until every sequence has ended. It sends the answers itself, so
// a client that does not read blocks only its own loop.
func (r *repetition) do(ctx context.Context, st *stream) error {
	defer r.call.ended()
	state := loops.Start(r.loop, r.call.bindings, r.call.inputs)
	out := newRunFrames(st, r.call.p.layout.Plan.Outputs[r.loop.Token].Cause)
	var opening loops.Run
	if r.opening != nil {
		opening = func() ([]byte, time.Duration, error) { return r.open(ctx) }
	}
	counted := func(run loops.Run) loops.Run {
		if run == nil {
			return nil
		}
		return func() ([]byte, time.Duration, error) {
			if err := r.spend(ctx); err != nil {
				return nil, 0, err
			}
			tokens, elapsed, err := run()
			if err == nil {
				r.ran = true
				st.looped(state.Going(), elapsed)
			}
			return tokens, elapsed, err
		}
	}
	var sent error
	err := state.Drive(counted(opening), counted(func() ([]byte, time.Duration, error) {
		return r.call.once(ctx, r.loop.Token)
	}), func(tokens []byte, elapsed time.Duration, more bool) error {
		if !more {
			r.call.ended()
		}
		sent = out.add(tokens, elapsed, more, r.lags && r.left > 0)
		return sent
	})
	if err != nil && sent == nil {
		return out.abort(ctx, err)
	}
	return err
}

// once runs the program and copies the tokens.
func (r *call) once(ctx context.Context, token int) ([]byte, time.Duration, error) {
	if err := ctx.Err(); err != nil {
		return nil, 0, fmt.Errorf("genie: stopped between two runs: %w", context.Cause(ctx))
	}
	for i, n := range r.bindings { // grown since the first run, which alone was bound to sizes when it came
		if n > plan.MaxDimSize {
			return nil, 0, fmt.Errorf("%w: %s has grown to %d", transport.ErrShape, r.p.layout.Symbols[i], n)
		}
	}
	if err := r.s.es.Await(ctx, r.handles...); err != nil {
		return nil, 0, err
	}
	ec, err := r.s.es.NewCall(ctx, r.p.program, r.bindings)
	if err != nil {
		return nil, 0, err
	}
	defer ec.Release()
	if err := r.feedAndRun(ctx, ec); err != nil {
		return nil, 0, err
	}
	tokens, elapsed := host.Tokens(ec, token)
	return tokens, elapsed, nil
}
