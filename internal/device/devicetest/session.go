package devicetest

import (
	"context"
	"math"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/engine"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// session is a plan in a session of an engine.
type session struct {
	f    *fixture
	e    *engine.Engine
	s    *engine.Session
	prog *engine.Program
	plan *plan.Plan
}

// session compiles a plan, loads its weights and opens a session.
func (f *fixture) session(e *engine.Engine, p *plan.Plan, weights transport.Weights) *session {
	f.Helper()
	prog, err := e.Compile(p)
	require.NoError(f, err)
	s := e.NewSession()
	require.NoError(f, s.Use(prog))
	for _, v := range e.Missing(prog) {
		w, err := e.PutWeight(prog, v)
		require.NoError(f, err)
		data := weights[v.Hash].Data
		for n := 1; len(data) > 0; n = 3*n + 1 { // in pieces of any size
			n = min(n, len(data))
			_, err := w.Write(data[:n])
			require.NoError(f, err)
			data = data[n:]
		}
		require.NoError(f, w.Commit())
	}
	require.Empty(f, e.Missing(prog))
	return &session{f: f, e: e, s: s, prog: prog, plan: p}
}

// input is bytes or a handle.
type input struct {
	data   []byte
	handle transport.Handle
}

func data(in ...[]byte) (out []input) {
	for _, b := range in {
		out = append(out, input{data: b})
	}
	return out
}

// call begins a call with its inputs.
func (s *session) call(ctx context.Context, sizes plan.Bindings, in []input) (*engine.Call, error) {
	var bindings []int
	for _, sym := range s.prog.Symbols() {
		bindings = append(bindings, sizes[sym])
	}
	c, err := s.s.NewCallContext(ctx, s.prog, bindings)
	if err != nil {
		return nil, err
	}
	for i, x := range in {
		if x.data != nil || c.InputSize(i) == 0 {
			err = c.SetInput(i, x.data)
		} else {
			err = c.SetHandle(i, x.handle)
		}
		if err != nil {
			c.Release()
			return nil, err
		}
	}
	return c, nil
}

// try runs the plan and copies its outputs. For retained outputs it returns the
// handle.
func (s *session) try(ctx context.Context, sizes plan.Bindings, in ...input) ([]transport.Tensor, []transport.Handle, error) {
	c, err := s.call(ctx, sizes, in)
	if err != nil {
		return nil, nil, err
	}
	defer c.Release()
	if err := c.Run(ctx); err != nil {
		return nil, nil, err
	}
	s.f.requireKernels(c)
	var out []transport.Tensor
	var handles []transport.Handle
	for i := range s.plan.Outputs {
		t, h := c.Output(i)
		t.Shape, t.Data = append([]int(nil), t.Shape...), append([]byte(nil), t.Data...)
		out, handles = append(out, t), append(handles, h)
	}
	return out, handles, nil
}

// requireKernels compares what computed a call's groups with the prediction.
func (f *fixture) requireKernels(c *engine.Call) {
	f.Helper()
	if f.opts.Kernels == nil {
		return
	}
	p, b := c.Bound()
	want, got := f.opts.Kernels(p, b), c.Kernels()
	require.Len(f, got, len(want))
	for i, g := range p.Groups {
		require.Equal(f, want[i], got[i], "group %d (%s) of inputs %v ran another kernel than predicted", i, p.Labels[i], g.In)
	}
}

// run is try that must succeed.
func (s *session) run(sizes plan.Bindings, in ...[]byte) []transport.Tensor {
	s.f.Helper()
	out, _, err := s.try(context.Background(), sizes, data(in...)...)
	require.NoError(s.f, err)
	return out
}

// requireNear compares a result with the reference's.
func (f *fixture) requireNear(want *op.Array, got transport.Tensor, what string) {
	f.Helper()
	f.requireWithin(f.opts.Tolerance, want, got, what)
}

// tolerance is the allowed difference for a plan.
func (f *fixture) tolerance(p *plan.Plan) float64 {
	for i := range p.Values {
		if v := &p.Values[i]; v.Kind == plan.KindWeight && (v.Storage == plan.BF16 || v.Storage == plan.F16) {
			return max(f.opts.Tolerance, f.opts.Half)
		}
	}
	return f.opts.Tolerance
}

// requireWithin compares a result with the reference's, given the allowed
// difference.
func (f *fixture) requireWithin(tolerance float64, want *op.Array, got transport.Tensor, what string) {
	f.Helper()
	require.Equal(f, want.DType, got.DType, what)
	require.Len(f, got.Shape, len(want.Shape), what)
	for i := range want.Shape {
		require.Equal(f, want.Shape[i], got.Shape[i], "%s: %v", what, got.Shape)
	}
	n := want.Len() * want.DType.Size()
	require.Len(f, got.Data, n, what)
	if f.opts.Zeros {
		for i, x := range got.Data {
			require.Zero(f, x, "%s: byte %d", what, i)
		}
		return
	}
	if tolerance == 0 || want.DType != plan.F32 {
		x, y := bits(want.Data[:n], want.DType), bits(got.Data, want.DType)
		for i := range x {
			if x[i] != y[i] {
				f.Fatalf("%s: byte %d of %v%v is %#x, by the reference %#x", what, i, want.DType, want.Shape, y[i], x[i])
			}
		}
		return
	}
	x, y := want.F32()[:want.Len()], (&op.Array{Data: got.Data}).F32()
	largest := 1.0
	for _, v := range x {
		if a := math.Abs(float64(v)); !math.IsInf(a, 0) && a > largest {
			largest = a
		}
	}
	for i := range x {
		a, b := float64(x[i]), float64(y[i])
		switch {
		case a == b, math.IsNaN(a) && math.IsNaN(b):
		case !(math.Abs(a-b) <= tolerance*largest):
			f.Fatalf("%s: element %d is %v, by the reference %v", what, i, b, a)
		}
	}
}

// bits are a value's elements, with one representation for all NaNs.
func bits(b []byte, t plan.DType) []byte {
	if t != plan.F32 {
		return b
	}
	a := op.NewArray(t, len(b)/4)
	copy(a.Data, b)
	for i, x := range a.F32() {
		if x != x {
			a.F32()[i] = float32(math.NaN())
		}
	}
	return a.Data
}

// check runs a plan several times with the same calls on the device and by reference.
func (f *fixture) check(e *engine.Engine, what string, p *plan.Plan, weights transport.Weights, calls ...call) {
	f.Helper()
	s := f.session(e, p, weights)
	defer s.s.Close()
	ref, err := newReference(p, weights)
	require.NoError(f, err)
	for _, c := range calls {
		want, err := ref.run(c.sizes, c.in)
		require.NoError(f, err, what)
		for i, got := range s.run(c.sizes, c.in...) {
			f.requireWithin(f.tolerance(p), want[i], got, what)
		}
	}
}

// call is the arguments of a call.
type call struct {
	sizes plan.Bindings
	in    [][]byte
}
