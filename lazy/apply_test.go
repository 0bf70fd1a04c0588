package lazy_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport/plan"
)

// asData is an operator that a program has as data.
type asData struct {
	name  string
	attrs plan.Attrs
}

func (o asData) Name() string      { return o.name }
func (o asData) Attrs() plan.Attrs { return o.attrs }

// TestApply copies a program operator by operator, through what a plan would say of
// each: the copy has the original's fingerprint.
func TestApply(t *testing.T) {
	capture := func(add func(of *lazy.Tensor, in ...*lazy.Tensor) *lazy.Tensor) *lazy.Graph {
		g := lazy.NewGraph("copy")
		x := g.Input("x", lazy.F32, "rows", 4)
		again := func(of *lazy.Tensor, in ...*lazy.Tensor) *lazy.Tensor {
			if add == nil {
				return of
			}
			return add(of, in...)
		}
		// What is to be copied is captured on a graph of its own.
		src := g
		if add != nil {
			src = lazy.NewGraph("source")
		}
		sx := x
		if src != g {
			sx = src.Input("x", lazy.F32, "rows", 4)
		}
		soft := lazy.Softmax(sx, -1)
		a := again(soft, x)
		b := again(lazy.Transpose(soft, 1, 0), a)
		g.Output("y", b)
		return g
	}
	want := capture(nil)
	got := capture(func(of *lazy.Tensor, in ...*lazy.Tensor) *lazy.Tensor {
		name, attrs := of.Operator()
		require.Equal(t, name, of.Op().Name())
		return lazy.Apply(asData{name, attrs}, in...)
	})
	require.NoError(t, got.Err())
	require.Equal(t, want.Fingerprint(), got.Fingerprint())
}

func TestApplyErrors(t *testing.T) {
	for _, c := range []struct {
		name string
		o    lazy.Operator
		want error
	}{
		{"nil", nil, plan.ErrInvalid},
		{"unknown operator", asData{name: "fft"}, plan.ErrInvalid},
		{"missing attribute", asData{name: "softmax"}, plan.ErrInvalid},
		{"attribute too many", asData{"relu", plan.Attrs{{Key: "axis", Value: plan.IntValue(1)}}}, plan.ErrInvalid},
		{"wrong inputs", asData{name: "matmul", attrs: matmulAttrs(t)}, lazy.ErrShape},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := lazy.NewGraph("wrong")
			x := g.Input("x", lazy.F32, "rows", 3)
			y := lazy.Apply(c.o, x, x)
			require.ErrorIs(t, y.Err(), c.want)
			require.ErrorIs(t, y.Err(), lazy.ErrCapture)
			require.ErrorIs(t, g.Err(), c.want)
		})
	}
}

func matmulAttrs(t *testing.T) plan.Attrs {
	t.Helper()
	g := lazy.NewGraph("square")
	x := g.Input("x", lazy.F32, 3, 3)
	_, attrs := lazy.MatMul(x, x).Operator()
	return attrs
}
