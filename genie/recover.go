package genie

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/genie-sdk/go/transport"
)

// maxReplays bounds how often an operation is repeated on another session
// without a token in between: an operation that kills its worker must end.
const maxReplays = 8

// WithRecovery selects what happens when a worker or the connection to it is
// lost. On, the default, connections are restored, also the first one if it
// breaks in its handshake. Requests whose answer was lost are sent again and
// done once. A lost session is rebuilt at the least cost: plans and weights by
// hash, and in [Generate] the cache by one prefill over the tokens so far,
// which continues as an unbroken run would. Off, the calls of a lost connection
// fail with [ErrUnreachable].
func WithRecovery(on bool) Option { return optionFunc(func(o *options) { o.recovery = on }) }

// WithReconnect bounds how long the client tries to reach a lost worker, or all
// of several workers, with growing delays, before calls fail with
// [ErrUnreachable]. It is the whole duration of a recovery, from when the loss
// is noticed: at once if the connection breaks, after [WithHeartbeat] if the
// worker is silent. The deadline of a call's context ends the call earlier. The
// default is 10 s.
func WithReconnect(limit time.Duration) Option {
	return optionFunc(func(o *options) { o.reconnect = limit })
}

// WithHeartbeat declares a worker dead after the given silence; a busy worker
// is not silent. The default is 3 s. A negative duration waits for ever.
func WithHeartbeat(silence time.Duration) Option {
	return optionFunc(func(o *options) { o.silence = silence })
}

const defaultReconnect = 10 * time.Second

// recovers reports whether a call that failed with err may resume in a new
// session. A worker that could not be reached for the whole time is not waited
// for again, unless there is another.
func (c *Client) recovers(ctx context.Context, err error) bool {
	if err == nil || !c.opts.recovery || ctx.Err() != nil {
		return false
	}
	return errors.Is(err, ErrSessionLost) || errors.Is(err, ErrDevice) || errors.Is(err, ErrUnreachable) && c.workers.several() || leaving(err)
}

// leaving reports whether err is the answer of a worker that is shutting down:
// it takes nothing new, and stops its running requests.
func leaving(err error) bool {
	_, remote := errors.AsType[*transport.RemoteError](err)
	return remote && (errors.Is(err, ErrClosed) || errors.Is(err, context.Canceled))
}

// rebuild gives the session a new half on an executor after it lost the old
// one. Carried state there is lost, and runs that need it report so until a
// Reset. The caller has the turn.
func (s *Session) rebuild(ctx context.Context, cause error) (err error) {
	ctx, span := s.c.span(ctx, "genie.Rebuild", nil)
	span.Set(slog.String("genie.cause", cause.Error()))
	defer func() { span.End(err) }()
	s.lost = cause
	s.leaveRemote(ctx)
	s.depart(cause)
	r, err := s.c.open(ctx, &s.home)
	if err != nil {
		return err
	}
	s.c.opts.logger.Log(ctx, rebuiltLevel(cause), "session rebuilt", "error", cause)
	if !s.useRemote(r) {
		_ = r.Close()
		s.depart(nil)
		return errSessionClosed()
	}
	s.fresh, s.stale, s.lost = true, false, nil
	if side := s.side; side != nil && s.useSide(nil) {
		_ = side.Close()
	}
	for l := range s.loops.all() {
		clear(l.prepared)
		l.interrupt(cause)
	}
	return nil
}

// leaveRemote closes the session's half on an executor, which may be lost, and
// waits for that no longer than ctx.
func (s *Session) leaveRemote(ctx context.Context) {
	closed, old := make(chan struct{}), s.remote
	go func() {
		defer close(closed)
		_ = old.Close() // it bounds its wait for a worker
	}()
	select {
	case <-closed:
	case <-ctx.Done():
	}
}

// restart makes the session like one that has run nothing.
func (s *Session) restart(ctx context.Context, cause error) error {
	if !s.fresh {
		if err := s.rebuild(ctx, cause); err != nil {
			return err
		}
	}
	for l := range s.states.all() {
		l.reset()
	}
	return nil
}

// interrupt marks the carried values that were on an executor as lost. Those
// that move with the runs are in this process.
func (l *loop) interrupt(cause error) {
	if !l.ran {
		return
	}
	for i := range l.p.carries {
		if l.data[i] == nil {
			l.gone = fmt.Errorf("%w: the state of %q is gone, Reset starts again: %w", ErrSessionLost, l.p.graph.Name(), cause)
			return
		}
	}
}

// goOn resumes the generation after err has ended it in a session, over as many
// further sessions as it takes.
func (g *generation) goOn(ctx context.Context, err error) error {
	rounds, losses := g.rounds(), 0
	for err != nil && g.s.c.recovers(ctx, err) {
		if n := g.rounds(); n > rounds {
			rounds, losses = n, 0
		}
		if losses++; losses > maxReplays {
			return err
		}
		next, moved, failed := g.moves(ctx, err)
		if !moved && failed == nil {
			next, failed = g.replay(ctx, err)
		}
		if failed != nil {
			return failed
		}
		g.out.Rebuilt++
		err = g.decode(ctx, next)
	}
	return err
}

// replay brings a new session to the state of the lost one, by one prefill over
// the prompts and the tokens so far, and returns the next tokens.
func (g *generation) replay(ctx context.Context, cause error) ([]int32, error) {
	begin := time.Now()
	if err := g.s.restart(ctx, cause); err != nil {
		return nil, err
	}
	g.length = 0
	n := g.rounds()
	next, err := g.step(ctx, n, g.history())
	switch {
	case err != nil:
	case n == 0: // no token had arrived
		g.out.TTFT = time.Since(g.begin)
	case n > len(g.out.Steps):
		g.out.Steps = append(g.out.Steps, time.Since(begin))
	}
	return next, err
}

// rounds is the number of tokens of the longest sequence so far.
func (g *generation) rounds() int {
	n := 0
	for _, t := range g.out.Tokens {
		n = max(n, len(t))
	}
	return n
}

// history is the tokens that the model has been fed: the prompts and the tokens
// so far. A finished sequence only keeps its place in the batch.
func (g *generation) history() [][]int {
	rows, n := g.prompt(), g.rounds()
	for i, t := range g.out.Tokens {
		rows[i] = append(append(rows[i], t...), make([]int, n-len(t))...)
	}
	return rows
}

// lastRow is the logits [batch, 1, vocab] of the last row of logits [batch, seq,
// vocab].
func lastRow(t transport.Tensor) transport.Tensor {
	batch, seq := t.Shape[0], t.Shape[1]
	row := t.Shape[2] * t.DType.Size()
	out := transport.Tensor{DType: t.DType, Shape: []int{batch, 1, t.Shape[2]}, Data: make([]byte, 0, batch*row)}
	for i := range batch {
		end := (i + 1) * seq * row
		out.Data = append(out.Data, t.Data[end-row:end]...)
	}
	return out
}
