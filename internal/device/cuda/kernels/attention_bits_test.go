package kernels

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// rowsOf is rows from..to of each head of a [batch, heads, rows, width].
func rowsOf(all []float32, heads, rows, width, from, to int) (part []float32) {
	for h := range heads {
		part = append(part, all[(h*rows+from)*width:(h*rows+to)*width]...)
	}
	return part
}

// cut is rows from..to of an operand.
func cut(x *op.Array, from, to int) *op.Array {
	y := *x
	y.Shape = slices.Clone(x.Shape)
	y.Shape[2] = to - from
	y.Data = x.Data[4*from*x.Strides[2]:]
	return &y
}

// TestAttentionBits holds that a row has the same bits in a prefill and in steps,
// alone and in a batch, in one piece and in pages, and whatever the keys and
// values are that it does not see.
func TestAttentionBits(t *testing.T) {
	m := newMachine(t)
	const batch, heads, keys = 2, 2, 150
	for i, c := range []struct {
		dim, width int
		set        func(a *attending)
	}{
		{64, 64, func(a *attending) { a.divide, a.scale = true, 8 }},
		{37, 70, func(a *attending) { a.scale, a.window = 0.3, 70 }},
		{6, 3, func(a *attending) { a.divide, a.scale, a.starts = true, 1.7, startsOf(plan.I64, 66, 10) }},
	} {
		t.Run(fmt.Sprintf("dim=%d/width=%d", c.dim, c.width), func(t *testing.T) {
			a := attendingOf(uint64(50+i), batch, heads, keys, keys, c.dim, c.width, true)
			a.masked, a.by = true, inTiles
			c.set(&a)
			all := a.run(m)
			near(t, a.reference(t), all)

			for _, r := range [][2]int{{0, 1}, {63, 64}, {64, 65}, {70, 72}, {100, 150}, {120, 129}, {149, 150}} {
				b := a
				if b.by = nil; r[1]-r[0] >= tilesFrom {
					b.by = inTiles
				}
				b.q, b.k, b.v = cut(a.q, r[0], r[1]), cut(a.k, 0, r[1]), cut(a.v, 0, r[1])
				want := rowsOf(all, batch*heads, keys, c.width, r[0], r[1])
				if a.starts != nil && r[0] < 66 {
					continue // such rows may see no key: they depend on all
				}
				sameBits(t, want, b.run(m), "rows %v", r)
				b.pageRows = 64
				sameBits(t, want, b.run(m), "rows %v in pages", r)
			}

			one := a // the second sequence alone, its queries with an odd alignment
			one.q = normal(newRand(1), strided(plan.F32, 1, []int{0, 1, 2, 3}, 1, heads, keys, c.dim))
			one.k, one.v = second(a.k), second(a.v)
			require.NoError(t, op.Identity{}.Eval(one.q, []*op.Array{second(a.q)}, nil))
			if a.starts != nil {
				one.starts = startsOf(plan.I32, 10)
			}
			sameBits(t, all[len(all)/2:], one.run(m), "alone")
		})
	}
}

// second is the second sequence of an operand.
func second(x *op.Array) *op.Array {
	y := *x
	y.Shape = slices.Clone(x.Shape)
	y.Shape[0] = 1
	y.Data = x.Data[4*x.Strides[0]:]
	return &y
}

// TestAttentionUnseen plants NaN and infinities where rows do not see them.
func TestAttentionUnseen(t *testing.T) {
	m := newMachine(t)
	const seen, keys = 70, 150
	a := attendingOf(9, 1, 1, keys, keys, 12, 20, false)
	a.masked, a.scale, a.by = true, 0.5, inTiles
	want := a.run(m)[:seen*20]
	bad := []float32{float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1))}
	for _, x := range []*op.Array{a.k, a.v} {
		f := x.F32()
		for i := seen * x.Shape[3]; i < len(f); i++ {
			f[i] = bad[i%3]
		}
	}
	sameBits(t, want, a.run(m)[:seen*20], "after unseen keys")
}
