package engine

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/budget"
	"github.com/genie-sdk/go/internal/device/cpu"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// panicking panics at a place, once.
type panicking struct {
	at   string
	done atomic.Bool
}

func (p *panicking) fault(at string) {
	if at == p.at && p.done.CompareAndSwap(false, true) {
		panic("planted at " + at)
	}
}

// within fails the test when f does not end.
func within(t *testing.T, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Fatalf("%s did not end: a lock has outlived the panic", what)
	}
}

// appendCall is a call of appendPlan for n more rows.
func appendCall(s *Session, p *Program, past, n int) error {
	c, err := s.NewCall(p, []int{past, n})
	if err != nil {
		return err
	}
	defer c.Release()
	if err := c.SetInput(0, f32(make([]float32, 2*n)...)); err != nil {
		return err
	}
	return c.Run(context.Background())
}

// TestPanicLeavesNoLock plants a panic at each place where a call leaves the
// kernels, and in a kernel: it is an error, the session closes, others run, and
// all memory is released to the budgets.
func TestPanicLeavesNoLock(t *testing.T) {
	for _, c := range []struct {
		at     string
		breaks bool // the session runs no other call
	}{
		{"bind", true},
		{"grow", true},
		{"place", true},
		{"settle", true},
		{"finish", true},
		{"kernel", false},
	} {
		t.Run(c.at, func(t *testing.T) {
			planted := &panicking{}
			e, err := New(Options{Device: cpu.Open, Threads: 2, MemLimit: 1 << 30, fault: planted.fault})
			require.NoError(t, err)
			p, err := e.Compile(appendPlan())
			require.NoError(t, err)
			total := &purse{limit: 1 << 30}
			s := e.NewSession()
			s.Charge(total)
			require.NoError(t, appendCall(s, p, 0, 3))
			planted.at = c.at
			within(t, "the call", func() { err = appendCall(s, p, 3, 1000) })
			require.ErrorIs(t, err, transport.ErrInternal)
			var caught *PanicError
			require.ErrorAs(t, err, &caught)
			require.Contains(t, string(caught.Stack), "panicking).fault")
			require.True(t, planted.done.Load())

			within(t, "another call", func() { err = appendCall(s, p, 3, 1) })
			if c.breaks {
				require.ErrorIs(t, err, transport.ErrInternal)
				require.ErrorIs(t, s.Use(p), transport.ErrInternal)
				_, err = s.Read(transport.Handle{Session: s.ID(), ID: 1})
				require.ErrorIs(t, err, transport.ErrInternal)
			} else {
				require.NoError(t, err)
			}
			other := e.NewSession()
			within(t, "another session", func() { err = appendCall(other, p, 0, 3) })
			require.NoError(t, err)
			within(t, "Reset", s.Reset)
			within(t, "Close", s.Close)
			within(t, "Close", other.Close)
			require.Zero(t, total.used)
			held := e.Memory().Held()
			require.Zero(t, held[budget.State])
			require.Zero(t, held[budget.Retained])
			e.Memory().Reclaim()
			require.Zero(t, e.Memory().Used())
			within(t, "Close", func() { err = e.Close() })
			require.NoError(t, err)
		})
	}
}

// TestPanicInCompile plants one where plans are compiled.
func TestPanicInCompile(t *testing.T) {
	planted := &panicking{at: "compile"}
	e, err := New(Options{Device: cpu.Open, Threads: 1, fault: planted.fault})
	require.NoError(t, err)
	_, err = e.Compile(appendPlan())
	require.ErrorIs(t, err, transport.ErrInternal)
	_, err = e.Compile(appendPlan())
	require.NoError(t, err)
	require.NoError(t, e.Close())
}

// convPlan is a convolution of x [n, 1, 3, 3] with one filter, a weight.
func convPlan(h plan.Hash) *plan.Plan {
	f := func(dims ...plan.Dim) plan.Spec { return plan.Spec{DType: plan.F32, Shape: dims} }
	one, three := plan.C(1), plan.C(3)
	return &plan.Plan{
		Version: plan.Version, Name: "conv", Buffers: 1,
		Values: []plan.Value{
			{Kind: plan.KindInput, Name: "x", Spec: f(plan.Sym("n"), one, three, three), Buffer: plan.NoBuffer},
			{Kind: plan.KindWeight, Name: "w", Spec: f(one, one, three, three), Hash: h, Storage: plan.F32, Buffer: plan.NoBuffer},
			{Kind: plan.KindTemp, Spec: f(plan.Sym("n"), one, one, one), Buffer: 0},
		},
		Steps: []plan.Step{{
			Op: "conv2d", In: []int{0, 1}, Out: 2,
			Attrs: op.Conv2D{Stride: [2]int{1, 1}, Dilation: [2]int{1, 1}, Groups: 1}.Attrs(),
		}},
		Inputs:  []plan.Port{{Name: "x", Value: 0}},
		Outputs: []plan.Output{{Name: "y", Value: 2, Place: plan.Download}},
	}
}

// TestPanicInWeights plants panics where a weight is loaded and where it is
// packed.
func TestPanicInWeights(t *testing.T) {
	data := f32(make([]float32, 9)...)
	h := transport.HashWeight(plan.F32, []int{1, 1, 3, 3}, data)
	for _, at := range []string{"write", "commit", "pack"} {
		t.Run(at, func(t *testing.T) {
			planted := &panicking{at: at}
			e, err := New(Options{Device: cpu.Open, Threads: 1, MemLimit: 1 << 30, fault: planted.fault})
			require.NoError(t, err)
			p, err := e.Compile(convPlan(h))
			require.NoError(t, err)
			put := func() error {
				w, err := e.PutWeight(p, e.Missing(p)[0])
				require.NoError(t, err)
				defer w.Abort()
				if _, err := w.Write(data); err != nil {
					return err
				}
				return w.Commit()
			}
			call := func() error {
				s := e.NewSession()
				defer s.Close()
				c, err := s.NewCall(p, []int{2})
				if err != nil {
					return err
				}
				defer c.Release()
				return errors.Join(c.SetInput(0, f32(make([]float32, 18)...)), c.Run(context.Background()))
			}
			if at == "pack" {
				require.NoError(t, put())
				within(t, "the call", func() { err = call() })
				require.ErrorIs(t, err, transport.ErrInternal)
			} else {
				require.ErrorIs(t, put(), transport.ErrInternal)
				require.Equal(t, p.Size(), e.Memory().Used(), "but for the plan")
				require.NoError(t, put())
			}
			within(t, "a call", func() { err = call() })
			require.NoError(t, err)
			e.Memory().Reclaim()
			require.Zero(t, e.Memory().Used())
			require.NoError(t, e.Close())
		})
	}
}
