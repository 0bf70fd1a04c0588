package pools

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/internal/program"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/loops"
	"github.com/genie-sdk/go/transport/plan"
)

// receiving is a session that caches can be sent to.
type receiving interface {
	transport.Session
	transport.LoopOpener
	transport.Receiver
}

// sending is a session that sends its cache.
type sending interface {
	transport.Session
	transport.Sender
}

// Session is a session that prefills in the pool. It takes over the given one,
// which decodes, and is that one where it cannot receive or the pool has no
// members.
func (p *Pool) Session(decode transport.Session) transport.Session {
	d, ok := decode.(receiving)
	if !ok || len(p.members) == 0 {
		return decode
	}
	s := &session{p: p, decode: d, turn: make(chan struct{}, 1)}
	s.turn <- struct{}{}
	return s
}

// session implements [transport.Session] and [transport.LoopOpener].
type session struct {
	p      *Pool
	decode receiving
	turn   chan struct{} // a token: its holder runs

	// Of the holder of the turn.
	stale   bool // a prefill that failed may have left rows
	unknown bool // a loop ended early

	mu     sync.Mutex
	closed bool
	at     *station // where it prefills, nil until it is needed
}

// station is a session of a member of the pool.
type station struct {
	s       sending
	member  int
	refs    map[*ref]transport.PlanRef
	cleared chan struct{} // closed when the last cache has been freed; nil for none
}

// ref is a plan that is prepared where the session decodes, and in the pool once
// it is needed there.
type ref struct {
	decode   transport.PlanRef
	plan     *plan.Plan
	weights  transport.WeightSource
	progress transport.Progress
	division *program.Division // nil for a plan that the pool does not run
}

// Hash implements [transport.PlanRef].
func (r *ref) Hash() plan.Hash { return r.decode.Hash() }

// prefillPhase is the label of plans that are prepared in the pool at once; others
// are when they first have enough rows.
const prefillPhase = "llm_prefill"

// Prepare implements [transport.Session].
func (s *session) Prepare(ctx context.Context, p *plan.Plan, weights transport.WeightSource, progress transport.Progress) (transport.PlanRef, error) {
	decode, err := s.decode.Prepare(ctx, p, weights, progress)
	if err != nil {
		return nil, err
	}
	r := &ref{decode: decode, plan: p, weights: weights, progress: progress, division: division(p)}
	if r.division == nil || p.Phase != prefillPhase {
		return r, nil
	}
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.leave()
	if _, _, err := s.station(ctx, r); err != nil {
		if ctx.Err() != nil {
			return nil, err
		}
		s.p.opts.Log.WarnContext(ctx, "no worker of the pool is ready to prefill", "error", err)
	}
	return r, nil
}

// division is how runs of a plan are made in parts in another session, nil where
// they cannot.
func division(p *plan.Plan) *program.Division {
	for _, o := range p.Outputs {
		if o.Place != plan.Download {
			return nil // the other session would retain it
		}
	}
	c, err := program.Compile(p, program.Options{}, op.NewWork(nil))
	if err != nil {
		return nil // with operators of the executor's own
	}
	return c.Division()
}

func (s *session) enter(ctx context.Context) error {
	select {
	case <-s.turn:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("genie: stopped while another call ran: %w", context.Cause(ctx))
	}
}

func (s *session) leave() { s.turn <- struct{}{} }

// ready makes the carried state what the caller believes it to be.
func (s *session) ready(ctx context.Context) error {
	if s.unknown {
		return fmt.Errorf("%w: a loop ended early, the session needs a Reset", transport.ErrState)
	}
	if !s.stale {
		return nil
	}
	if err := s.decode.Reset(ctx); err != nil {
		return err
	}
	s.stale = false
	return nil
}

// Run implements [transport.Session].
func (s *session) Run(ctx context.Context, call transport.Call) (transport.Result, error) {
	if err := s.enter(ctx); err != nil {
		return transport.Result{}, err
	}
	defer s.leave()
	if err := s.ready(ctx); err != nil {
		return transport.Result{}, err
	}
	return s.run(ctx, call)
}

func (s *session) run(ctx context.Context, call transport.Call) (transport.Result, error) {
	r, ok := call.Plan.(*ref)
	if !ok {
		return transport.Result{}, fmt.Errorf("%w: the plan was not prepared in this session", transport.ErrUnknownPlan)
	}
	if s.pooled(r, &call) {
		res, err := s.prefill(ctx, r, call)
		if err == nil || ctx.Err() != nil {
			return res, err
		}
		s.p.declined.Add(1)
		s.p.opts.Log.WarnContext(ctx, "a prefill runs where its session decodes", "error", err)
		if err := s.ready(ctx); err != nil {
			return transport.Result{}, err
		}
	}
	call.Plan = r.decode
	return s.decode.Run(ctx, call)
}

// RunLoop implements [transport.Looper].
func (s *session) RunLoop(ctx context.Context, call transport.Call, loop transport.Loop, each func(tokens []byte, elapsed time.Duration) error) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave()
	if err := s.ready(ctx); err != nil {
		return err
	}
	return s.loop(ctx, call, loop, each)
}

func (s *session) loop(ctx context.Context, call transport.Call, loop transport.Loop, each func(tokens []byte, elapsed time.Duration) error) error {
	r, ok := call.Plan.(*ref)
	if !ok {
		return fmt.Errorf("%w: the plan was not prepared in this session", transport.ErrUnknownPlan)
	}
	call.Plan = r.decode
	return s.decode.RunLoop(ctx, call, loop, each)
}

// OpenLoop implements [transport.LoopOpener]: with an opening in the pool it is a
// prefill there and a loop here.
func (s *session) OpenLoop(ctx context.Context, open transport.Opening, call transport.Call, loop transport.Loop, each func(tokens []byte, elapsed time.Duration) error) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave()
	first, ok := open.Call.Plan.(*ref)
	next, ok2 := call.Plan.(*ref)
	if !ok || !ok2 {
		return fmt.Errorf("%w: the plan was not prepared in this session", transport.ErrUnknownPlan)
	}
	if err := open.Check(first.plan); err != nil {
		return err
	}
	if err := loop.Check(next.plan, call.Bindings); err != nil {
		return err
	}
	s.stale = s.stale || open.Reset
	s.unknown = s.unknown && !open.Reset
	if err := s.ready(ctx); err != nil {
		return err
	}
	if !s.pooled(first, &open.Call) {
		open.Reset, open.Call.Plan, call.Plan = false, first.decode, next.decode
		return s.decode.OpenLoop(ctx, open, call, loop, each)
	}
	done := false
	defer func() { s.unknown = !done }()
	res, err := s.run(ctx, open.Call)
	if err != nil {
		return err
	}
	more, err := follow(&call, &loop, res.Outputs[open.Token].Tensor.Data)
	if err != nil {
		return err
	}
	if err := each(res.Outputs[open.Token].Tensor.Data, res.Elapsed); err != nil {
		return err
	}
	if more {
		if err := s.loop(ctx, call, loop, each); err != nil {
			return err
		}
	}
	done = true
	return nil
}

// follow gives a loop the tokens of its opening. It returns false when they end
// every sequence. A sequence that they end has one more run, whose token is
// dropped.
func follow(call *transport.Call, loop *transport.Loop, tokens []byte) (more bool, err error) {
	inputs := make([][]byte, len(call.Inputs))
	for i := range inputs {
		inputs[i] = append([]byte(nil), call.Inputs[i].Data...)
	}
	state := loops.Start(loop, nil, inputs)
	if more, err = state.Open(tokens); err != nil || !more {
		return false, err
	}
	call.Inputs = append([]transport.Input(nil), call.Inputs...)
	limits := append([]int(nil), loop.Limits...)
	for i, in := range loop.Inputs {
		if in.Kind == transport.LoopToken {
			call.Inputs[i].Data, call.Inputs[i].File = inputs[i], ""
		}
	}
	for i := range limits {
		if state.Ended(i) {
			limits[i] = 1
		}
	}
	loop.Limits = limits
	return true, nil
}

// Read implements [transport.Session].
func (s *session) Read(ctx context.Context, h transport.Handle) (transport.Tensor, error) {
	return s.decode.Read(ctx, h)
}

// Release implements [transport.Session].
func (s *session) Release(ctx context.Context, h ...transport.Handle) error {
	return s.decode.Release(ctx, h...)
}

// Reset implements [transport.Session].
func (s *session) Reset(ctx context.Context) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave()
	if err := s.decode.Reset(ctx); err != nil {
		return err
	}
	s.stale, s.unknown = false, false
	return nil
}

// Close implements [transport.Session].
func (s *session) Close() error {
	at := s.shut()
	err := s.decode.Close()
	if at != nil {
		_ = at.s.Close() // it has nothing that the session needs
	}
	return err
}

func (s *session) shut() *station {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return s.at
}
