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
	g := lazy.NewGraph("source")
	x := g.Input("x", lazy.F32, "rows", 4)
	y := lazy.MatMul(lazy.Softmax(x, -1), x, lazy.TransB) // [rows, rows]
	g.Output("y", lazy.Transpose(lazy.SliceN(lazy.Concat(1, y, x), 1, 0, 2), 1, 0))
	require.NoError(t, g.Err())

	again := lazy.NewGraph("copy")
	copies := map[*lazy.Tensor]*lazy.Tensor{}
	for _, of := range g.Tensors() {
		if of.Kind() == lazy.KindInput {
			copies[of] = again.Input(of.Name(), of.DType(), "rows", 4)
			continue
		}
		var in []*lazy.Tensor
		for _, i := range of.In() {
			in = append(in, copies[i])
		}
		copies[of] = lazy.Apply(asData{of.Op().Name(), of.Op().Attrs()}, in...)
	}
	for _, o := range g.Outputs() {
		again.Output(o.Name, copies[o.Tensor])
	}
	require.NoError(t, again.Err())
	require.Equal(t, g.Fingerprint(), again.Fingerprint())
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
		{"attribute too many", asData{"relu", plan.Attrs{plan.Int("axis", 1)}}, plan.ErrInvalid},
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
	return lazy.MatMul(x, x).Op().Attrs()
}
