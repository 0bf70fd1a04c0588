package kernels

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// attending is an attention on arrays of the host.
type attending struct {
	q, k, v  *op.Array
	scale    float32 // 0 for none
	divide   bool
	masked   bool
	window   int
	starts   *op.Array
	softcap  float32
	mask     *op.Array
	merge    bool
	pageRows int              // 0 for one piece
	by       *attentionKernel // nil for the one that is chosen
}

func (a *attending) sizes() (lead []int, rows, keys, width int) {
	r := len(a.q.Shape)
	return a.q.Shape[:r-2], a.q.Shape[r-2], a.k.Shape[r-2], a.v.Shape[r-1]
}

// reference computes the steps one by one by the operators' references.
func (a *attending) reference(t *testing.T) []float32 {
	t.Helper()
	lead, rows, keys, width := a.sizes()
	eval := func(o op.Op, shape []int, in ...*op.Array) *op.Array {
		out := op.NewArray(plan.F32, shape...)
		require.NoError(t, o.Eval(out, in, nil))
		return out
	}
	shape := append(slices.Clone(lead), rows, keys)
	s := eval(op.MatMul{TransB: true}, shape, a.q, a.k)
	if a.scale != 0 {
		for i, x := range s.F32() {
			if a.divide {
				s.F32()[i] = x / a.scale
			} else {
				s.F32()[i] = x * a.scale
			}
		}
	}
	if a.masked {
		in := []*op.Array{s}
		if a.starts != nil {
			in = append(in, a.starts)
		}
		s = eval(op.CausalMask{Window: a.window}, shape, in...)
	}
	s = eval(op.Softmax{Axis: -1}, shape, s)
	out := eval(op.MatMul{}, append(slices.Clone(lead), rows, width), s, a.v)
	if !a.merge {
		return out.F32()
	}
	heads := 1
	for _, d := range lead[1:] {
		heads *= d
	}
	turned := *out
	turned.Shape, turned.Strides = []int{lead[0], rows, heads, width}, []int{heads * rows * width, width, rows * width, 1}
	return eval(op.Contiguous{}, turned.Shape, &turned).F32()
}

// run computes it on the device.
func (a *attending) run(m *machine) []float32 {
	m.t.Helper()
	lead, rows, keys, width := a.sizes()
	heads := 1
	for _, d := range lead {
		heads *= d
	}
	n := heads * rows * width
	g := &Attention{
		Out: m.alloc(4 * n), Merge: a.merge, Q: m.upload(a.q), K: a.paged(m, a.k), V: a.paged(m, a.v),
		Scale: 1, Divide: a.divide, Masked: a.masked, Window: a.window,
		Counters: m.zeros(AttentionCounterBytes), Softcap: a.softcap,
	}
	if a.mask != nil {
		g.Mask = m.upload(a.mask)
	}
	if a.scale != 0 {
		g.Scale = a.scale
	}
	if a.starts != nil {
		g.Start = m.upload(a.starts)
	}
	if a.by == nil {
		g.Scratch = m.alloc(AttentionScratch(heads, rows, keys, width))
		require.NoError(m.t, m.set.Attention(m.st, g))
	} else {
		g.Scratch = m.alloc(a.by.scratch(rows, keys, width))
		require.NoError(m.t, m.set.attention(m.st, g, *a.by))
	}
	out := m.floats(g.Out, n)
	for _, b := range m.get(g.Counters, AttentionCounterBytes) {
		require.Zero(m.t, b, "a counter is left")
	}
	return out
}

// paged uploads keys or values, in pages if wanted.
func (a *attending) paged(m *machine, x *op.Array) Paged {
	m.t.Helper()
	if a.pageRows == 0 {
		return Paged{Tensor: m.upload(x)}
	}
	r := len(x.Shape)
	order := make([]int, r)
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int { return x.Strides[j] - x.Strides[i] })
	var table []byte
	var page *op.Array
	for from := 0; from < x.Shape[r-2]; from += a.pageRows {
		shape := slices.Clone(x.Shape)
		shape[r-2] = a.pageRows
		page = strided(plan.F32, 0, order, shape...)
		for i := range page.F32() {
			page.F32()[i] = float32(math.NaN()) // beyond the last row
		}
		part, src := *page, *x
		part.Shape = slices.Clone(x.Shape)
		part.Shape[r-2] = min(a.pageRows, x.Shape[r-2]-from)
		src.Shape, src.Data = part.Shape, x.Data[4*from*x.Strides[r-2]:]
		require.NoError(m.t, op.Identity{}.Eval(&part, []*op.Array{&src}, nil))
		table = binary.LittleEndian.AppendUint64(table, uint64(m.put(page.Data)))
	}
	p := Paged{Tensor: Tensor{DType: plan.F32, Shape: x.Shape, Strides: page.Strides}, PageRows: a.pageRows}
	p.Table = m.put(table)
	return p
}

// inTiles and notInTiles choose a kernel.
var inTiles, notInTiles = &attentionKernel{tiles: true}, &attentionKernel{atOnce: 64}

func startsOf(dt plan.DType, n ...int) *op.Array {
	a := op.NewArray(dt, len(n))
	for i, x := range n {
		a.SetInt(i, x)
	}
	return a
}

// attendingOf makes operands: heads have the strides of projections, [batch,
// rows, heads, dim], if turned.
func attendingOf(seed uint64, batch, heads, rows, keys, dim, width int, turned bool) attending {
	rng := newRand(seed)
	order, gap := []int{0, 1, 2, 3}, 0
	if turned {
		order, gap = []int{0, 2, 1, 3}, 4
	}
	return attending{
		q: normal(rng, strided(plan.F32, gap, order, batch, heads, rows, dim)),
		k: normal(rng, strided(plan.F32, gap, order, batch, heads, keys, dim)),
		v: normal(rng, strided(plan.F32, 0, order, batch, heads, keys, width)),
	}
}

// TestAttention compares with the operators' references.
func TestAttention(t *testing.T) {
	m := newMachine(t)
	for i, c := range []struct {
		keys, dim, width int
		set              func(a *attending)
	}{
		{70, 64, 64, func(a *attending) { a.masked, a.divide, a.scale, a.merge = true, true, 8, true }},
		{131, 5, 3, func(a *attending) { a.scale = 0.4 }},
		{71, 33, 67, func(a *attending) { a.masked, a.divide, a.scale, a.window = true, true, 5.7, 40 }},
		{130, 68, 130, func(a *attending) { a.masked, a.pageRows, a.merge = true, 64, true }},
		{75, 0, 4, func(a *attending) { a.masked, a.scale, a.starts = true, 2, startsOf(plan.I32, 3, -1) }},
		{70, 20, 36, func(a *attending) {
			a.masked, a.scale, a.pageRows, a.starts = true, 0.25, 128, startsOf(plan.I64, 69, math.MaxInt64)
		}},
		{1100, 4, 4, func(a *attending) { a.masked, a.pageRows = true, 64 }},
		{1, 4, 4, func(a *attending) { a.masked = true }},
		{0, 4, 4, func(*attending) {}},
	} {
		for _, rows := range []int{1, 9, 70} {
			if c.keys > 1000 && rows != 9 {
				continue
			}
			heads := 2 - i%2
			a := attendingOf(uint64(rows*10+i), 2, heads, rows, c.keys, c.dim, c.width, i%2 == 0)
			c.set(&a)
			t.Run(fmt.Sprintf("rows=%d/keys=%d/dim=%d/width=%d", rows, c.keys, c.dim, c.width), func(t *testing.T) {
				got := a.run(m) // not in tiles
				near(t, a.reference(t), got)
				if a.by = inTiles; c.keys > 0 {
					sameBits(t, got, a.run(m), "in tiles")
				}
			})
		}
	}
}

// TestAttentionKernels holds which kernels are chosen.
func TestAttentionKernels(t *testing.T) {
	for _, c := range []struct {
		heads, rows, keys, width int
		want                     attentionKernel
	}{
		{25, 1, 1024, 64, attentionKernel{false, 25}},
		{25, 1024, 1024, 64, attentionKernel{true, 3}},
		{25, 64, 1024, 64, attentionKernel{false, 25}},
		{25, 300, 300, 64, attentionKernel{true, 25}},
		{800, 64, 64, 64, attentionKernel{true, 512}},
		{5000, 1, 1, 1, attentionKernel{false, 4096}},
		{12, 200, 100_000, 64, attentionKernel{true, 1}},
		{12, 1, 100_000_000, 64, attentionKernel{false, 1}},
	} {
		require.Equal(t, c.want, chooseKernel(c.heads, c.rows, c.keys, c.width), "%+v", c)
	}
	require.Zero(t, AttentionScratch(25, 1024, 1024, 64))
	require.Equal(t, 25*16*68*4, AttentionScratch(25, 1, 1024, 64))
	require.Zero(t, AttentionScratch(25, 1, 0, 64))
}

// TestAttentionGroupedHeads has query heads that share keys and values, on the
// maximum number of axes.
func TestAttentionGroupedHeads(t *testing.T) {
	m := newMachine(t)
	for _, by := range []*attentionKernel{inTiles, notInTiles} {
		a := attendingOf(7, 2, 6, 10, 70, 8, 12, true)
		for _, x := range []**op.Array{&a.q, &a.k, &a.v} {
			y := **x
			y.Shape = []int{2, 1, 2, 1, 1, 3, y.Shape[2], y.Shape[3]}
			y.Strides = []int{y.Strides[0], 5, 3 * y.Strides[1], 7, 11, y.Strides[1], y.Strides[2], y.Strides[3]}
			if *x != a.q {
				y.Strides[5] = 0
			}
			*x = &y
		}
		a.masked, a.scale, a.by = true, 0.3, by
		near(t, a.reference(t), a.run(m))
	}
}

// TestAttentionOddRows has rows whose masked keys have weight, and rows of NaN.
func TestAttentionOddRows(t *testing.T) {
	m := newMachine(t)
	inf := float32(math.Inf(1))
	for _, rows := range []int{1, 10, 72} {
		by := notInTiles
		if rows > 10 {
			by = inTiles
		}
		for _, c := range []struct {
			name string
			key  func(k []float32, i int) // the only element of key i
			set  func(a *attending)
		}{
			{"scores of -Inf", func(k []float32, i int) { k[i] = -inf }, func(a *attending) { a.masked, a.window = true, 9 }},
			{"scores of -Inf and the lowest", func(k []float32, i int) { k[i] = []float32{-inf, -math.MaxFloat32}[i%2] }, func(a *attending) { a.masked = true }},
			{"some scores of -Inf", func(k []float32, i int) { k[i] = []float32{-inf, 1, 2}[i%3] }, func(a *attending) { a.masked = true }},
			{"a block of -Inf", func(k []float32, i int) {
				if k[i] = -inf; i >= 64 {
					k[i] = 1
				}
			}, func(*attending) {}},
			{"all -Inf without a mask", func(k []float32, i int) { k[i] = -inf }, func(*attending) {}},
			{"NaN", func(k []float32, i int) { k[i] = []float32{float32(math.NaN()), 1}[i%2] }, func(a *attending) { a.masked = true }},
			{"Inf", func(k []float32, i int) { k[i] = []float32{inf, 1}[i%2] }, func(a *attending) { a.masked = true }},
			{"starts beyond", func(k []float32, i int) { k[i] = 1 }, func(a *attending) { a.masked, a.starts = true, startsOf(plan.I32, 200, 60) }},
			{"more rows than keys", func(k []float32, i int) { k[i] = 1 }, func(a *attending) { a.masked, a.k, a.v = true, cut(a.k, 0, 5), cut(a.v, 0, 5) }},
		} {
			t.Run(fmt.Sprintf("%s/rows=%d", c.name, rows), func(t *testing.T) {
				a := attendingOf(3, 2, 1, rows, 72, 1, 70, false)
				a.by = by
				for i := range a.q.F32() {
					a.q.F32()[i] = 1
				}
				for i := range a.k.F32() {
					c.key(a.k.F32(), i)
				}
				c.set(&a)
				near(t, a.reference(t), a.run(m))
			})
		}
	}
}

// TestAttentionLaunches has more heads than a launch.
func TestAttentionLaunches(t *testing.T) {
	m := newMachine(t)
	a := attendingOf(4, 3, 3, 10, 70, 2, 1, false)
	a.masked = true
	want := a.run(m)
	near(t, a.reference(t), want)
	a.by = &attentionKernel{atOnce: 4}
	sameBits(t, want, a.run(m), "in three launches")
}

func TestAttentionRefuses(t *testing.T) {
	m := newMachine(t)
	for name, spoil := range map[string]func(a *Attention){
		"pages of 63 rows":    func(a *Attention) { a.K.Table, a.K.PageRows = 256, 63 },
		"stride of elements":  func(a *Attention) { a.Q.Strides = []int{1, 1, 2} },
		"another batch":       func(a *Attention) { a.V.Shape = []int{2, 4, 4} },
		"no scratch memory":   func(a *Attention) { a.Scratch = 0 },
		"no counters":         func(a *Attention) { a.Counters = 0 },
		"starts of floats":    func(a *Attention) { a.Start = Tensor{At: 256, DType: plan.F32, Shape: []int{1}} },
		"mask of integers":    func(a *Attention) { a.Mask = Tensor{At: 256, DType: plan.I32, Shape: []int{1}} },
		"mask of rank 4":      func(a *Attention) { a.Mask = Tensor{At: 256, DType: plan.F32, Shape: []int{1, 1, 1, 4}} },
		"integers as queries": func(a *Attention) { a.Q.DType = plan.I32 },
		"too many rows":       func(a *Attention) { a.Q.Shape = []int{1, math.MaxInt32, 4} },
	} {
		t.Run(name, func(t *testing.T) {
			x := Tensor{At: 256, DType: plan.F32, Shape: []int{1, 4, 4}, Strides: []int{16, 4, 1}}
			a := &Attention{Out: 256, Q: x, K: Paged{Tensor: x}, V: Paged{Tensor: x}, Scale: 1, Scratch: 256, Counters: 256}
			spoil(a)
			require.Error(t, m.set.Attention(m.st, a))
		})
	}
}
