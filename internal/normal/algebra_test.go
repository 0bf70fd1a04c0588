package normal

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/lazygraph"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/lazy"
)

// nodeOf is a value of a program as rules see it before its own rewriting.
func nodeOf(t *testing.T, x *lazy.Tensor) *node {
	t.Helper()
	require.NoError(t, x.Err())
	at := map[*lazy.Tensor]*node{}
	var of func(x *lazy.Tensor) *node
	of = func(x *lazy.Tensor) *node {
		if n := at[x]; n != nil {
			return n
		}
		n := &node{leaf: x, spec: x.Spec()}
		if x.Op() != nil {
			n = &node{op: lazygraph.Op(x), spec: x.Spec()}
			for _, y := range x.In() {
				n.in = append(n.in, of(y))
			}
		} else if x.Kind() == lazy.KindConst {
			n.constant, n.data = true, x.ConstData()
			n.findUniform()
		}
		at[x] = n
		return n
	}
	return of(x)
}

// TestProductOf checks what is taken apart, and that powers of numbers that may
// be negative stay.
func TestProductOf(t *testing.T) {
	g := lazy.NewGraph("products")
	x, y := g.Input("x", lazy.F32, 4), g.Input("y", lazy.F32, 4)
	two := g.Const([]float32{2})
	pow := func(x *lazy.Tensor, e float32) *lazy.Tensor { return lazy.Pow(x, g.Const([]float32{e})) }
	type want struct {
		scale  float64
		powers []float64 // of the factors, in order
	}
	for name, c := range map[string]struct {
		x    *lazy.Tensor
		want want
	}{
		"one value":              {x, want{1, []float64{1}}},
		"a product":              {lazy.Mul(lazy.Mul(x, two), y), want{2, []float64{1, 1}}},
		"a square":               {lazy.Mul(x, x), want{1, []float64{2}}},
		"a quotient":             {lazy.Div(lazy.Neg(x), lazy.Mul(y, two)), want{-0.5, []float64{1, -1}}},
		"one over a root":        {lazy.Div(two, lazy.Sqrt(x)), want{2, []float64{-0.5}}},
		"rsqrt":                  {lazy.Mul(y, lazy.Rsqrt(x)), want{1, []float64{1, -0.5}}},
		"a power of a power":     {pow(pow(x, 3), 2), want{1, []float64{6}}},
		"the root of a square":   {lazy.Sqrt(lazy.Mul(x, x)), want{1, []float64{0.5}}}, // |x|, not x
		"the root of a power":    {pow(pow(x, 2), 0.5), want{1, []float64{0.5}}},
		"the square of a root":   {pow(lazy.Sqrt(x), 2), want{1, []float64{1}}}, // not a number for negative x, either way
		"x over x":               {lazy.Div(x, x), want{1, []float64{1, -1}}},   // not 1: x may be 0
		"a constant to no power": {pow(lazy.Mul(x, g.Const([]float32{-2})), 0.5), want{1, []float64{0.5}}},
	} {
		t.Run(name, func(t *testing.T) {
			p := productOf(nodeOf(t, c.x))
			got := want{scale: p.scale}
			for _, f := range p.factors {
				got.powers = append(got.powers, f.power)
			}
			assert.Equal(t, c.want, got)
		})
	}
}

// TestSumOf checks what is taken apart.
func TestSumOf(t *testing.T) {
	g := lazy.NewGraph("sums")
	x, y := g.Input("x", lazy.F32, 4), g.Input("y", lazy.F32, 4)
	two := g.Const([]float32{2})
	n := nodeOf(t, lazy.Add(lazy.Sub(lazy.Mul(two, lazy.Add(x, two)), lazy.Div(y, two)), lazy.Neg(x)))
	s := sumOf(n)
	require.Len(t, s.terms, 2)
	assert.InDelta(t, 4, s.constant, 0)
	assert.InDelta(t, 1, s.terms[0].coeff, 0, "2x - x")
	assert.InDelta(t, -0.5, s.terms[1].coeff, 0)
	inner := n.in[0].in[0].in[1] // x + 2
	assert.Equal(t, term{inner, 2}, sumOf(n, inner).terms[0], "a value that stays whole")
}

// TestPolynomial checks coefficients, and what is no polynomial of degree 3.
func TestPolynomial(t *testing.T) {
	g := lazy.NewGraph("polynomials")
	x, y := g.Input("x", lazy.F32, 4), g.Input("y", lazy.F32, 4)
	c := func(v float32) *lazy.Tensor { return g.Const([]float32{v}) }
	for name, k := range map[string]struct {
		x    *lazy.Tensor
		want cubic
		ok   bool
	}{
		"expanded":   {lazy.Add(lazy.Mul(x, c(2)), lazy.Mul(c(3), lazy.Pow(x, c(3)))), cubic{0, 2, 0, 3}, true},
		"factored":   {lazy.Mul(lazy.Div(x, c(2)), lazy.Sub(lazy.Mul(x, x), c(4))), cubic{0, -2, 0, 0.5}, true},
		"degree 4":   {lazy.Mul(lazy.Mul(x, x), lazy.Mul(x, x)), cubic{}, false},
		"in another": {lazy.Add(x, y), cubic{}, false},
		"a quotient": {lazy.Div(c(1), x), cubic{}, false},
		"a root":     {lazy.Sqrt(x), cubic{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			n := nodeOf(t, k.x)
			var v *node
			var find func(n *node)
			find = func(n *node) {
				if n.leaf == x {
					v = n
				}
				for _, y := range n.in {
					find(y)
				}
			}
			find(n)
			got, ok := polynomial(n, v, maxDepth)
			assert.Equal(t, k.ok, ok)
			if ok {
				assert.Equal(t, k.want, got)
			}
		})
	}
}

// TestDecimal checks that a constant in float32 is the decimal number it was
// written as.
func TestDecimal(t *testing.T) {
	for _, v := range []float64{1e-5, 1e-6, 1e-12, 0.001, 1, 0} {
		require.Equal(t, v, decimal(float64(float32(v))))
	}
}

// TestWantedNorm checks that a norm that somebody reads by name is not computed
// twice, once with a weight.
func TestWantedNorm(t *testing.T) {
	g := lazy.NewGraph("wanted")
	x, w := g.Input("x", lazy.F32, "b", 4), g.WeightF32("w", []float32{1, 2, 3, 4}, 4)
	h := lazy.Div(x, lazy.Sqrt(lazy.Add(lazy.Apply(op.Reduce{Kind: "mean", Axes: []int{1}, Keep: true}, lazy.Mul(x, x)), g.Const([]float32{1e-5}, 1))))
	g.Output("h", h)
	g.Output("y", lazy.Mul(h, w))
	f := formOf(t, g)
	require.Equal(t, `rms_norm{eps=f3ee4f8b588e368f1;offset=f0}(x)`, text(f.Graph.Outputs()[0].Tensor))
	require.Equal(t, `mul(rms_norm{eps=f3ee4f8b588e368f1;offset=f0}(x), w)`, text(f.Graph.Outputs()[1].Tensor))
}
