package genie

import (
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/semantic"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// loop lets the executor generate token by token and takes the tokens as they
// arrive, if policy and executor support that. next are the tokens of the
// prefill. It returns false when nothing was done.
func (g *generation) loop(ctx context.Context, next []int32) (bool, error) {
	looper, ok := g.s.remote.(transport.Looper)
	if !ok || !g.loops() {
		return false, nil
	}
	r, err := g.s.repeatable(ctx, g.feed(g.row(next)), g.lm.Next, g.lm)
	if err != nil || r == nil {
		return false, err
	}
	if err := g.accept(next); err != nil || g.finished() {
		return true, err
	}
	if r.loop.Limits = g.limits(); slices.Max(r.loop.Limits) < 1 {
		return true, nil
	}
	r.loop.Stop = g.stops()
	last, runs := time.Now(), 0
	g.s.runs(r.l)
	ctx, span := g.s.c.span(ctx, "genie.Loop", r.sch.Plan)
	err = looper.RunLoop(ctx, r.call, r.loop, func(tokens []byte, elapsed time.Duration) error {
		if ctx.Err() != nil { // these have arrived, but are not wanted any more
			return ctxError(ctx)
		}
		now := time.Now()
		g.out.Steps = append(g.out.Steps, now.Sub(last))
		g.out.Executor = append(g.out.Executor, elapsed)
		last, runs = now, runs+1
		g.length++
		return g.taken(int32s(tokens))
	})
	span.Set(slog.Int("genie.runs", runs))
	span.End(err)
	if err != nil {
		return true, err
	}
	if !g.finished() {
		return true, fmt.Errorf("%w: the executor ended a loop after %d runs", transport.ErrProtocol, runs)
	}
	return true, r.finish(runs)
}

// loops reports whether the request can be a loop.
func (g *generation) loops() bool {
	return g.r.OnLogits == nil && g.r.MaxNew >= 2 && len(g.r.Stop)+1+len(g.lm.MoreEOS) <= transport.MaxLoopStop && g.r.MaxNew <= transport.MaxLoopRuns
}

// limits are the remaining runs of each sequence; a finished sequence needs
// one, the minimum of a loop.
func (g *generation) limits() []int {
	out := make([]int, g.batch)
	for i := range out {
		out[i] = 1
		if g.done[i] {
			continue
		}
		out[i] = g.r.MaxNew - len(g.out.Tokens[i])
		if g.lm.Context > 0 {
			out[i] = min(out[i], g.lm.Context+1-len(g.r.Prompts[i])-len(g.out.Tokens[i]))
		}
	}
	return out
}

func (g *generation) stops() []int32 {
	var out []int32
	for _, t := range g.r.Stop {
		if t >= 0 && t <= math.MaxInt32 {
			out = append(out, int32(t))
		}
	}
	if g.r.IgnoreEOS {
		return out
	}
	for _, t := range append([]int{g.lm.EOS}, g.lm.MoreEOS...) {
		if t >= 0 && t <= math.MaxInt32 && !slices.Contains(out, int32(t)) {
			out = append(out, int32(t))
		}
	}
	return out
}

func int32s(b []byte) []int32 {
	out := make([]int32, len(b)/4)
	for i := range out {
		out[i] = int32(binary.LittleEndian.Uint32(b[4*i:]))
	}
	return out
}

// repeated is a run that the executor is to repeat.
type repeated struct {
	l    *loop
	sch  *scheduled
	call transport.Call
	loop transport.Loop
}

// repeatable makes a run of a causal model ready to be repeated. It is nil when
// that cannot be.
func (s *Session) repeatable(ctx context.Context, feed Feed, out *lazy.Tensor, lm *CausalLM) (*repeated, error) {
	l, sch, err := s.staying(ctx, feed, out)
	if err != nil || sch == nil {
		return nil, err
	}
	r := &repeated{l: l, sch: sch}
	if !r.plan(lm) {
		return nil, nil //nolint:nilnil // it is the answer
	}
	if r.call, err = s.newCall(ctx, l, sch, feed); err != nil {
		return nil, err
	}
	return r, nil
}

// staying schedules a run without a client partition: its carried state stays
// on the executor, and so do all results but the output. The schedule is nil
// for any other run.
func (s *Session) staying(ctx context.Context, feed Feed, out *lazy.Tensor) (*loop, *scheduled, error) {
	l, err := s.loop(ctx, out.Graph())
	if err != nil {
		return nil, nil, err
	}
	if err := l.bind(feed); err != nil {
		return nil, nil, err
	}
	sch, err := s.schedule(ctx, l, feed, false, []*lazy.Tensor{out})
	if err != nil {
		return nil, nil, err
	}
	if !sch.Loop || s.c.opts.resends() || sch.Client != nil || !sch.allStay || l.fed(feed) != nil ||
		len(sch.Results) != 1 || sch.Results[0].Client || sch.Plan.Outputs[sch.Results[0].Output].Place != plan.Download {
		return nil, nil, nil
	}
	return l, sch, nil
}

// plan says how inputs and bindings change from run to run. It is false for a
// program whose sizes do not grow evenly.
func (r *repeated) plan(lm *CausalLM) bool {
	r.loop.Token = r.sch.Results[0].Output
	for _, src := range r.sch.Inputs {
		in := transport.LoopInput{}
		switch {
		case src.Kind != semantic.FromFeed:
			return false
		case src.Tensor == lm.Tokens:
			in.Kind = transport.LoopToken
		case src.Tensor == lm.Positions:
			in.Kind, in.Max = transport.LoopCount, math.MaxInt32
			if lm.Context > 0 {
				in.Max = int64(lm.Context - 1)
			}
		}
		r.loop.Inputs = append(r.loop.Inputs, in)
	}
	grow, ok := r.l.grow()
	if !ok {
		return false
	}
	for _, symbol := range r.sch.symbols {
		r.loop.Grow = append(r.loop.Grow, grow[symbol])
	}
	return true
}

// grow is the increment of each size from run to run, by symbol; false when
// that changes.
func (l *loop) grow() ([]int, bool) {
	out := make([]int, len(l.sizes))
	names := plan.Bindings{}
	for i, n := range l.sizes {
		if n != unbound {
			names[l.p.symbols[i]] = n
		}
	}
	for pass := range 2 {
		next := plan.Bindings{}
		for _, n := range l.p.next {
			size, err := n.dim.Eval(names)
			if err != nil {
				return nil, false
			}
			name := l.p.symbols[n.symbol]
			d := size - names[name]
			if pass > 0 && d != out[n.symbol] || d < 0 {
				return nil, false
			}
			out[n.symbol], next[name] = d, size
		}
		maps.Copy(names, next)
	}
	return out, true
}

// finish advances the session by the runs of the executor.
func (r *repeated) finish(runs int) error {
	for i, n := range r.loop.Grow {
		symbol := r.sch.symbols[i]
		r.l.sizes[symbol] += (runs - 1) * n
		r.l.names[r.l.p.symbols[symbol]] = r.l.sizes[symbol]
	}
	return r.l.carry(r.sch, nil)
}
