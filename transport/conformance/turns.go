package conformance

import (
	"context"
	"runtime"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/transport"
)

// prompt is how long a call whose context has ended, or whose session closes, may
// take to return, on a machine that does much else.
const prompt = 2 * time.Second

// busy is a session with a loop under way, whose reader is held until release is
// called: the session has its turn for as long.
type busy struct {
	transport.Session
	ref     transport.PlanRef
	cancel  context.CancelFunc
	release func()
	ended   chan error
}

func (f *fixture) busy() *busy {
	f.Helper()
	s := f.session()
	l, ref := f.looper(s), f.prepare(s, talking())
	held, begun := make(chan struct{}), make(chan struct{}, 1)
	ctx, cancel := context.WithCancel(f.ctx)
	b := &busy{s, ref, cancel, func() { close(held) }, make(chan error, 1)}
	go func() {
		call := transport.Call{Plan: ref, Bindings: []int{0}, Inputs: talkingInputs(3, 0)}
		b.ended <- l.RunLoop(ctx, call, talkingLoop(transport.MaxLoopRuns), func([]byte, time.Duration) error {
			select {
			case begun <- struct{}{}:
			default:
			}
			<-held
			return nil
		})
	}()
	<-begun
	return b
}

// calls are the calls of a session that wait for its turn.
var calls = map[string]func(ctx context.Context, b *busy) error{
	"run": func(ctx context.Context, b *busy) error {
		_, err := b.Run(ctx, transport.Call{Plan: b.ref, Bindings: []int{0}, Inputs: talkingInputs(3, 0)})
		return err
	},
	"reset": func(ctx context.Context, b *busy) error { return b.Reset(ctx) },
	"prepare": func(ctx context.Context, b *busy) error {
		p := plainAffine()
		_, err := b.Prepare(ctx, &p.p, p.weights, nil)
		return err
	},
	"read": func(ctx context.Context, b *busy) error {
		_, err := b.Read(ctx, transport.Handle{Session: 1, ID: 1})
		return err
	},
}

// testWaitersGo has calls wait for another one of their session: each returns when
// its context ends, and the one under way is none the worse for it.
func testWaitersGo(f *fixture) {
	for name, call := range calls {
		b := f.busy()
		ctx, stop := context.WithTimeout(f.ctx, 30*time.Millisecond)
		begin := time.Now()
		err := call(ctx, b)
		stop()
		require.ErrorIs(f, err, context.DeadlineExceeded, name)
		require.Less(f, time.Since(begin), prompt, name)
		select {
		case err := <-b.ended:
			require.Fail(f, "the loop has ended, too", "%s: %v", name, err)
		default:
		}
		b.cancel()
		b.release()
		require.ErrorIs(f, <-b.ended, context.Canceled, name)
		require.NoError(f, b.Close())
	}
}

// testCloseCancels closes a session, and then an executor, with a loop under way
// and a call that waits for it: both end, and everything is free.
func testCloseCancels(f *fixture) {
	for name, closes := range map[string]func(ex transport.Executor, s transport.Session) error{
		"session":  func(_ transport.Executor, s transport.Session) error { return s.Close() },
		"executor": func(ex transport.Executor, _ transport.Session) error { return ex.Close() },
	} {
		f := &fixture{T: f.T, ctx: f.ctx, ex: f.open(f.T), open: f.open, opts: f.opts}
		b := f.busy()
		waits := make(chan error, 1)
		go func() { waits <- calls["run"](f.ctx, b) }()
		begin := time.Now()
		require.NoError(f, closes(f.ex, b.Session), name)
		require.ErrorIs(f, <-waits, transport.ErrClosed, name)
		b.release()
		require.ErrorIs(f, <-b.ended, transport.ErrClosed, name)
		require.Less(f, time.Since(begin), prompt, name)
		b.cancel()
		require.NoError(f, f.ex.Close())
		f.checkHeld(f.ex)
	}
}

// testCloseStops closes a session whose run takes seconds: it stops where it is.
func testCloseStops(f *fixture) {
	s := f.session()
	b, x := f.slow()
	ref := f.prepare(s, b)
	before := f.stats()
	ended := make(chan error, 1)
	go func() {
		_, err := s.Run(f.ctx, transport.Call{Plan: ref, Bindings: []int{0}, Inputs: []transport.Input{x}})
		ended <- err
	}()
	// Until it computes, as far as the executor reports.
	for wait := time.Now(); f.stats().ScratchBytes <= before.ScratchBytes && time.Since(wait) < 200*time.Millisecond; {
		runtime.Gosched()
	}
	begin := time.Now()
	require.NoError(f, s.Close())
	require.ErrorIs(f, <-ended, transport.ErrClosed)
	require.Less(f, time.Since(begin), prompt)
	require.Less(f, f.stats().Ops-before.Ops, int64(4000))
}
