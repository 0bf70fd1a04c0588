package normal

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/lazy"
)

func c(g *lazy.Graph, v float32, shape ...int) *lazy.Tensor {
	n := 1
	for _, d := range shape {
		n *= d
	}
	data := make([]float32, n)
	for i := range data {
		data[i] = v
	}
	return g.Const(data, shape...)
}

func TestScales(t *testing.T) {
	for _, s := range []spelling{
		{"product", func(g *lazy.Graph) *lazy.Tensor { return lazy.Mul(x(g), c(g, 0.5, 1)) }, "mul(x, const)"},
		{"from the left", func(g *lazy.Graph) *lazy.Tensor { return lazy.Mul(c(g, 0.5), x(g)) }, "mul(x, const)"},
		{"of another shape", func(g *lazy.Graph) *lazy.Tensor { return lazy.Mul(x(g), c(g, 0.5, 1, 1, 4)) }, "mul(x, const)"},
		{"expanded", func(g *lazy.Graph) *lazy.Tensor { return lazy.Mul(lazy.Expand(c(g, 2, 1), "b", "t", 4), x(g)) }, "mul(x, const)"},
		{"quotient", func(g *lazy.Graph) *lazy.Tensor { return lazy.Div(x(g), c(g, 8, 1)) }, "mul(x, const)"},
		{"negation", func(g *lazy.Graph) *lazy.Tensor { return lazy.Neg(x(g)) }, "mul(x, const)"},
		{"chain", func(g *lazy.Graph) *lazy.Tensor {
			return lazy.Neg(lazy.Div(lazy.Mul(x(g), c(g, 3, 1)), c(g, 4, 1)))
		}, "mul(x, const)"},
		{"by one", func(g *lazy.Graph) *lazy.Tensor { return lazy.ReLU(lazy.Div(x(g), c(g, 1, 1))) }, "relu(x)"},
		{"that cancels", func(g *lazy.Graph) *lazy.Tensor { return lazy.ReLU(lazy.Neg(lazy.Neg(x(g)))) }, "relu(x)"},
		{"by a tensor stays", func(g *lazy.Graph) *lazy.Tensor { return lazy.Mul(x(g), g.Input("s", lazy.F32, 1)) }, "mul(x, s)"},
		{"by several constants stays", func(g *lazy.Graph) *lazy.Tensor {
			return lazy.Mul(x(g), g.Const([]float32{1, 2, 3, 4}, 4))
		}, "mul(x, const)"},
		{"by zero stays", func(g *lazy.Graph) *lazy.Tensor { return lazy.Div(x(g), c(g, 0, 1)) }, "div(x, const)"},
		{"beyond float32 stays", func(g *lazy.Graph) *lazy.Tensor {
			return lazy.Mul(lazy.Mul(x(g), c(g, 1e30, 1)), c(g, 1e30, 1))
		}, "mul(mul(x, const), const)"},
		{"of a larger constant stays", func(g *lazy.Graph) *lazy.Tensor {
			return lazy.Mul(g.Input("s", lazy.F32, 4), c(g, 2, 3, 4))
		}, "mul(s, const)"},
		{"of integers stays", func(g *lazy.Graph) *lazy.Tensor { return lazy.Neg(g.Input("i", lazy.I64, "b")) }, "neg(i)"},
		{"of a constant numerator stays", func(g *lazy.Graph) *lazy.Tensor {
			return lazy.Div(c(g, 3, 1), lazy.Exp(x(g)))
		}, "div(const, exp(x))"},
	} {
		s.check(t)
	}
	// One form: also one constant.
	g := lazy.NewGraph("one form")
	v := x(g)
	all := []*lazy.Tensor{
		lazy.Mul(v, c(g, 0.25, 1)), lazy.Mul(c(g, 0.25), v), lazy.Div(v, c(g, 4, 1, 1)), lazy.Div(lazy.Div(v, c(g, 2)), c(g, 2, 1)),
		lazy.Neg(lazy.Div(v, c(g, -4, 1))), lazy.Mul(lazy.Mul(v, c(g, -0.5, 4)), c(g, -0.5, 1)),
	}
	f := formOf(t, g)
	for _, y := range all {
		require.Same(t, f.To[all[0].ID()], f.To[y.ID()], "%v", y)
	}
}

func TestSums(t *testing.T) {
	for _, s := range []spelling{
		{"of zero", func(g *lazy.Graph) *lazy.Tensor { return lazy.ReLU(lazy.Add(c(g, 0, 1), x(g))) }, "relu(x)"},
		{"constant on the right", func(g *lazy.Graph) *lazy.Tensor { return lazy.Add(c(g, 2), x(g)) }, "add(x, const)"},
		{"less a constant", func(g *lazy.Graph) *lazy.Tensor { return lazy.Sub(x(g), c(g, 2, 1)) }, "add(x, const)"},
		{"a constant less", func(g *lazy.Graph) *lazy.Tensor { return lazy.Sub(c(g, 1, 1), x(g)) }, "sub(const, x)"},
		{"a constant less, by a negation", func(g *lazy.Graph) *lazy.Tensor { return lazy.Add(lazy.Neg(x(g)), c(g, 1)) }, "sub(const, x)"},
		{"difference", func(g *lazy.Graph) *lazy.Tensor {
			v := x(g)
			return lazy.Sub(v, lazy.Tanh(v))
		}, "sub(x, tanh(x))"},
		{"difference by a negation", func(g *lazy.Graph) *lazy.Tensor {
			v := x(g)
			return lazy.Add(lazy.Neg(lazy.Tanh(v)), v)
		}, "sub(x, tanh(x))"},
		{"less a negation", func(g *lazy.Graph) *lazy.Tensor {
			v := x(g)
			return lazy.Sub(v, lazy.Neg(lazy.Tanh(v)))
		}, "add(x, tanh(x))"},
		{"constants do not join", func(g *lazy.Graph) *lazy.Tensor {
			return lazy.Sub(lazy.Add(x(g), c(g, 1e8, 1)), c(g, 1e8, 1))
		}, "add(add(x, const), const)"},
	} {
		s.check(t)
	}
}

func TestPowers(t *testing.T) {
	square := func(v *lazy.Tensor) *lazy.Tensor { return lazy.Add(lazy.Mul(v, v), v.Graph().Const([]float32{1}, 1)) }
	for _, s := range []spelling{
		{"square", func(g *lazy.Graph) *lazy.Tensor { return lazy.Pow(x(g), c(g, 2)) }, "mul(x, x)"},
		{"cube", func(g *lazy.Graph) *lazy.Tensor { return lazy.Pow(x(g), c(g, 3, 1)) }, "mul(mul(x, x), x)"},
		{"root", func(g *lazy.Graph) *lazy.Tensor { return lazy.Pow(square(x(g)), c(g, 0.5, 1)) }, "sqrt(add(mul(x, x), const))"},
		{"by a tensor stays", func(g *lazy.Graph) *lazy.Tensor { return lazy.Pow(square(x(g)), g.Input("e", lazy.F32, 1)) }, "pow(add(mul(x, x), const), e)"},
		{"reciprocal", func(g *lazy.Graph) *lazy.Tensor { return lazy.Div(c(g, 1, 1), square(x(g))) }, "reciprocal(add(mul(x, x), const))"},
		{"product with a reciprocal", func(g *lazy.Graph) *lazy.Tensor {
			v := x(g)
			return lazy.Mul(v, lazy.Reciprocal(square(v)))
		}, "div(x, add(mul(x, x), const))"},
	} {
		s.check(t)
	}
	g := lazy.NewGraph("one form")
	v := square(x(g))
	one := c(g, 1, 1)
	all := []*lazy.Tensor{
		lazy.Rsqrt(v), lazy.Div(one, lazy.Sqrt(v)), lazy.Reciprocal(lazy.Sqrt(v)), lazy.Sqrt(lazy.Div(one, v)), lazy.Pow(v, c(g, -0.5, 1)),
		lazy.Pow(lazy.Sqrt(v), c(g, -1)), lazy.Div(one, lazy.Pow(v, c(g, 0.5))),
	}
	f := formOf(t, g)
	for _, y := range all {
		require.Equal(t, "rsqrt(add(mul(x, x), const))", text(f.To[y.ID()]), "%v", y)
	}
}

func TestBiases(t *testing.T) {
	b := func(g *lazy.Graph, shape ...int) *lazy.Tensor {
		return g.WeightF32("bias", []float32{1, 2, 3}, shape...)
	}
	const want = "bias(matmul{trans_a=i0;trans_b=i0}(x, w), bias)"
	for _, s := range []spelling{
		{"bias", func(g *lazy.Graph) *lazy.Tensor { return lazy.Linear(x(g), w(g, 4, 3), b(g, 3)) }, want},
		{"sum", func(g *lazy.Graph) *lazy.Tensor { return lazy.Add(lazy.MatMul(x(g), w(g, 4, 3)), b(g, 3)) }, want},
		{"sum from the left", func(g *lazy.Graph) *lazy.Tensor { return lazy.Add(b(g, 3), lazy.MatMul(x(g), w(g, 4, 3))) }, want},
		{"axes of one", func(g *lazy.Graph) *lazy.Tensor {
			return lazy.Add(lazy.MatMul(x(g), w(g, 4, 3)), b(g, 1, 1, 3))
		}, "bias(matmul{trans_a=i0;trans_b=i0}(x, w), reshape{shape=[3]}(bias))"},
		{"another axis stays", func(g *lazy.Graph) *lazy.Tensor {
			return lazy.Add(lazy.MatMul(x(g), w(g, 4, 3)), g.Input("v", lazy.F32, "t", 1))
		}, "add(matmul{trans_a=i0;trans_b=i0}(x, w), v)"},
		{"of what is pointwise", func(g *lazy.Graph) *lazy.Tensor {
			return lazy.Bias(lazy.Tanh(x(g)), w(g, 4))
		}, "add(tanh(x), w)"},
	} {
		s.check(t)
	}
}

// TestFolding checks what becomes a constant and what is too large to be one.
func TestFolding(t *testing.T) {
	for _, s := range []spelling{
		{"arithmetic", func(g *lazy.Graph) *lazy.Tensor {
			return lazy.Mul(x(g), lazy.Sqrt(lazy.Add(g.Const([]float32{1, 2, 3, 4}, 4), c(g, 2, 1))))
		}, "mul(x, const)"},
		{"to a scale", func(g *lazy.Graph) *lazy.Tensor { return lazy.Div(x(g), lazy.Sqrt(c(g, 64, 1))) }, "mul(x, const)"},
		{"a table stays", func(g *lazy.Graph) *lazy.Tensor {
			return lazy.Sum(lazy.MatMul(g.Const(make([]float32, 100), 100, 1), g.Const(make([]float32, 100), 1, 100)), 0)
		}, "reduce{axes=[0];keep=i0;kind=sum}(mul(const, const))"},
		{"of a symbol stays", func(g *lazy.Graph) *lazy.Tensor {
			return lazy.Sum(lazy.Expand(c(g, 2, 1), "t"), 0)
		}, "reduce{axes=[0];keep=i0;kind=sum}(expand{shape=[t]}(const))"},
		{"weights stay", func(g *lazy.Graph) *lazy.Tensor { return lazy.Mul(w(g, 4), c(g, 2, 1)) }, "mul(w, const)"},
		{"what fails stays", func(g *lazy.Graph) *lazy.Tensor {
			return lazy.Embedding(g.Const([]float32{1, 2}, 2, 1), g.ConstInt([]int32{5}, 1))
		}, "embedding(const, const)"},
	} {
		s.check(t)
	}
}
