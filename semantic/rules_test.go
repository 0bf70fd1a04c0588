package semantic_test

import (
	"errors"
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/semantic"
	"github.com/genie-sdk/go/transport/plan"
)

// rewritten plans g with a rewrite of the value that y has.
func rewritten(g *lazy.Graph, y *lazy.Tensor, f func(r *semantic.Rewriter, v *semantic.Value) (*semantic.Value, error)) (map[string]int, error) {
	srg, err := semantic.Analyze(g)
	if err != nil {
		return nil, err
	}
	p := semantic.Rules{Features: semantic.Full().(semantic.Features), Rewrite: func(r *semantic.Rewriter) error {
		for _, v := range r.Values() {
			if v.Tensor() != y {
				continue
			}
			by, err := f(r, v)
			if err != nil {
				return err
			}
			return r.Replace(v, by)
		}
		return errNoValue
	}}
	request := semantic.Request{Outputs: g.Outputs()}
	s, err := p.Schedule(srg, request)
	if err != nil {
		return nil, err
	}
	steps := map[string]int{}
	for _, step := range s.Plan.Steps {
		steps[step.Op]++
	}
	return steps, s.Check(srg, request)
}

var errNoValue = errors.New("the value is not there")

// TestReplace replaces values by equal ones, each in a different way: the plan
// computes the replacement and no longer what was replaced.
func TestReplace(t *testing.T) {
	insert := func(operator string, attrs ...plan.Attr) func(*semantic.Rewriter, *semantic.Value) (*semantic.Value, error) {
		return func(r *semantic.Rewriter, v *semantic.Value) (*semantic.Value, error) {
			return r.Insert(operator, attrs, v.In()...)
		}
	}
	input := func(_ *semantic.Rewriter, v *semantic.Value) (*semantic.Value, error) { return v.In()[0], nil }
	for name, c := range map[string]struct {
		capture func(x *lazy.Tensor) *lazy.Tensor
		by      func(*semantic.Rewriter, *semantic.Value) (*semantic.Value, error)
		want    map[string]int
	}{
		"dropped": {func(x *lazy.Tensor) *lazy.Tensor { return lazy.ReLU(lazy.ReLU(x)) }, input, map[string]int{"tanh": 1, "relu": 1, "exp": 1}},
		"inserted": {lazy.ReLU, func(r *semantic.Rewriter, v *semantic.Value) (*semantic.Value, error) {
			return r.Insert("contiguous", nil, v)
		}, map[string]int{"tanh": 1, "relu": 1, "contiguous": 1, "exp": 1}},
		"operands swapped": {func(x *lazy.Tensor) *lazy.Tensor { return lazy.Add(x, lazy.ReLU(x)) }, func(r *semantic.Rewriter, v *semantic.Value) (*semantic.Value, error) {
			return r.Insert("add", nil, v.In()[1], v.In()[0])
		}, map[string]int{"tanh": 1, "relu": 1, "add": 1, "exp": 1}},
		"a window beyond": {
			func(x *lazy.Tensor) *lazy.Tensor { return lazy.WindowMask(lazy.Reshape(x, 1, "rows", 4), nil, 0) }, insert("causal_mask", plan.Int("window", 4)),
			map[string]int{"tanh": 1, "reshape": 1, "causal_mask": 1, "exp": 1},
		},
		"the same once more": {func(x *lazy.Tensor) *lazy.Tensor { return lazy.Add(lazy.Exp(x), x) }, func(r *semantic.Rewriter, v *semantic.Value) (*semantic.Value, error) {
			e, err := r.Insert("exp", nil, v.In()[1])
			if err != nil {
				return nil, err
			}
			return r.Insert("add", nil, v.In()[1], e)
		}, map[string]int{"tanh": 1, "add": 1, "exp": 2}},
	} {
		t.Run(name, func(t *testing.T) {
			g := lazy.NewGraph("replace")
			y := c.capture(lazy.Tanh(g.Input("x", lazy.F32, "rows", 4)))
			g.Output("y", lazy.Exp(y))
			require.NoError(t, g.Err())
			got, err := rewritten(g, y, c.by)
			require.NoError(t, err)
			require.Equal(t, c.want, got)
		})
	}
}

// TestReplaceCommon replaces a value by another captured one that is computed
// in the same way, which the replacement alone does not show.
func TestReplaceCommon(t *testing.T) {
	g := lazy.NewGraph("common")
	x := g.Input("x", lazy.F32, "rows", 4)
	a, b := lazy.ReLU(lazy.Tanh(x)), lazy.ReLU(lazy.ReLU(lazy.Tanh(x)))
	g.Output("y", lazy.Sub(a, b))
	got, err := rewritten(g, b, func(r *semantic.Rewriter, _ *semantic.Value) (*semantic.Value, error) {
		for _, v := range r.Values() {
			if v.Tensor() == a {
				return v, nil
			}
		}
		return nil, errNoValue
	})
	require.NoError(t, err)
	require.Equal(t, map[string]int{"tanh": 1, "relu": 1, "sub": 1}, got)
}

// TestReplaceRefuses tries invalid replacements, and those that cannot be
// verified.
func TestReplaceRefuses(t *testing.T) {
	var foreign, none *semantic.Value
	for name, c := range map[string]struct {
		capture func(x *lazy.Tensor) *lazy.Tensor
		by      func(r *semantic.Rewriter, v *semantic.Value) (*semantic.Value, error)
		says    string
	}{
		"other values": {lazy.ReLU, func(r *semantic.Rewriter, v *semantic.Value) (*semantic.Value, error) {
			return r.Insert("tanh", nil, v.In()...)
		}, "something else"},
		"nearly the same": {lazy.GELU, func(r *semantic.Rewriter, v *semantic.Value) (*semantic.Value, error) {
			return r.Insert("gelu", plan.Attrs{plan.BoolAttr("tanh", true)}, v.In()...)
		}, "something else"},
		"the same for small numbers": {func(x *lazy.Tensor) *lazy.Tensor {
			return lazy.Sub(x, lazy.ReLU(lazy.Add(x, x.Graph().Const([]float32{-1000}, 1))))
		}, func(_ *semantic.Rewriter, v *semantic.Value) (*semantic.Value, error) { return v.In()[0], nil }, "something else"},
		"the same for few rows": {func(x *lazy.Tensor) *lazy.Tensor {
			return lazy.WindowMask(lazy.MatMul(x, x, lazy.TransB), nil, 0)
		}, func(r *semantic.Rewriter, v *semantic.Value) (*semantic.Value, error) {
			return r.Insert("causal_mask", plan.Attrs{plan.Int("window", 100)}, v.In()...)
		}, "something else"},
		"another shape": {lazy.ReLU, func(r *semantic.Rewriter, v *semantic.Value) (*semantic.Value, error) {
			return r.Insert("transpose", plan.Attrs{plan.Ints("perm", []int{1, 0})}, v.In()...)
		}, "is replaced by"},
		"a broadcast": {func(x *lazy.Tensor) *lazy.Tensor { return lazy.Mul(x, x) }, func(r *semantic.Rewriter, v *semantic.Value) (*semantic.Value, error) {
			return r.Insert("reduce", plan.Attrs{plan.Ints("axes", []int{0}), plan.BoolAttr("keep", true), plan.Str("kind", "sum")}, v.In()[0])
		}, "is replaced by"},
		"an unknown operator": {lazy.ReLU, func(r *semantic.Rewriter, v *semantic.Value) (*semantic.Value, error) {
			return r.Insert("magic", nil, v.In()...)
		}, "magic"},
		"too many inputs": {lazy.ReLU, func(r *semantic.Rewriter, v *semantic.Value) (*semantic.Value, error) {
			return r.Insert("relu", nil, v, v)
		}, "2 inputs"},
		"a write": {lazy.ReLU, func(r *semantic.Rewriter, v *semantic.Value) (*semantic.Value, error) {
			return r.Insert("write_rows", plan.Attrs{plan.Int("axis", 0)}, v, v, v)
		}, "writes over state"},
		"nothing":         {lazy.ReLU, func(*semantic.Rewriter, *semantic.Value) (*semantic.Value, error) { return none, nil }, "another program"},
		"another program": {lazy.ReLU, func(*semantic.Rewriter, *semantic.Value) (*semantic.Value, error) { return foreign, nil }, "another program"},
		"too large": {func(x *lazy.Tensor) *lazy.Tensor {
			return lazy.MatMul(lazy.Expand(lazy.Sum(x), 1<<13, 2), lazy.Expand(lazy.Sum(x), 2, 1<<13))
		}, func(r *semantic.Rewriter, v *semantic.Value) (*semantic.Value, error) {
			return r.Insert("matmul", v.Op().Attrs(), v.In()...)
		}, "cannot be checked"},
	} {
		t.Run(name, func(t *testing.T) {
			other := lazy.NewGraph("other")
			first := lazy.Tanh(other.Input("x", lazy.F32, 2))
			other.Output("y", first)
			_, err := rewritten(other, first, func(_ *semantic.Rewriter, v *semantic.Value) (*semantic.Value, error) {
				foreign = v
				return v, nil
			})
			require.NoError(t, err)
			g := lazy.NewGraph("refuses")
			y := c.capture(g.Input("x", lazy.F32, "rows", 4))
			g.Output("y", lazy.Exp(y))
			require.NoError(t, g.Err())
			_, err = rewritten(g, y, c.by)
			require.ErrorIs(t, err, semantic.ErrPolicy)
			require.ErrorContains(t, err, c.says)
		})
	}
}

// TestReplaceLeaf: an input or a weight stays unchanged.
func TestReplaceLeaf(t *testing.T) {
	g := lazy.NewGraph("leaf")
	x := g.Input("x", lazy.F32, 2)
	g.Output("y", lazy.Tanh(x))
	_, err := rewritten(g, x, func(r *semantic.Rewriter, v *semantic.Value) (*semantic.Value, error) {
		return r.Insert("identity", nil, v)
	})
	require.ErrorIs(t, err, semantic.ErrPolicy)
	require.ErrorContains(t, err, "leaf")
}

// TestRewriteError: an error of the policy itself is passed on.
func TestRewriteError(t *testing.T) {
	g := lazy.NewGraph("fails")
	y := g.Output("y", lazy.Tanh(g.Input("x", lazy.F32, 2)))
	_, err := rewritten(g, y, func(*semantic.Rewriter, *semantic.Value) (*semantic.Value, error) { return nil, errNoValue })
	require.ErrorIs(t, err, semantic.ErrPolicy)
	require.ErrorIs(t, err, errNoValue)
}

// TestTraitsArePublic verifies that the public traits are all of an operator's
// own, with their values.
func TestTraitsArePublic(t *testing.T) {
	own, public := reflect.TypeFor[op.Traits](), reflect.TypeFor[semantic.Traits]()
	require.Equal(t, own.NumField(), public.NumField())
	set := map[string]bool{}
	for _, name := range op.Names() {
		for _, attrs := range []plan.Attrs{nil, {plan.Int("axis", 0)}, {plan.BoolAttr("trans_a", false), plan.BoolAttr("trans_b", false)}, {plan.Float("eps", 1)}} {
			o, err := op.New(name, attrs)
			if err != nil {
				continue
			}
			got, err := semantic.TraitsOf(named{name, attrs})
			require.NoError(t, err)
			want := reflect.ValueOf(o.Traits())
			for i := range own.NumField() {
				field := own.Field(i).Name
				have := reflect.ValueOf(got).FieldByName(field)
				require.True(t, have.IsValid(), field)
				if have.Kind() == reflect.Bool {
					require.Equal(t, want.Field(i).Bool(), have.Bool(), "%s of %s", field, name)
					set[field] = set[field] || have.Bool()
				}
			}
		}
	}
	require.GreaterOrEqual(t, len(set), own.NumField()-1)
	_, err := semantic.TraitsOf(nil)
	require.ErrorIs(t, err, semantic.ErrPolicy)
	_, err = semantic.TraitsOf(named{"magic", nil})
	require.ErrorIs(t, err, semantic.ErrPolicy)
}

type named struct {
	name  string
	attrs plan.Attrs
}

func (n named) Name() string      { return n.name }
func (n named) Attrs() plan.Attrs { return n.attrs }
