package cuda_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/device"
	"github.com/genie-sdk/go/internal/device/cuda"
	"github.com/genie-sdk/go/internal/device/cuda/driver"
	"github.com/genie-sdk/go/internal/engine"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/internal/planmaker"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// losses records what a device says of its loss.
type losses struct {
	n     atomic.Int64
	err   error
	freed <-chan struct{}
}

func (l *losses) lost(err error, freed <-chan struct{}) {
	l.err, l.freed = err, freed
	l.n.Add(1)
}

// everything calls all of a device's memory and loads weights.
func everything(d device.Device, c device.Code, v int) (err error) {
	ctx := context.Background()
	a, err := d.Alloc(ctx, device.UseState, 3<<20)
	if err != nil {
		return err
	}
	defer d.Free(device.UseState, a)
	b, err := d.Alloc(ctx, device.UseScratch, 3<<20)
	if err != nil {
		return err
	}
	defer d.Free(device.UseScratch, b)
	data := make([]byte, 3<<20)
	if err := d.Upload(a, 0, data, nil); err != nil {
		return err
	}
	if err := d.CopyRows(device.Piece{Buffer: b, Positions: 3}, 0, device.Piece{Buffer: a, Positions: 3}, 1, 2, device.State{DType: plan.F32, Shape: []int{2, 3, 1 << 17}, Axis: 1}, nil); err != nil {
		return err
	}
	if err := d.Download(data, b, 0, nil); err != nil {
		return err
	}
	if _, err := d.Bytes(b, 10); err != nil {
		return err
	}
	w, err := load(c, v, make([]byte, 4*700*512), 1<<19)
	if err != nil {
		return err
	}
	w.Free()
	return nil
}

// TestEveryCallLosesTheContext fails each call of the driver in turn, with the
// loss of the context. The device says so once, each later call fails with the
// same error, and the context is destroyed when nothing calls it any more.
func TestEveryCallLosesTheContext(t *testing.T) {
	for i := 1; ; i++ {
		s, l := newStored(), &losses{}
		s.plant(nth("", i, sticky))
		d, err := cuda.Open(s, 0, cuda.Options{})(device.Options{Lost: l.lost})
		if err != nil {
			require.ErrorIs(t, err, transport.ErrDevice)
			if i > 1 { // the first is the opening of the context
				require.True(t, s.open.closed)
			}
			continue
		}
		c, v := weighing(t, d, true, plan.F32, plan.F32, 700, 512)
		err = everything(d, c, v)
		if l.n.Load() == 0 {
			require.NoError(t, err)
			require.Greater(t, i, 50)
			d.Close()
			return
		}
		<-l.freed
		require.True(t, s.open.closed)
		require.ErrorIs(t, l.err, transport.ErrDevice)
		if err != nil { // none if a call that frees failed
			require.Equal(t, l.err, err)
		}
		_, ok := errors.AsType[*device.LostError](l.err)
		require.True(t, ok)
		require.ErrorContains(t, l.err, "cuda:0 is lost")
		failed, ok := errors.AsType[*driver.Error](l.err)
		require.True(t, ok)
		require.Equal(t, 700, failed.Code)
		require.Equal(t, l.err, everything(d, c, v))
		d.Close()
		require.EqualValues(t, 1, l.n.Load())
	}
}

// TestEveryCallFails fails each call in turn, except those that wait, and leaves
// the context: that call fails, and the next ones work.
func TestEveryCallFails(t *testing.T) {
	for _, plant := range []func(string) *driver.Error{invalid, outOfMemory} {
		s, l := newStored(), &losses{}
		d := openStored(t, s, cuda.Options{}, device.Options{Lost: l.lost})
		c, v := weighing(t, d, true, plan.F32, plan.F32, 700, 512)
		for i, planted := 1, true; planted; i++ {
			planted = false
			s.plant(nth("", i, func(call string) *driver.Error {
				planted = true
				if call == "synchronize" {
					return nil
				}
				return plant(call)
			}))
			err := everything(d, c, v)
			s.plant(nil)
			if err != nil {
				require.True(t, errors.Is(err, transport.ErrDevice) || errors.Is(err, transport.ErrMemory), "%v", err)
			}
			require.NoError(t, everything(d, c, v))
		}
		require.Zero(t, l.n.Load())
	}
}

// TestWaitFails fails to wait: whatever the reason, the context is lost, since
// what is queued may go on using memory.
func TestWaitFails(t *testing.T) {
	for i := 1; i < 10; i++ {
		s, l := newStored(), &losses{}
		s.plant(nth("synchronize", i, invalid))
		d, err := cuda.Open(s, 0, cuda.Options{})(device.Options{Lost: l.lost})
		require.NoError(t, err)
		c, v := weighing(t, d, true, plan.F32, plan.F32, 700, 512)
		require.ErrorIs(t, everything(d, c, v), transport.ErrDevice)
		<-l.freed
		d.Close()
	}
}

// running is an engine on a device, with a plan that has a product, a state that
// grows and a retained output.
type running struct {
	e       *engine.Engine
	p       *plan.Plan
	content []byte
}

func newRunning(t *testing.T, s *stored) (*running, error) {
	t.Helper()
	m := planmaker.New(nil)
	p, r := m.Plan(), &running{content: make([]byte, 4*32*8)}
	p.Values = append(p.Values, plan.Value{
		Kind: plan.KindWeight, Name: "w", Spec: plan.Spec{DType: plan.F32, Shape: plan.Shape{plan.C(32), plan.C(8)}}, Storage: plan.F32, Buffer: plan.NoBuffer,
		Hash: transport.HashWeight(plan.F32, []int{32, 8}, r.content),
	})
	past := plan.Spec{DType: plan.F32, Shape: plan.Shape{plan.Sym("past"), plan.C(8)}}
	p.Values = append(p.Values, plan.Value{Kind: plan.KindState, Name: "rows", Spec: past, Buffer: plan.NoBuffer})
	x := m.Input(plan.Spec{DType: plan.F32, Shape: plan.Shape{plan.Sym("n"), plan.C(32)}})
	y, _ := m.Apply("matmul", plan.Attrs{plan.BoolAttr("trans_a", false), plan.BoolAttr("trans_b", false)}, x, 0)
	all, ok := m.Apply("append", op.Append{Axis: 0}.Attrs(), 1, y)
	require.True(t, ok)
	p.States = []plan.State{{Name: "rows", Mode: plan.StateAppend, In: 1, Out: all}}
	p.Outputs = []plan.Output{{Name: "y", Value: y, Place: plan.Download}, {Name: "all", Value: all, Place: plan.Retain}}
	m.Assign()
	r.p = p
	var err error
	r.e, err = engine.New(engine.Options{Device: cuda.Open(s, 0, cuda.Options{}), Threads: 1})
	return r, err
}

// runs makes some runs in a new session.
func (r *running) runs() error {
	prog, err := r.e.Compile(r.p)
	if err != nil {
		return err
	}
	s := r.e.NewSession()
	defer s.Close()
	if err := s.Use(prog); err != nil {
		return err
	}
	for _, v := range r.e.Missing(prog) {
		w, err := r.e.PutWeight(prog, v)
		if err != nil {
			return err
		}
		if _, err := w.Write(r.content); err != nil {
			return err
		}
		if err := w.Commit(); err != nil {
			return err
		}
	}
	past := 0
	for _, n := range []int{3, 1, 70, 1} {
		if err := run(s, prog, past, n); err != nil {
			return err
		}
		past += n
	}
	return nil
}

func run(s *engine.Session, prog *engine.Program, past, n int) error {
	c, err := s.NewCall(prog, []int{past, n})
	if err != nil {
		return err
	}
	defer c.Release()
	if err := c.SetInput(0, make([]byte, 4*32*n)); err != nil {
		return err
	}
	if err := c.Run(context.Background()); err != nil {
		return err
	}
	_, h := c.Output(1)
	_, err = s.Read(h)
	return err
}

// TestEveryCallOfARun fails each call of the driver in turn while an engine
// loads a weight and runs, with the loss of the context and without. The call
// fails with the device's error or a refusal of memory, another session works
// after it, and all memory is given back.
func TestEveryCallOfARun(t *testing.T) {
	for _, plant := range []func(string) *driver.Error{sticky, invalid, outOfMemory} {
		planted, failures := true, 0
		for i := 1; planted; i++ {
			s := newStored()
			r, err := newRunning(t, s)
			require.NoError(t, err)
			planted = false
			s.plant(nth("", i, func(call string) *driver.Error {
				planted = true
				return plant(call)
			}))
			if err := r.runs(); err != nil {
				failures++
				require.True(t, errors.Is(err, transport.ErrDevice) || errors.Is(err, transport.ErrMemory), "%v", err)
			}
			s.plant(nil)
			require.NoError(t, r.runs())
			require.NoError(t, r.e.Close())
			require.Zero(t, r.e.Memory().Used())
			require.True(t, s.open.closed)
		}
		require.Greater(t, failures, 40)
	}
}

// TestLossWhileInUse loses the context while many goroutines call it.
func TestLossWhileInUse(t *testing.T) {
	for after := 100; after < 1000; after += 100 {
		s, l := newStored(), &losses{}
		d, err := cuda.Open(s, 0, cuda.Options{})(device.Options{Lost: l.lost})
		require.NoError(t, err)
		c, v := weighing(t, d, true, plan.F32, plan.F32, 700, 512)
		s.plant(nth("", after, sticky))
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for {
					if err := everything(d, c, v); err != nil {
						if !errors.Is(err, transport.ErrDevice) {
							t.Errorf("%v", err)
						}
						return
					}
				}
			})
		}
		wg.Wait()
		<-l.freed
		require.EqualValues(t, 1, l.n.Load())
		d.Close()
		require.True(t, s.open.closed)
	}
}
