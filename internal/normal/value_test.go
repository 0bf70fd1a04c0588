package normal

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/lazygraph"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport/plan"
)

// run computes tensors of a graph by the reference kernels. Inputs have random
// values that depend on their names alone.
type run struct {
	g    *lazy.Graph
	bind plan.Bindings
	at   map[*lazy.Tensor]*op.Array
}

func newRun(g *lazy.Graph, b plan.Bindings) *run {
	return &run{g: g, bind: b, at: map[*lazy.Tensor]*op.Array{}}
}

func (r *run) value(x *lazy.Tensor) (*op.Array, error) {
	if a := r.at[x]; a != nil {
		return a, nil
	}
	a, err := r.compute(x)
	r.at[x] = a
	return a, err
}

func (r *run) compute(x *lazy.Tensor) (*op.Array, error) {
	shape, err := x.Shape().Eval(r.bind)
	if err != nil {
		return nil, err
	}
	out := op.NewArray(x.DType(), shape...)
	switch x.Kind() {
	case lazy.KindConst:
		copy(out.Data, x.ConstData())
		return out, nil
	case lazy.KindWeight:
		hash, _ := x.WeightRef()
		w, err := r.g.Weight(hash)
		copy(out.Data, w.Data)
		return out, err
	case lazy.KindInput:
		fill(out, x.Name())
		return out, nil
	case lazy.KindOp:
	}
	in := make([]*op.Array, len(x.In()))
	specs := make([]plan.Spec, len(in))
	for i, y := range x.In() {
		if in[i], err = r.value(y); err != nil {
			return nil, err
		}
		specs[i] = plan.Spec{DType: in[i].DType, Shape: op.Static(in[i].Shape)}
	}
	o, err := op.Bind(lazygraph.Op(x), r.bind)
	if err != nil {
		return nil, err
	}
	if _, err := o.Infer(specs); err != nil {
		return nil, err
	}
	return out, o.Eval(out, in, nil)
}

// fill writes values that depend on a name: numbers of both signs, indices 0 and
// 1.
func fill(a *op.Array, name string) {
	seed := uint64(17)
	for _, c := range name {
		seed = seed*131 + uint64(c)
	}
	rng := rand.New(rand.NewPCG(seed, 1))
	for i := range a.Len() {
		switch a.DType {
		case plan.F32:
			a.F32()[i] = 2*rng.Float32() - 1
		case plan.Bool:
			a.Data[i] = byte(rng.IntN(2))
		default:
			a.SetInt(i, rng.IntN(2))
		}
	}
}

// sameValues requires that every captured tensor has its value in the normal
// form.
func sameValues(t *testing.T, g *lazy.Graph, f *Form, b plan.Bindings) {
	t.Helper()
	was, is := newRun(g, b), newRun(f.Graph, b)
	for id, x := range g.Tensors() {
		want, err := was.value(x)
		if err != nil {
			continue // the captured program refuses these sizes
		}
		got, err := is.value(f.To[id])
		require.NoError(t, err, "%v as %v", x, f.To[id])
		require.NoError(t, closeTo(want, got), "%v as %v", x, f.To[id])
	}
}

func closeTo(want, got *op.Array) error {
	if want.DType != plan.F32 {
		if string(want.Data) != string(got.Data) {
			return errDiffer
		}
		return nil
	}
	top := 1.0
	for _, v := range want.F32() {
		if x := math.Abs(float64(v)); !math.IsInf(x, 0) && x == x {
			top = max(top, x)
		}
	}
	for i, v := range want.F32() {
		w := got.F32()[i]
		if v != w && (v == v || w == w) && !(math.Abs(float64(v-w)) <= 1e-5*top) {
			return errDiffer
		}
	}
	return nil
}
