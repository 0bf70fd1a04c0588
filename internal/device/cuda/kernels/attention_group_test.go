package kernels

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// whole is the attention as one operator, by its reference.
func (a *attending) whole(t *testing.T) []float32 {
	t.Helper()
	o := op.Attention{Scale: a.scale, Causal: a.masked, Window: a.window, Softcap: a.softcap, Mask: op.MaskNone, Start: a.starts != nil}
	in := []*op.Array{a.q, a.k, a.v}
	if a.mask != nil {
		if o.Mask = op.MaskAdd; a.mask.DType == plan.Bool {
			o.Mask = op.MaskBool
		}
		in = append(in, a.mask)
	}
	if a.starts != nil {
		in = append(in, a.starts)
	}
	out, err := reference(t, o, in)
	require.NoError(t, err)
	return out.F32()
}

// maskOf is a mask of this shape: a third of its elements hide a key.
func maskOf(dt plan.DType, shape ...int) *op.Array {
	m := op.NewArray(dt, shape...)
	r := sequence(len(shape))
	for i := range m.Len() {
		switch x := r.next() >> 8; {
		case dt == plan.Bool:
			m.Data[i] = byte(min(x%3, 1))
		case x%3 == 0:
			m.F32()[i] = []float32{-math.MaxFloat32, float32(math.Inf(-1)), -30}[x/3%3]
		default:
			m.F32()[i] = float32(x%100) / 50
		}
	}
	return m
}

// TestAttentionOfGroups has groups of heads, masks of all shapes and soft caps, by
// both kernels, which give the same bits.
func TestAttentionOfGroups(t *testing.T) {
	m := newMachine(t)
	const batch, heads = 2, 6
	for i, c := range []struct {
		kv, rows, keys int
		set            func(a *attending)
	}{
		{2, 1, 131, func(*attending) {}},
		{1, 70, 70, func(a *attending) { a.masked, a.window = true, 40 }},
		{3, 9, 71, func(a *attending) { a.mask, a.pageRows = maskOf(plan.F32, batch, 1, 1, 71), 64 }},
		{6, 40, 66, func(a *attending) { a.mask, a.masked = maskOf(plan.F32, heads, 40, 66), true }},
		{2, 3, 64, func(a *attending) { a.mask, a.softcap = maskOf(plan.Bool, 64), 1.5 }},
		{2, 70, 75, func(a *attending) {
			a.mask, a.masked, a.starts = maskOf(plan.Bool, batch, 1, 70, 75), true, startsOf(plan.I32, 3, 70)
		}},
		{1, 2, 65, func(a *attending) { a.mask, a.starts = maskOf(plan.F32, batch, heads, 1, 1), startsOf(plan.I64, 64, 9) }},
		{2, 10, 70, func(a *attending) { a.softcap, a.masked = 0.7, true }},
		{3, 5, 10, func(a *attending) { a.mask = op.NewArray(plan.Bool, 10) }}, // nobody sees anything
		{3, 5, 70, func(a *attending) { a.mask, a.masked = op.NewArray(plan.Bool, 70), true }},
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			a := attendingOf(uint64(i), batch, heads, c.rows, c.keys, 20, 12, i%2 == 0)
			of := attendingOf(uint64(i+100), batch, c.kv, c.rows, c.keys, 20, 12, i%2 == 1)
			a.k, a.v, a.scale = of.k, of.v, 0.4
			c.set(&a)
			a.by = notInTiles
			got := a.run(m)
			near(t, a.whole(t), got)
			a.by = inTiles
			sameBits(t, got, a.run(m), "in tiles")
		})
	}
}
