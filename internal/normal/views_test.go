package normal

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport/plan"
)

// spelling is an expression and its normal form, as [text] writes it.
type spelling struct {
	name  string
	build func(g *lazy.Graph) *lazy.Tensor
	want  string
}

func (s spelling) check(t *testing.T) {
	t.Helper()
	t.Run(s.name, func(t *testing.T) {
		g := lazy.NewGraph(s.name)
		y := g.Output("y", s.build(g))
		f := formOf(t, g)
		require.Equal(t, s.want, text(f.To[y.ID()]))
		require.Same(t, f.To[y.ID()], f.Graph.Outputs()[0].Tensor)
	})
}

// x is an input [b, t, 4]; q and k are inputs [b, 2, t, 4] and [b, 2, s, 4].
func x(g *lazy.Graph) *lazy.Tensor { return g.Input("x", lazy.F32, "b", "t", 4) }
func q(g *lazy.Graph) *lazy.Tensor { return g.Input("q", lazy.F32, "b", 2, "t", 4) }
func k(g *lazy.Graph) *lazy.Tensor { return g.Input("k", lazy.F32, "b", 2, "s", 4) }

func w(g *lazy.Graph, shape ...int) *lazy.Tensor {
	n := 1
	for _, d := range shape {
		n *= d
	}
	data := make([]float32, n)
	for i := range data {
		data[i] = float32(i%5) - 2
	}
	return g.WeightF32("w", data, shape...)
}

func TestViews(t *testing.T) {
	for _, s := range []spelling{
		{"identity", func(g *lazy.Graph) *lazy.Tensor { return lazy.ReLU(lazy.Identity(lazy.Identity(x(g)))) }, "relu(x)"},
		{"cast to the same", func(g *lazy.Graph) *lazy.Tensor { return lazy.ReLU(lazy.Cast(x(g), lazy.F32)) }, "relu(x)"},
		{"cast of a widening cast", func(g *lazy.Graph) *lazy.Tensor {
			return lazy.Cast(lazy.Cast(g.Input("i", lazy.I32, "b"), lazy.I64), lazy.F32)
		}, "cast{to=i1}(i)"},
		{"cast of a narrowing cast stays", func(g *lazy.Graph) *lazy.Tensor {
			return lazy.Cast(lazy.Cast(x(g), lazy.I32), lazy.F32)
		}, "cast{to=i1}(cast{to=i4}(x))"},
		{"reshape to the same", func(g *lazy.Graph) *lazy.Tensor { return lazy.ReLU(lazy.Reshape(x(g), "b", "t", 4)) }, "relu(x)"},
		{"reshape and back", func(g *lazy.Graph) *lazy.Tensor {
			return lazy.ReLU(lazy.Reshape(lazy.Reshape(x(g), -1, 4), "b", "t", 4))
		}, "relu(x)"},
		{"reshape of reshape", func(g *lazy.Graph) *lazy.Tensor {
			return lazy.Reshape(lazy.Reshape(x(g), -1, 4), "b", -1)
		}, "reshape{shape=[b, 4*t]}(x)"},
		{"transpose and back", func(g *lazy.Graph) *lazy.Tensor {
			return lazy.ReLU(lazy.Transpose(lazy.Transpose(x(g), 1, 2, 0), 2, 0, 1))
		}, "relu(x)"},
		{"transpose of transpose", func(g *lazy.Graph) *lazy.Tensor {
			return lazy.Transpose(lazy.Transpose(x(g), 1, 0, 2), 0, 2, 1)
		}, "transpose{perm=[1 2 0]}(x)"},
		{"reshape that merges across a transpose stays", func(g *lazy.Graph) *lazy.Tensor {
			return lazy.Reshape(lazy.Transpose(q(g), 0, 2, 1, 3), "b", "t", 8)
		}, "reshape{shape=[b, t, 8]}(transpose{perm=[0 2 1 3]}(q))"},
		{"slice of all", func(g *lazy.Graph) *lazy.Tensor { return lazy.ReLU(lazy.Slice(x(g), 1, plan.C(0), plan.Sym("t"))) }, "relu(x)"},
		{"slice of slice", func(g *lazy.Graph) *lazy.Tensor {
			return lazy.SliceN(lazy.SliceN(x(g), 2, 1, 4), -1, 1, 3)
		}, "slice{axis=i2;start=[2];stop=[4]}(x)"},
		{"slice of slice along another axis stays", func(g *lazy.Graph) *lazy.Tensor {
			return lazy.SliceN(lazy.SliceN(q(g), 3, 1, 4), 1, 1, 2)
		}, "slice{axis=i1;start=[1];stop=[2]}(slice{axis=i3;start=[1];stop=[4]}(q))"},
		{"slice that may not fit stays", func(g *lazy.Graph) *lazy.Tensor {
			return lazy.SliceN(lazy.Slice(x(g), 1, plan.C(0), plan.Sym("t").Sub(plan.C(1))), 1, 0, 2)
		}, "slice{axis=i1;start=[0];stop=[2]}(slice{axis=i1;start=[0];stop=[t-1]}(x))"},
	} {
		s.check(t)
	}
}

func TestConcats(t *testing.T) {
	part := func(x *lazy.Tensor, from, to int) *lazy.Tensor { return lazy.SliceN(x, -1, from, to) }
	for _, s := range []spelling{
		{"concat of one", func(g *lazy.Graph) *lazy.Tensor { return lazy.ReLU(lazy.Concat(1, x(g))) }, "relu(x)"},
		{"concat of adjacent slices", func(g *lazy.Graph) *lazy.Tensor {
			v := x(g)
			return lazy.ReLU(lazy.Concat(-1, part(v, 0, 1), part(v, 1, 3), part(v, 3, 4)))
		}, "relu(x)"},
		{"concat of slices in another order stays", func(g *lazy.Graph) *lazy.Tensor {
			v := x(g)
			return lazy.Concat(-1, part(v, 2, 4), part(v, 0, 2))
		}, "concat{axis=i-1}(slice{axis=i-1;start=[2];stop=[4]}(x), slice{axis=i-1;start=[0];stop=[2]}(x))"},
		{"concat along another axis stays", func(g *lazy.Graph) *lazy.Tensor {
			v := x(g)
			return lazy.Concat(1, part(v, 0, 2), part(v, 2, 4))
		}, "concat{axis=i1}(slice{axis=i-1;start=[0];stop=[2]}(x), slice{axis=i-1;start=[2];stop=[4]}(x))"},
		{"slice of one operand", func(g *lazy.Graph) *lazy.Tensor {
			v := lazy.Concat(2, q(g), k(g))
			return lazy.ReLU(lazy.Slice(v, 2, plan.Sym("t"), v.Dim(2)))
		}, "relu(k)"},
		{"slice within an operand", func(g *lazy.Graph) *lazy.Tensor {
			v := x(g)
			return lazy.SliceN(lazy.Concat(2, v, lazy.ReLU(v)), 2, 5, 7)
		}, "slice{axis=i2;start=[1];stop=[3]}(relu(x))"},
		{"slice across operands stays", func(g *lazy.Graph) *lazy.Tensor {
			v := x(g)
			return lazy.SliceN(lazy.Concat(2, v, lazy.ReLU(v)), 2, 3, 7)
		}, "slice{axis=i2;start=[3];stop=[7]}(concat{axis=i2}(x, relu(x)))"},
		{"the last rows of a growing concat stay", func(g *lazy.Graph) *lazy.Tensor {
			v := lazy.Concat(2, q(g), k(g))
			return lazy.Slice(v, 2, v.Dim(2).Sub(plan.C(1)), v.Dim(2))
		}, "slice{axis=i2;start=[s+t-1];stop=[s+t]}(concat{axis=i2}(q, k))"},
	} {
		s.check(t)
	}
}

func TestTransposedOperands(t *testing.T) {
	for _, s := range []spelling{
		{"keys", func(g *lazy.Graph) *lazy.Tensor { return lazy.MatMul(q(g), lazy.Transpose(k(g), 0, 1, 3, 2)) }, "matmul{trans_a=i0;trans_b=i1}(q, k)"},
		{"a weight", func(g *lazy.Graph) *lazy.Tensor { return lazy.MatMul(x(g), lazy.Transpose(w(g, 3, 4), 1, 0)) }, "matmul{trans_a=i0;trans_b=i1}(x, w)"},
		{"twice", func(g *lazy.Graph) *lazy.Tensor {
			return lazy.MatMul(q(g), lazy.Transpose(lazy.Transpose(k(g), 0, 1, 3, 2), 0, 1, 3, 2), lazy.TransB)
		}, "matmul{trans_a=i0;trans_b=i1}(q, k)"},
		{"heads and keys at once", func(g *lazy.Graph) *lazy.Tensor {
			return lazy.MatMul(q(g), lazy.Transpose(g.Input("k", lazy.F32, "b", "s", 2, 4), 0, 2, 3, 1))
		}, "matmul{trans_a=i0;trans_b=i1}(q, transpose{perm=[0 2 1 3]}(k))"},
		{"the left operand", func(g *lazy.Graph) *lazy.Tensor {
			return lazy.MatMul(lazy.Transpose(k(g), 0, 1, 3, 2), k2(g))
		}, "matmul{trans_a=i1;trans_b=i0}(k, k2)"},
		{"the batch axis stays", func(g *lazy.Graph) *lazy.Tensor {
			return lazy.MatMul(g.Input("a", lazy.F32, 2, 2, 4), lazy.Transpose(g.Input("c", lazy.F32, 4, 2, 4), 1, 0, 2))
		}, "matmul{trans_a=i0;trans_b=i0}(a, transpose{perm=[1 0 2]}(c))"},
	} {
		s.check(t)
	}
}

func k2(g *lazy.Graph) *lazy.Tensor { return g.Input("k2", lazy.F32, "b", 2, "s", 3) }

func TestExpands(t *testing.T) {
	for _, s := range []spelling{
		{"to the same", func(g *lazy.Graph) *lazy.Tensor { return lazy.ReLU(lazy.Expand(x(g), "b", "t", 4)) }, "relu(x)"},
		{"of an expand", func(g *lazy.Graph) *lazy.Tensor {
			return lazy.Expand(lazy.Expand(g.Input("v", lazy.F32, 1, 4), "t", 4), "b", "t", 4)
		}, "expand{shape=[b, t, 4]}(v)"},
		{"of axes of one in front", func(g *lazy.Graph) *lazy.Tensor {
			return lazy.Expand(lazy.Reshape(g.Input("v", lazy.F32, "t", 4), 1, "t", 4), "b", "t", 4)
		}, "expand{shape=[b, t, 4]}(v)"},
		{"broadcasting does it", func(g *lazy.Graph) *lazy.Tensor {
			return lazy.Add(x(g), lazy.Expand(g.Input("v", lazy.F32, 1, 4), "b", "t", 4))
		}, "add(x, v)"},
		{"all operands", func(g *lazy.Graph) *lazy.Tensor {
			v := g.Input("v", lazy.F32, "t", 4)
			return lazy.Mul(lazy.Expand(v, "b", "t", 4), lazy.Expand(lazy.Tanh(v), "b", "t", 4))
		}, "expand{shape=[b, t, 4]}(mul(v, tanh(v)))"},
		{"unary", func(g *lazy.Graph) *lazy.Tensor {
			return lazy.Tanh(lazy.Expand(g.Input("v", lazy.F32, "b", 1), "b", 4))
		}, "expand{shape=[b, 4]}(tanh(v))"},
		{"a condition", func(g *lazy.Graph) *lazy.Tensor {
			v := x(g)
			return lazy.Where(lazy.Expand(g.Input("c", lazy.Bool, "t", 1), "b", "t", 4), v, lazy.Tanh(v))
		}, "where(c, x, tanh(x))"},
		{"the batch of a product", func(g *lazy.Graph) *lazy.Tensor {
			return lazy.MatMul(x(g), lazy.Expand(w(g, 4, 3), "b", 4, 3))
		}, "matmul{trans_a=i0;trans_b=i0}(x, w)"},
		{"the rows of a product stay", func(g *lazy.Graph) *lazy.Tensor {
			return lazy.MatMul(x(g), lazy.Expand(g.Input("v", lazy.F32, 1, 3), 4, 3))
		}, "matmul{trans_a=i0;trans_b=i0}(x, expand{shape=[4, 3]}(v))"},
		{"indices", func(g *lazy.Graph) *lazy.Tensor {
			return lazy.Embedding(w(g, 3, 4), lazy.Expand(g.Input("i", lazy.I64, 1, "t"), "b", "t"))
		}, "expand{shape=[b, t, 4]}(embedding(w, i))"},
		{"a softmax over it stays", func(g *lazy.Graph) *lazy.Tensor {
			return lazy.Softmax(lazy.Expand(g.Input("v", lazy.F32, "b", 1), "b", 4), -1)
		}, "softmax{axis=i-1}(expand{shape=[b, 4]}(v))"},
	} {
		s.check(t)
	}
}
