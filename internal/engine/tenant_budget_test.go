package engine

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/device/cpu"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// purse is a budget with a limit.
type purse struct{ used, limit int64 }

var errPurse = errors.New("over the purse")

func (b *purse) Take(n int64) error {
	if b.used+n > b.limit {
		return errPurse
	}
	b.used += n
	return nil
}

func (b *purse) Give(n int64) { b.used -= n }

func runOnce(t *testing.T, s *Session, p *Program, bindings []int, x []byte) (transport.Handle, error) {
	t.Helper()
	c, err := s.NewCall(p, bindings)
	if err != nil {
		return transport.Handle{}, err
	}
	defer c.Release()
	require.NoError(t, c.SetInput(0, x))
	if err := c.Run(context.Background()); err != nil {
		return transport.Handle{}, err
	}
	_, h := c.Output(1)
	return h, nil
}

// TestTenantBudget takes everything that a session holds from its budget, refuses
// what exceeds it, and releases everything.
func TestTenantBudget(t *testing.T) {
	e, err := New(Options{Device: cpu.Open, Threads: 1})
	require.NoError(t, err)
	defer e.Close()
	p, err := e.Compile(appendPlan())
	require.NoError(t, err)
	b := &purse{limit: 1 << 20}
	s := e.NewSession()
	s.Charge(b)
	h, err := runOnce(t, s, p, []int{0, 1}, f32(1, 2))
	require.NoError(t, err)
	const row = keptHead + 8
	bound := e.Stats().PlanBytes - p.size
	require.Positive(t, bound)
	state := e.Stats().StateBytes + bound
	require.Equal(t, state+row, b.used, "the state, the binding and a retained row")
	s.Release(h)
	s.Release(h)
	require.Equal(t, state, b.used)

	b.limit = state
	_, err = runOnce(t, s, p, []int{1, 1}, f32(3, 4))
	require.ErrorIs(t, err, errPurse, "the retained rows do not fit")
	require.Equal(t, state, b.used)
	b.limit = state + row + 8 // exactly the retained rows
	_, err = runOnce(t, s, p, []int{1, 1}, f32(3, 4))
	require.NoError(t, err, "the refused run has left the state as it was")
	_, err = runOnce(t, s, p, []int{2, 100}, make([]byte, 800))
	require.ErrorIs(t, err, errPurse, "the state has to grow")
	s.Reset()
	require.Equal(t, row+8+bound, b.used)
	s.Close()
	s.Close()
	require.Zero(t, b.used)
	require.Zero(t, e.Stats().StateBytes)
}

// replacePlan carries a [n] that becomes its input, of any length.
func replacePlan() *plan.Plan {
	f := func(n plan.Dim) plan.Spec { return plan.Spec{DType: plan.F32, Shape: plan.Shape{n}} }
	m, n := plan.Sym("m"), plan.Sym("n")
	return &plan.Plan{
		Version: plan.Version, Name: "replace", Buffers: 2,
		Values: []plan.Value{
			{Kind: plan.KindState, Name: "a", Spec: f(m), Buffer: plan.NoBuffer},
			{Kind: plan.KindInput, Name: "x", Spec: f(n), Buffer: plan.NoBuffer},
			{Kind: plan.KindTemp, Spec: f(n), Buffer: 0},
			{Kind: plan.KindState, Name: "b", Spec: f(m), Buffer: plan.NoBuffer},
			{Kind: plan.KindTemp, Spec: f(n), Buffer: 1},
		},
		Steps: []plan.Step{
			{Op: "add", In: []int{1, 1}, Out: 2}, {Op: "add", In: []int{1, 2}, Out: 4},
		},
		Inputs: []plan.Port{{Name: "x", Value: 1}},
		Outputs: []plan.Output{
			{Name: "twice", Value: 2, Place: plan.Download}, {Name: "kept", Value: 2, Place: plan.Retain},
		},
		States: []plan.State{{Name: "a", Mode: plan.StateReplace, In: 0, Out: 2}, {Name: "b", Mode: plan.StateReplace, In: 3, Out: 4}},
	}
}

// TestBudgetAllOrNothing refuses the second of two growing states: the first
// keeps its value, and the memory taken for it is released.
func TestBudgetAllOrNothing(t *testing.T) {
	e, err := New(Options{Device: cpu.Open, Threads: 1})
	require.NoError(t, err)
	defer e.Close()
	p, err := e.Compile(replacePlan())
	require.NoError(t, err)
	b := &purse{limit: 1 << 20}
	s := e.NewSession()
	s.Charge(b)
	h, err := runOnce(t, s, p, []int{1, 1}, f32(1))
	require.NoError(t, err)
	s.Release(h)
	used := b.used
	b.limit = used + 600 // room for one state of 512 bytes
	_, err = runOnce(t, s, p, []int{1, 128}, make([]byte, 512))
	require.ErrorIs(t, err, errPurse)
	require.Equal(t, used, b.used)
	b.limit = 1 << 20
	_, err = runOnce(t, s, p, []int{1, 1}, f32(2))
	require.NoError(t, err, "both states are as they were")
	s.Close()
	require.Zero(t, b.used)
}
