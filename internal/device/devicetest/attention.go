package devicetest

import (
	"fmt"
	"slices"
	"strings"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// groupedHeads query heads share each of the heads of [fixture.cached].
const groupedHeads = 2

// grouped is attention over caches as one step, for groups of heads, with the
// merge of the heads. The layout of the caches of keys is an order of the axes
// [batch, heads, rows, dim].
func (f *fixture) grouped(o op.Attention, order ...int) *plan.Plan {
	f.Helper()
	b := f.plan(fmt.Sprint("grouped ", order))
	sizes := []any{cacheBatch, cacheHeads, "past", cacheDim}
	dims := func(rows string) (out []any) {
		sizes[2] = rows
		for _, d := range order {
			out = append(out, sizes[d])
		}
		return out
	}
	back, axis := make([]int, 4), 0
	for i, d := range order {
		if back[d] = i; d == 2 {
			axis = i
		}
	}
	rows := func() int {
		all := b.append(axis, b.state(dims("past")...), b.in(plan.F32, dims("new")...))
		return b.step("transpose", perm(back...), all)
	}
	q := b.in(plan.F32, cacheBatch, cacheHeads*groupedHeads, "new", cacheDim)
	in := []int{q, rows(), rows()}
	if o.Mask == op.MaskAdd {
		in = append(in, b.in(plan.F32, 1, 1, 1, plan.Sym("past").Add(plan.Sym("new"))))
	}
	if o.Mask == op.MaskBool {
		in = append(in, b.in(plan.Bool, cacheBatch, 1, "new", plan.Sym("past").Add(plan.Sym("new"))))
	}
	y := b.step("transpose", perm(0, 2, 1, 3), b.step("attention", o.Attrs(), in...))
	y = b.step("reshape", plan.Attrs{plan.Dims("shape", plan.C(cacheBatch), plan.Sym("new"), plan.C(cacheHeads*groupedHeads*cacheDim))}, y)
	return b.out(plan.Download, y).done()
}

// testGrouped decodes with caches in all layouts, in pages where the rows of keys
// and values are dense, with each kind of mask.
func testGrouped(f *fixture) {
	appended := []int{3, 1, 1, 5, 1, 130, 1, 150, 1, 2}
	if f.opts.Slow {
		appended = []int{3, 1, 1, 70, 2, 1}
	}
	e := f.engine(nil)
	for _, c := range []struct {
		o     op.Attention
		order []int
	}{
		{op.Attention{Causal: true, Mask: op.MaskNone}, []int{0, 1, 2, 3}},
		{op.Attention{Causal: true, Mask: op.MaskNone, Window: 70, Softcap: 2}, []int{0, 2, 1, 3}},
		{op.Attention{Causal: true, Mask: op.MaskAdd}, []int{2, 0, 1, 3}},
		{op.Attention{Mask: op.MaskBool}, []int{1, 0, 2, 3}},
		{op.Attention{Causal: true, Mask: op.MaskNone}, []int{0, 1, 3, 2}}, // keys transposed
	} {
		c.o.Scale = 0.5
		p := f.grouped(c.o, c.order...)
		s := f.session(e, p, nil)
		dense := c.order[3] == 3
		require.Equal(f, []bool{dense, dense}, s.prog.Paged)
		require.True(f, slices.ContainsFunc(s.prog.Labels, func(l string) bool { return strings.HasPrefix(l, "attention+reshape") }))
		ref, err := newReference(p, nil)
		require.NoError(f, err)
		past := 0
		for _, n := range appended {
			in := call{sizes: plan.Bindings{"new": n, "past": past}}
			for _, port := range p.Inputs {
				spec := p.Values[port.Value].Spec
				shape, err := spec.Shape.Eval(in.sizes)
				require.NoError(f, err)
				in.in = append(in.in, operand{dtype: spec.DType, dims: shape, most: 2}.content(uint64(past+len(in.in))))
			}
			want, err := ref.run(in.sizes, in.in)
			require.NoError(f, err)
			for i, got := range s.run(in.sizes, in.in...) {
				f.requireNear(want[i], got, fmt.Sprintf("%+v, order %v, %d rows after %d", c.o, c.order, n, past))
			}
			past += n
		}
		s.s.Close()
	}
}
