package normal

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/lazygraph"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/internal/spellings"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport/plan"
)

// TestMutatedSpellings changes one thing of a spelling (an operator, an operand,
// a constant) and checks that the normal form has the values of the program as it
// then is: what nearly is a concept is no trap.
func TestMutatedSpellings(t *testing.T) {
	mutations := 25
	if testing.Short() {
		mutations = 4
	}
	changed, refused := 0, 0
	for _, c := range concepts(t) {
		if strings.HasPrefix(c.File, "attention") {
			continue // a mask that is a little less than all scores loses these in the captured program's rounding
		}
		for i, s := range c.Spellings {
			g, _, err := c.Program(s, spellings.Args{Weight: weight})
			require.NoError(t, err)
			for k := range mutations {
				rng := rand.New(rand.NewPCG(uint64(i), uint64(k)))
				m := mutated(rng, g)
				if m == nil {
					refused++
					continue
				}
				changed++
				require.Empty(t, faultsOf(m), "%s, %s, mutation %d", c.Name, s.Name, k)
				f, err := Of(m, nil, nil)
				require.NoError(t, err)
				was, is := newRun(m, c.Sizes()), newRun(f.Graph, c.Sizes())
				for id, x := range m.Tensors() {
					want, err := was.value(x)
					if err != nil || x.DType() == plan.F32 && !tame(want) {
						continue
					}
					got, err := is.value(f.To[id])
					require.NoError(t, err, "%s, %s, mutation %d: %s", c.Name, s.Name, k, text(x))
					if x.DType() == plan.F32 {
						require.True(t, alike(want, got), "%s, %s, mutation %d: %s as\n%s", c.Name, s.Name, k, text(x), text(f.To[id]))
					} else {
						require.Equal(t, want.Data, got.Data)
					}
				}
			}
		}
	}
	require.Greater(t, changed, 4*refused, "mutations are programs")
}

var (
	unaries  = []op.Op{op.Exp{}, op.Tanh{}, op.Sigmoid(), op.Erf(), op.Sqrt{}, op.Rsqrt(), op.Reciprocal(), op.Neg(), op.Log(), op.Abs(), op.Cos(), op.Sin()}
	binaries = []op.Op{op.Add(), op.Sub(), op.Mul(), op.Div(), op.Max(), op.Min()}
)

// mutated is g with one operator, one operand or one constant changed; nil if that
// is no program.
func mutated(rng *rand.Rand, g *lazy.Graph) *lazy.Graph {
	out := lazy.NewGraph("mutated")
	to := make([]*lazy.Tensor, len(g.Tensors()))
	victim := rng.IntN(len(to))
	for id, x := range g.Tensors() {
		var y *lazy.Tensor
		switch x.Kind() {
		case lazy.KindInput:
			y = input(out, x.Name(), x.Shape())
			if x.DType() != plan.F32 {
				y = out.Input(x.Name(), x.DType(), anyDims(x.Shape())...)
			}
		case lazy.KindWeight:
			h, _ := x.WeightRef()
			w, err := g.Weight(h)
			if err != nil {
				return nil
			}
			w.Name = x.Name()
			y = out.AddWeight(w)
		case lazy.KindConst:
			data := slices.Clone(x.ConstData())
			if id == victim {
				changeConstant(rng, x, data)
			}
			shape, _ := static(x.Shape())
			y = out.ConstBytes(x.DType(), data, shape...)
		case lazy.KindOp:
			o, in := lazygraph.Op(x), make([]*lazy.Tensor, len(x.In()))
			for i, z := range x.In() {
				in[i] = to[z.ID()]
			}
			if id == victim {
				o = changeOperands(rng, o, in, to[:id])
			}
			y = lazy.Apply(o, in...)
		}
		if y.Err() != nil {
			return nil
		}
		to[id] = y
	}
	for _, o := range g.Outputs() {
		out.Output(o.Name, to[o.Tensor.ID()])
	}
	for _, c := range g.Carries() {
		out.Carry(to[c.In.ID()], to[c.Out.ID()])
	}
	if out.Err() != nil {
		return nil
	}
	return out
}

func anyDims(s plan.Shape) []any {
	dims := make([]any, len(s))
	for i, d := range s {
		dims[i] = d
	}
	return dims
}

// changeConstant changes one number of a constant a little, or its sign.
func changeConstant(rng *rand.Rand, x *lazy.Tensor, data []byte) {
	if x.DType() != plan.F32 || len(data) == 0 {
		return
	}
	a := &op.Array{DType: plan.F32, Shape: []int{len(data) / 4}, Strides: []int{1}, Data: data}
	i := rng.IntN(a.Len())
	v := float64(a.F32()[i])
	a.F32()[i] = float32([]float64{v * 1.01, -v, v + 1, math.Sqrt(math.Abs(v)), 2 * v}[rng.IntN(5)])
}

// changeOperands changes the operator to another of its kind, swaps its operands
// or takes another value for one.
func changeOperands(rng *rand.Rand, o op.Op, in, before []*lazy.Tensor) op.Op {
	switch rng.IntN(3) {
	case 0:
		for _, list := range [][]op.Op{unaries, binaries} {
			if slices.ContainsFunc(list, func(x op.Op) bool { return x.Name() == o.Name() }) {
				return list[rng.IntN(len(list))]
			}
		}
	case 1:
		if len(in) > 1 && in[0].Spec().String() == in[1].Spec().String() {
			in[0], in[1] = in[1], in[0]
			return o
		}
	}
	i := rng.IntN(len(in) + 1)
	if i == len(in) {
		return o
	}
	for range 8 {
		if x := before[rng.IntN(len(before))]; x.Spec().String() == in[i].Spec().String() {
			in[i] = x
			break
		}
	}
	return o
}
