package worker_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/worker"
	"github.com/genie-sdk/go/internal/worker/workertest"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/transport/tcp"
	"github.com/genie-sdk/go/transport/wire"
	"github.com/genie-sdk/go/transport/wire/wirepb"
)

// slowCompiler is an engine that compiles plans named "slow" until it is
// released or told to stop.
type slowCompiler struct {
	worker.Engine
	began chan string
	open  chan struct{}
	ended chan error
}

func newSlowCompiler(t *testing.T, change func(*worker.Options)) (*workertest.Worker, *slowCompiler) {
	c := &slowCompiler{began: make(chan string, 64), open: make(chan struct{}), ended: make(chan error, 64)}
	w := workertest.Start(t, func(o *worker.Options) {
		c.Engine, o.Engine, o.MaxRunning = o.Engine, c, 2
		if change != nil {
			change(o)
		}
	})
	return w, c
}

// Compile looks up as often as the engine does.
func (c *slowCompiler) Compile(ctx context.Context, p *plan.Plan, h plan.Hash, pause func(context.Context) error) (worker.Program, error) {
	if p.Policy != "slow" {
		return c.Engine.Compile(ctx, p, h, pause)
	}
	c.began <- p.Name
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-c.open:
			return c.Engine.Compile(ctx, p, h, pause)
		case <-tick.C:
			if err := pause(ctx); err != nil {
				c.ended <- err
				return nil, err
			}
		}
	}
}

// slow is a plan that takes long to compile.
func slow(t *testing.T, name string) (encoded []byte, h plan.Hash) {
	p := chooser()
	p.Name, p.Policy = name, "slow"
	encoded, err := p.Encode()
	require.NoError(t, err)
	return encoded, plan.HashEncoded(encoded)
}

// sendSlow asks for a plan that takes long to compile, as plan n of session 1.
func (p *peer) sendSlow(name string, n uint32, deadline uint64) {
	p.t.Helper()
	encoded, h := slow(p.t, name)
	p.last++
	p.send(&wire.Message{
		Type: wire.TypePrepare, Stream: p.last, Payload: []wire.Segment{{Data: encoded}},
		Control: &wirepb.Prepare{Session: 1, Plan: n, Hash: h[:], PlanBytes: uint64(len(encoded)), DeadlineMs: deadline},
	})
}

func (p *peer) opened() *peer {
	p.t.Helper()
	require.NoError(p.t, p.ask(wire.TypeOpenSession, &wirepb.OpenSession{Session: 1}, nil, nil))
	return p
}

// TestPrepareStops ends a Prepare in the middle: by its deadline, by a Cancel, by
// closing its session, and by leaving. The place is free after that.
func TestPrepareStops(t *testing.T) {
	w, c := newSlowCompiler(t, nil)
	p := greeted(t, w).opened()
	p.sendSlow("deadline", 1, 20)
	require.Equal(t, "deadline", <-c.began)
	require.ErrorIs(t, p.answer(p.last, 0, nil), context.DeadlineExceeded)
	require.ErrorIs(t, <-c.ended, context.DeadlineExceeded)

	p.sendSlow("cancel", 1, 0)
	<-c.began
	p.send(&wire.Message{Type: wire.TypeCancel, Stream: p.last})
	require.ErrorIs(t, p.answer(p.last, 0, nil), context.Canceled)
	require.ErrorIs(t, <-c.ended, context.Canceled)

	p.sendSlow("waits", 1, 0)
	<-c.began
	second := greeted(t, w).opened()
	second.sendSlow("waits its turn", 1, 20)
	require.ErrorIs(t, second.answer(second.last, 0, nil), context.DeadlineExceeded)
	require.Empty(t, c.began, "it never began")

	require.NoError(t, p.wc.Close())
	require.ErrorIs(t, <-c.ended, context.Canceled)
	second.sendSlow("afterwards", 1, 0)
	require.Equal(t, "afterwards", <-c.began)
	close(c.open)
	require.NoError(t, second.answer(second.last, wire.TypePrepare, nil))
	require.Eventually(t, func() bool { return w.Server.Load() == worker.Load{} }, 5*time.Second, time.Millisecond)
}

// TestPreparesTakeTurns has one client ask for many plans and another for one,
// which comes to its turn after what was under way. Runs do not wait for either.
func TestPreparesTakeTurns(t *testing.T) {
	w, c := newSlowCompiler(t, nil)
	watch := newBystander(t, w)
	greedy := greeted(t, w)
	for s := range uint32(8) {
		require.NoError(t, greedy.ask(wire.TypeOpenSession, &wirepb.OpenSession{Session: s + 1}, nil, nil))
	}
	for range 8 {
		greedy.sendSlow(fmt.Sprint("greedy", greedy.last), uint32(greedy.last), 0)
	}
	<-c.began
	watch.check()
	modest := greeted(t, w).opened()
	modest.sendSlow("modest", 1, 0)
	require.Eventually(t, func() bool { return w.Server.Load().Unprepared == 8 }, 5*time.Second, time.Millisecond)
	require.Equal(t, 1, w.Server.Load().Preparing, "half of the places, and one at least")
	watch.check()
	c.open <- struct{}{}
	next := []string{<-c.began}
	if next[0] != "modest" { // the greedy one's next had no price yet
		c.open <- struct{}{}
		next = append(next, <-c.began)
	}
	require.Contains(t, next, "modest")
	close(c.open)
	require.NoError(t, modest.answer(modest.last, wire.TypePrepare, nil))
	watch.check()
}

// TestPrepareQueue bounds the Prepares that wait, with room left for others.
func TestPrepareQueue(t *testing.T) {
	w, c := newSlowCompiler(t, func(o *worker.Options) { o.MaxQueue = 4 })
	p := greeted(t, w).opened()
	p.sendSlow("runs", 1, 0)
	<-c.began
	p.sendSlow("first", 2, 0)
	p.sendSlow("second", 3, 0)
	require.Eventually(t, func() bool { return w.Server.Load().Unprepared == 2 }, 5*time.Second, time.Millisecond)
	p.sendSlow("too many", 4, 0)
	require.ErrorIs(t, p.answer(p.last, 0, nil), transport.ErrOverloaded)
	other := greeted(t, w).opened()
	other.sendSlow("other", 1, 0)
	require.Eventually(t, func() bool { return w.Server.Load().Unprepared == 3 }, 5*time.Second, time.Millisecond)
	close(c.open)
	require.NoError(t, other.answer(other.last, wire.TypePrepare, nil))
}

// unheld is a plan of n weights that no client has.
func unheld(t *testing.T, n int) (encoded []byte, h plan.Hash) {
	p := chooser()
	for i := range n {
		v := plan.Value{Kind: plan.KindWeight, Spec: plan.Spec{DType: plan.F32, Shape: plan.Shape{plan.C(1)}}, Buffer: plan.NoBuffer, Storage: plan.F32}
		binary.LittleEndian.PutUint64(v.Hash[:], uint64(i)+1)
		p.Values = append(p.Values, v)
	}
	encoded, err := p.Encode()
	require.NoError(t, err)
	return encoded, plan.HashEncoded(encoded)
}

// TestMissingWeights prepares a plan with as many missing weights as a plan may
// have, and again by its hash: 90 bytes, which used to take 20 s of a processor.
func TestMissingWeights(t *testing.T) {
	const weights = 65000
	w := workertest.Start(t, nil)
	p := greeted(t, w).opened()
	encoded, h := unheld(t, weights)
	var first, again wirepb.Prepared
	begin := time.Now()
	require.NoError(t, p.ask(wire.TypePrepare, &wirepb.Prepare{Session: 1, Plan: 1, Hash: h[:], PlanBytes: uint64(len(encoded))}, encoded, &first))
	require.Len(t, first.GetMissing(), weights)
	for range 5 {
		require.NoError(t, p.ask(wire.TypePrepare, &wirepb.Prepare{Session: 1, Plan: 1, Hash: h[:]}, nil, &again))
		require.Equal(t, first.GetMissing(), again.GetMissing())
	}
	// One of them comes in part: then each is looked for among such parts.
	p.last++
	p.send(&wire.Message{Type: wire.TypePutWeight, Stream: p.last, Open: true, Control: &wirepb.PutWeight{Session: 1, Plan: 1, Value: first.GetMissing()[7], Bytes: 4}, Payload: []wire.Segment{{Data: []byte{1, 2}}}})
	p.send(&wire.Message{Type: wire.TypeCancel, Stream: p.last})
	require.ErrorIs(t, p.answer(p.last, 0, nil), context.Canceled)
	for len(again.GetPartial()) == 0 && time.Since(begin) < 20*time.Second { // until it has been put aside
		require.NoError(t, p.ask(wire.TypePrepare, &wirepb.Prepare{Session: 1, Plan: 1, Hash: h[:]}, nil, &again))
	}
	require.Len(t, again.GetPartial(), 1)
	require.Equal(t, first.GetMissing()[7], again.GetPartial()[0].GetValue())
	require.Less(t, time.Since(begin), 20*time.Second)
}

// TestPreparesDoNotStarve has a client run a short program while another, with
// many sessions, asks again and again for a plan with many missing weights.
func TestPreparesDoNotStarve(t *testing.T) {
	const sessions, runs = 32, 300
	w := workertest.Start(t, nil)
	watch := newBystander(t, w)
	encoded, h := unheld(t, 30000)
	greedy := greeted(t, w)
	for s := range uint32(sessions) {
		require.NoError(t, greedy.ask(wire.TypeOpenSession, &wirepb.OpenSession{Session: s + 1}, nil, nil))
	}
	require.NoError(t, greedy.ask(wire.TypePrepare, &wirepb.Prepare{Session: 1, Plan: 1, Hash: h[:], PlanBytes: uint64(len(encoded))}, encoded, nil))
	ctx, stop := context.WithCancel(t.Context())
	var asks sync.WaitGroup
	answered := 0
	asks.Go(func() {
		for ctx.Err() == nil {
			for s := range uint32(sessions) {
				greedy.last++
				greedy.send(&wire.Message{Type: wire.TypePrepare, Stream: greedy.last, Control: &wirepb.Prepare{Session: s + 1, Plan: 1, Hash: h[:]}})
			}
			for range sessions {
				greedy.next()
				answered++
			}
		}
	})
	var took []time.Duration
	for range runs {
		begin := time.Now()
		watch.check()
		took = append(took, time.Since(begin))
	}
	stop()
	asks.Wait()
	slices.Sort(took)
	t.Logf("%d Prepares beside them; p50 %v, p99 %v, most %v", answered, took[runs/2], took[runs*99/100], took[runs-1])
	require.Positive(t, answered)
	if !raceEnabled {
		require.Less(t, took[runs*99/100], 250*time.Millisecond)
	}
}

// TestShapeBombOverTheWire sends a plan of some hundred bytes whose strides
// would have millions of terms: it is refused, and the worker continues to
// serve.
func TestShapeBombOverTheWire(t *testing.T) {
	w := workertest.Start(t, nil)
	watch := newBystander(t, w)
	p := greeted(t, w).opened()
	for rank := 2; rank <= plan.MaxRank; rank++ {
		bomb := chooser()
		shape := make(plan.Shape, rank)
		k := 0
		for i := range shape {
			for range 16 {
				shape[i] = shape[i].Add(plan.Sym(fmt.Sprint("s", k%62)).Mul(plan.Sym(fmt.Sprint("s", (k*7+i+13)%62))))
				k++
			}
		}
		bomb.Values = append(bomb.Values, plan.Value{Kind: plan.KindInput, Name: "bomb", Spec: plan.Spec{DType: plan.F32, Shape: shape}, Buffer: plan.NoBuffer})
		bomb.Inputs = append(bomb.Inputs, plan.Port{Name: "bomb", Value: len(bomb.Values) - 1})
		encoded, err := bomb.Encode()
		require.NoError(t, err)
		require.Less(t, len(encoded), 1500)
		h := plan.HashEncoded(encoded)
		err = p.ask(wire.TypePrepare, &wirepb.Prepare{Session: 1, Plan: uint32(rank), Hash: h[:], PlanBytes: uint64(len(encoded))}, encoded, nil)
		if rank > 3 {
			require.ErrorIs(t, err, transport.ErrInvalidPlan, "rank %d", rank)
		}
		require.NotErrorIs(t, err, transport.ErrInternal)
		watch.check()
	}
}

// slowFinder is a model folder whose model opens only when the test lets it.
type slowFinder struct {
	finder
	asked chan string
	open  chan struct{}
}

func (f *slowFinder) Find(ctx context.Context, model string, h plan.Hash) (transport.Weight, error) {
	f.asked <- model
	select {
	case <-f.open:
		return f.finder.Find(ctx, model, h)
	case <-ctx.Done():
		return transport.Weight{}, context.Cause(ctx)
	}
}

// TestOpeningModel has a model that takes long to open: its clients wait no
// longer than their deadlines, and others prepare their plans.
func TestOpeningModel(t *testing.T) {
	p, weights := counter()
	f := &slowFinder{finder: finder{weights: weights}, asked: make(chan string, 64), open: make(chan struct{})}
	w := workertest.Start(t, func(o *worker.Options) {
		o.Weights, o.MaxRunning = f, 1
		worker.SetClaimIdle(o, 100*time.Millisecond)
	})
	ex, err := tcp.Dial(t.Context(), w.TCP)
	require.NoError(t, err)
	defer func() { _ = ex.Close() }()
	for range 3 {
		s, err := ex.NewSession(t.Context())
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
		_, err = s.Prepare(ctx, p, named{nil, "mine"}, nil)
		cancel()
		require.ErrorIs(t, err, context.DeadlineExceeded)
	}
	require.Equal(t, "mine", <-f.asked)
	s, err := ex.NewSession(t.Context())
	require.NoError(t, err)
	waits := make(chan error, 1)
	go func() {
		_, err := s.Prepare(t.Context(), p, named{nil, "mine"}, nil)
		waits <- err
	}()
	other := newBystander(t, w) // which brings the weight itself
	other.check()
	close(f.open)
	require.NoError(t, <-waits)
	other.check()
}
