package null_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/device"
	"github.com/genie-sdk/go/internal/device/null"
	"github.com/genie-sdk/go/internal/engine"
	"github.com/genie-sdk/go/semantic"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/workloads/gpt2"
)

// accelerator is a device of the cost model.
var accelerator = semantic.Device{FLOPS: 1e12, Bandwidth: 100e9}

// byCostModel asks the cost model for the time.
func byCostModel(w null.Work) time.Duration {
	c := semantic.Cost{FLOPs: w.FLOPs, BytesRead: w.Read, BytesWritten: w.Written}
	return time.Duration(c.Seconds(accelerator) * float64(time.Second))
}

// model is a language model as deep as GPT-2.
type model struct {
	*gpt2.Model
	srg *semantic.SRG
}

func newModel(t *testing.T) *model {
	t.Helper()
	dir := t.TempDir()
	c, ok := gpt2.Preset("gpt2")
	require.True(t, ok)
	require.Equal(t, 12, c.Layers)
	c.Hidden, c.Inner, c.Vocab, c.Positions = 192, 768, 500, 256
	c.BOS, c.EOS = gpt2.NoToken, gpt2.NoToken
	require.NoError(t, gpt2.NewCheckpointOf(context.Background(), c, 1, dir, gpt2.CheckpointOptions{}))
	m, err := gpt2.Load(context.Background(), dir, gpt2.LoadOptions{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, m.Close()) })
	srg, err := semantic.Analyze(m.LM.Graph)
	require.NoError(t, err)
	return &model{m, srg}
}

// worker is an engine on a null device that has the model's decode plan.
type worker struct {
	*engine.Engine
	device *null.Device
	prog   *engine.Program
}

func (m *model) worker(t *testing.T, n null.Options, o engine.Options) *worker {
	t.Helper()
	w := &worker{}
	o.Device = func(do device.Options) (device.Device, error) {
		d, err := null.Open(n)(do)
		if err == nil {
			w.device = d.(*null.Device)
		}
		return d, err
	}
	var err error
	w.Engine, err = engine.New(o)
	require.NoError(t, err)
	sch, err := semantic.Full().Schedule(m.srg, semantic.Request{Profile: semantic.Profile{Phase: semantic.PhaseDecode}})
	require.NoError(t, err)
	w.prog, err = w.Compile(sch.Plan)
	require.NoError(t, err)
	for _, v := range w.Missing(w.prog) {
		content, err := m.LM.Graph.Weight(v.Hash)
		require.NoError(t, err)
		ww, err := w.PutWeight(w.prog, v)
		require.NoError(t, err)
		_, err = ww.Write(content.Data)
		require.NoError(t, err)
		require.NoError(t, ww.Commit())
	}
	return w
}

// sizes binds a step after the given number of tokens.
func (w *worker) sizes(past int) (plan.Bindings, []int) {
	b, list := plan.Bindings{}, []int{}
	for _, s := range w.prog.Symbols() {
		b[s] = 1
		if s == "past" {
			b[s] = past
		}
		list = append(list, b[s])
	}
	return b, list
}

// step decodes a token after the given number.
func (w *worker) step(ctx context.Context, s *engine.Session, past int) error {
	_, list := w.sizes(past)
	c, err := s.NewCall(w.prog, list)
	if err != nil {
		return err
	}
	defer c.Release()
	for i := range w.prog.Plan().Inputs {
		if err := c.SetInput(i, make([]byte, max(c.InputSize(i), 16))[:c.InputSize(i)]); err != nil {
			return err
		}
	}
	return c.Run(ctx)
}

// end closes a worker, after which its device has no memory in use.
func (w *worker) end(t *testing.T) {
	t.Helper()
	require.NoError(t, w.Close())
	require.Zero(t, w.device.Held())
	require.Zero(t, w.Memory().Used())
}

// TestPredictedTime compares the time of steps with the cost model's prediction
// for the program.
func TestPredictedTime(t *testing.T) {
	m := newModel(t)
	clock := &null.Virtual{}
	w := m.worker(t, null.Options{Time: byCostModel, Clock: clock}, engine.Options{Profile: true})
	s := w.NewSession()
	profiled := time.Duration(0)
	for past := range 100 {
		sizes, _ := w.sizes(past)
		want, err := m.srg.Predict(accelerator, sizes)
		require.NoError(t, err)
		require.Positive(t, want.Kernels)
		before := clock.Now()
		require.NoError(t, w.step(context.Background(), s, past))
		took := clock.Now() - before
		require.InEpsilon(t, want.Kernels, took.Seconds(), 0.01, "at %d", past)
		profiled += took
	}
	require.Equal(t, profiled, w.Stats().KernelTime)
	held, st := w.device.Held(), w.Stats()
	require.Equal(t, null.Held{Weights: st.WeightBytes, State: st.StateBytes, Scratch: st.ScratchBytes, Retained: st.RetainedBytes}, held)
	require.Positive(t, held.Weights)
	require.Positive(t, held.State)
	require.Positive(t, held.Scratch)
	s.Close()
	require.Zero(t, w.device.Held().State)
	w.end(t)
}

// TestCancelled cancels a step in its middle: it ends there, and the device is free.
func TestCancelled(t *testing.T) {
	m := newModel(t)
	clock := &null.Virtual{}
	w := m.worker(t, null.Options{Time: byCostModel, Clock: clock}, engine.Options{})
	s := w.NewSession()
	require.NoError(t, w.step(context.Background(), s, 0))
	before := clock.Now()
	require.NoError(t, w.step(context.Background(), s, 1))
	took := clock.Now() - before
	ctx, cancel := context.WithCancel(context.Background())
	at := clock.Now() + took/2
	clock.At(at, cancel)
	require.ErrorIs(t, w.step(ctx, s, 2), context.Canceled)
	require.Equal(t, at, clock.Now())
	require.NoError(t, w.step(context.Background(), s, 2))
	require.InEpsilon(t, took.Seconds(), (clock.Now() - at).Seconds(), 0.01)
	s.Close()
	w.end(t)
}

// TestQueuesInOrder runs concurrent sessions: the device does their work in the
// order of arrival.
func TestQueuesInOrder(t *testing.T) {
	m := newModel(t)
	synctest.Test(t, func(t *testing.T) {
		const each = 10 * time.Millisecond
		groups := 0
		w := m.worker(t, null.Options{Time: func(w null.Work) time.Duration {
			groups = len(w.Program.Groups)
			return each
		}}, engine.Options{MaxBatch: 1})
		start := time.Now()
		var all sync.WaitGroup
		ends := make([]time.Duration, 4)
		for i := range ends {
			all.Go(func() {
				<-time.After(time.Duration(i) * time.Millisecond)
				s := w.NewSession()
				defer s.Close()
				if err := w.step(context.Background(), s, 0); err != nil {
					t.Error(err)
				}
				ends[i] = time.Since(start)
			})
		}
		all.Wait()
		for i, end := range ends {
			require.Equal(t, time.Duration(i+1)*time.Duration(groups)*each, end, "session %d", i)
		}
		w.end(t)
	})
}

// TestBatchesAreCheaper decodes in several concurrent sessions, with and
// without dynamic batches: a batch reads weights once.
func TestBatchesAreCheaper(t *testing.T) {
	m := newModel(t)
	took := map[int]time.Duration{}
	for _, batch := range []int{1, 16} {
		synctest.Test(t, func(t *testing.T) {
			w := m.worker(t, null.Options{Time: byCostModel}, engine.Options{MaxBatch: batch})
			start := time.Now()
			var all sync.WaitGroup
			for range 6 {
				all.Go(func() {
					s := w.NewSession()
					defer s.Close()
					for past := range 30 {
						if err := w.step(context.Background(), s, past); err != nil {
							t.Error(err)
						}
					}
				})
			}
			all.Wait()
			took[batch] = time.Since(start)
			require.Equal(t, batch > 1, w.Stats().Batches > 0)
			w.end(t)
		})
	}
	require.Less(t, took[16], took[1]/2)
}

// TestMemoryOfTheDevice refuses what the device has no room for.
func TestMemoryOfTheDevice(t *testing.T) {
	m := newModel(t)
	w := m.worker(t, null.Options{Clock: &null.Virtual{}}, engine.Options{})
	room := w.device.Held().Weights + 1<<20
	w.end(t)
	w = m.worker(t, null.Options{Clock: &null.Virtual{}, Memory: room}, engine.Options{})
	var sessions []*engine.Session
	var err error
	for past := 0; err == nil; past++ {
		s := w.NewSession()
		sessions = append(sessions, s)
		err = w.step(context.Background(), s, 0)
		require.Less(t, past, 1000)
	}
	require.ErrorIs(t, err, transport.ErrMemory)
	require.LessOrEqual(t, w.device.Held().Total(), room)
	for _, s := range sessions {
		s.Close()
	}
	w.end(t)
}

// TestFleet simulates workers that each get requests as they arrive: the times
// follow from the requests alone.
func TestFleet(t *testing.T) {
	m := newModel(t)
	simulate := func() (latencies []time.Duration) {
		const workers, requests = 4, 1000
		clocks, fleet, sessions := []*null.Virtual{}, []*worker{}, []*engine.Session{}
		for range workers {
			clocks = append(clocks, &null.Virtual{})
			fleet = append(fleet, m.worker(t, null.Options{Time: byCostModel, Clock: clocks[len(clocks)-1]}, engine.Options{}))
			sessions = append(sessions, fleet[len(fleet)-1].NewSession())
		}
		start, at := time.Now(), time.Duration(0)
		for i := range requests {
			at += time.Duration(i*7919%100) * time.Microsecond
			k := 0 // the first free worker
			for j := range clocks {
				if clocks[j].Now() < clocks[k].Now() {
					k = j
				}
			}
			clocks[k].Advance(at)
			require.NoError(t, fleet[k].step(context.Background(), sessions[k], 0))
			sessions[k].Reset()
			latencies = append(latencies, clocks[k].Now()-at)
		}
		t.Log("simulated", requests, "runs in", time.Since(start))
		for k, w := range fleet {
			sessions[k].Close()
			w.end(t)
		}
		return latencies
	}
	want, again := simulate(), simulate()
	require.Equal(t, want, again)
	require.Greater(t, slices.Max(want), slices.Min(want), "some wait for others")
}
