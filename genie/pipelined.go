package genie

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/semantic"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// pipelined sends prefill and loop in one request, resets the session, and
// takes the tokens as they arrive, if policy and executor support that. It
// returns false when nothing was done.
func (g *generation) pipelined(ctx context.Context) (bool, error) {
	opener, ok := g.s.remote.(transport.LoopOpener)
	if !ok || g.s.c.opts.inTurn() || !g.loops() {
		return false, nil
	}
	ran := g.s.forget()
	open, r, err := g.opening(ctx)
	if err != nil || r == nil {
		g.start()
		if err == nil && ran {
			err = g.s.resetRemote(ctx)
		}
		g.s.stale = err != nil && ran
		return false, err
	}
	open.Reset = ran
	r.loop.Stop = g.stops()
	g.s.runs(r.l)
	last, runs := g.begin, 0
	ctx, span := g.s.c.span(ctx, "genie.Loop", r.sch.Plan)
	err = opener.OpenLoop(ctx, *open, r.call, r.loop, func(tokens []byte, elapsed time.Duration) error {
		if ctx.Err() != nil { // these have arrived, but are not wanted any more
			return ctxError(ctx)
		}
		now := time.Now()
		if runs == 0 {
			g.out.TTFT = now.Sub(last)
			g.s.elapsed.Store(int64(elapsed))
		} else {
			g.out.Steps = append(g.out.Steps, now.Sub(last))
			g.length++
		}
		g.out.Executor = append(g.out.Executor, elapsed)
		last, runs = now, runs+1
		return g.taken(int32s(tokens))
	})
	span.Set(slog.Int("genie.runs", runs))
	span.End(err)
	switch {
	case err == nil && !g.finished():
		err = fmt.Errorf("%w: the executor ended a loop after %d runs", transport.ErrProtocol, runs)
	case err == nil && runs > 1:
		err = r.finish(runs - 1)
	}
	return true, err
}

// taken is accept for the tokens of a loop on the executor: errEnough stops a
// loop that the caller has ended.
func (g *generation) taken(next []int32) error {
	if err := g.accept(next); err != nil {
		return err
	}
	if g.early && g.finished() {
		return errEnough
	}
	return g.leavesWorker()
}

// start begins the generation again.
func (g *generation) start() {
	g.s.forget()
	g.length = 0
}

// opening prepares the prefill and the loop after it. Both are nil when they
// cannot be one request.
func (g *generation) opening(ctx context.Context) (*transport.Opening, *repeated, error) {
	limits := g.limits()
	for i := range limits { // the prefill gives the first token
		limits[i]--
	}
	if slices.Max(limits) < 1 {
		return nil, nil, nil
	}
	prompt := g.prompt()
	feed := g.feed(prompt)
	l, sch, err := g.s.staying(ctx, feed, g.lm.Next)
	if err != nil || sch == nil || slices.ContainsFunc(sch.Plan.Outputs, func(o plan.Output) bool { return o.Place != plan.Download }) {
		return nil, nil, err
	}
	open := &transport.Opening{Token: sch.Results[0].Output}
	if open.Call, err = g.s.newCall(ctx, l, sch, feed); err != nil {
		return nil, nil, err
	}
	if err := l.carry(sch, nil); err != nil {
		return nil, nil, err
	}
	g.length += len(prompt[0])
	r, err := g.s.repeatable(ctx, g.feed(g.row(make([]int32, g.batch))), g.lm.Next, g.lm)
	if err != nil || r == nil {
		return nil, nil, err
	}
	for i, n := range limits {
		limits[i] = max(n, 1) // the minimum of a loop; its tokens are dropped
	}
	r.loop.Limits = limits
	return open, r, nil
}

// prepareAll makes ready for runs of several profiles, asking for all plans at
// once unless that is switched off. The caller has the turn.
func (s *Session) prepareAll(ctx context.Context, profiles []semantic.Profile, outputs ...*lazy.Tensor) error {
	g, err := graphOf(outputs)
	if err != nil {
		return err
	}
	if err := s.ready(ctx); err != nil {
		return err
	}
	l, err := s.loop(ctx, g)
	if err != nil {
		return err
	}
	if err := s.settle(ctx, l); err != nil {
		return err
	}
	for replays := 0; ; replays++ {
		err = s.prepareHere(ctx, l, profiles, outputs)
		if replays == maxReplays || !s.c.recovers(ctx, err) {
			return err
		}
		if err := s.rebuild(ctx, err); err != nil {
			return err
		}
	}
}

// prepareHere is prepareAll on the current executor.
func (s *Session) prepareHere(ctx context.Context, l *loop, profiles []semantic.Profile, outputs []*lazy.Tensor) error {
	var plans []*plan.Plan
	for _, p := range profiles {
		sch, err := l.p.schedule(ctx, s.c.opts.policy, wanted{profile: p, state: l.state, outputs: outputs})
		if err != nil {
			return err
		}
		if l.prepared[sch.Plan] == nil && !slices.Contains(plans, sch.Plan) {
			plans = append(plans, sch.Plan)
		}
	}
	refs := make([]transport.PlanRef, len(plans))
	group, all := errgroup.WithContext(ctx)
	if s.c.opts.inTurn() {
		group.SetLimit(1)
	}
	for i, p := range plans {
		group.Go(func() (err error) {
			refs[i], err = s.prepareRemote(all, p, l.p.graph)
			return err
		})
	}
	err := group.Wait()
	for i, p := range plans {
		if refs[i] != nil {
			l.remember(p, refs[i])
		}
	}
	return err
}
