package kernels

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// attentionCase is an AttentionSpec with inputs whose rows are padded with NaN.
type attentionCase struct {
	AttentionSpec
	ldq, ldk, ldv, ldo int
	q, k, v            []float32
}

func newAttention(rng *rand.Rand, s AttentionSpec) *attentionCase {
	c := &attentionCase{
		AttentionSpec: s,
		ldq:           s.Dim + rng.IntN(4), ldk: s.Dim + rng.IntN(4), ldv: s.ValueDim + rng.IntN(4), ldo: s.ValueDim + rng.IntN(4),
	}
	matrix := func(rows, cols, ld int) []float32 {
		m := filled(rows*ld, float32(math.NaN()))
		for i := range rows {
			copy(m[i*ld:], randoms(rng, cols))
		}
		return m
	}
	c.q, c.k, c.v = matrix(s.Rows, s.Dim, c.ldq), matrix(s.Keys, s.Dim, c.ldk), matrix(s.Keys, s.ValueDim, c.ldv)
	return c
}

func randomAttention(rng *rand.Rand) AttentionSpec {
	s := AttentionSpec{Rows: 1 + rng.IntN(40), Keys: 1 + rng.IntN(70), Dim: 1 + rng.IntN(33), ValueDim: 1 + rng.IntN(40), Scale: 0.3}
	switch rng.IntN(8) {
	case 0:
		s.Keys = 1 + rng.IntN(600)
	case 1:
		s.Dim, s.ValueDim = 1+rng.IntN(128), 1+rng.IntN(128)
	case 2:
		s.Rows = 1 + rng.IntN(150)
	}
	s.End = s.Keys - s.Rows + 1
	switch rng.IntN(5) {
	case 0:
		s.End = s.Keys
	case 1:
		s.End = rng.IntN(s.Keys+20) - 10
	}
	if rng.IntN(3) == 0 {
		s.Start = rng.IntN(s.Keys + 3)
	}
	if rng.IntN(4) == 0 {
		s.Window = 1 + rng.IntN(s.Keys)
	}
	if rng.IntN(2) == 0 {
		s.Divide, s.Scale = true, 3.3
	}
	return s
}

// separate computes the attention step by step.
func (c *attentionCase) separate() []float32 {
	scores := make([]float32, c.Rows*c.Keys)
	GemmNT(scores, c.Keys, c.q, c.ldq, c.k, c.ldk, c.Rows, 0, c.Keys, c.Dim, nil)
	if c.Divide {
		DivScalar(scores, scores, c.Scale)
	} else {
		MulScalar(scores, scores, c.Scale)
	}
	for r := range c.Rows {
		row := scores[r*c.Keys:][:c.Keys]
		from, to := c.Range(r)
		for j := range row {
			if j < from || j >= to {
				row[j] = -math.MaxFloat32
			}
		}
		Softmax(row, row, nil)
	}
	out := filled(c.Rows*c.ldo, guard)
	GemmNN(out, c.ldo, scores, c.Keys, c.v, c.ldv, c.Rows, 0, c.ValueDim, c.Keys, nil)
	return out
}

func (c *attentionCase) fused(from, to int) []float32 {
	s := c.AttentionSpec
	s.Rows, s.End = to-from, c.End+from
	out := filled(c.Rows*c.ldo, guard)
	work := filled(s.Work(), float32(math.NaN()))
	Attention(out[from*c.ldo:], c.ldo, c.q[from*c.ldq:], c.ldq, InOnePiece(c.k, c.ldk), InOnePiece(c.v, c.ldv), s, work, nil)
	return out
}

// inPages copies a matrix to pages of so many rows, with other elements before and
// between the rows.
func inPages(m []float32, ld, rows, cols, pageRows int) Rows {
	const offset, gap = 3, 2
	p := Rows{Offset: offset, Stride: cols + gap, PageRows: pageRows}
	for r := 0; r < rows; r += pageRows {
		n := min(pageRows, rows-r)
		page := filled(offset+n*p.Stride, float32(math.NaN()))
		for i := range n {
			copy(page[offset+i*p.Stride:][:cols], m[(r+i)*ld:][:cols])
		}
		p.Pages = append(p.Pages, page)
	}
	return p
}

// TestAttentionInPages reads keys and values in pages: the bits are the same as in
// one piece, at any number of keys around the ends of pages.
func TestAttentionInPages(t *testing.T) {
	eachPath(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(41, 42))
		for _, keys := range []int{1, 255, 256, 257, 511, 512, 513, 700, 1024, 1100} {
			for _, rows := range []int{1, 2, 8, 9, 13, 50} {
				rows = min(rows, keys)
				s := AttentionSpec{
					Rows: rows, Keys: keys, Dim: 1 + rng.IntN(70), ValueDim: 1 + rng.IntN(70), Scale: 0.3, End: keys - rows + 1,
					Start: rng.IntN(2) * rng.IntN(keys), Window: rng.IntN(2) * rng.IntN(400),
				}
				c := newAttention(rng, s)
				want := c.fused(0, rows)
				for _, pageRows := range []int{256, 512} {
					got := filled(c.Rows*c.ldo, guard)
					k, v := inPages(c.k, c.ldk, keys, c.Dim, pageRows), inPages(c.v, c.ldv, keys, c.ValueDim, pageRows)
					Attention(got, c.ldo, c.q, c.ldq, k, v, s, filled(s.Work(), float32(math.NaN())), nil)
					require.Equal(t, want, got, "%+v in pages of %d", s, pageRows)
				}
			}
		}
	})
}

func TestAttentionIsTheSeparateSteps(t *testing.T) {
	eachPath(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(31, 32))
		rounds := 1500
		if active == pathGeneric {
			rounds = 400
		}
		for range rounds {
			c := newAttention(rng, randomAttention(rng))
			want := c.separate()
			requireBits(t, want, c.fused(0, c.Rows), "%+v", c.AttentionSpec)
			lo := rng.IntN(c.Rows)
			hi := lo + 1 + rng.IntN(c.Rows-lo)
			part := c.fused(lo, hi)
			requireBits(t, want[lo*c.ldo:hi*c.ldo], part[lo*c.ldo:hi*c.ldo], "rows %d..%d of %+v", lo, hi, c.AttentionSpec)
			requireBits(t, filled(lo*c.ldo, guard), part[:lo*c.ldo], "rows before the first")
		}
	})
}

// Scores as low as those of masked keys, infinite ones and NaN.
func TestAttentionOfExtremeScores(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	eachPath(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(33, 34))
		for _, rows := range []int{3, 30} {
			for _, score := range []float32{inf, -inf, nan, math.MaxFloat32, -math.MaxFloat32, 1e30, -1e30, 0} {
				for _, part := range []float64{1, 0.1} {
					c := newAttention(rng, AttentionSpec{Rows: rows, Keys: 50, Dim: 1, ValueDim: 17, Scale: 1, End: 51 - rows, Start: 3})
					for i := range rows {
						c.q[i*c.ldq] = 1
					}
					for i := range c.Keys {
						if rng.Float64() < part {
							c.k[i*c.ldk] = score
						}
					}
					requireBits(t, c.separate(), c.fused(0, rows), "%d rows, %v", rows, score)
				}
			}
		}
	})
}

func TestAttentionOfNothing(t *testing.T) {
	Attention(nil, 0, nil, 0, Rows{}, Rows{}, AttentionSpec{}, nil, nil)
	Attention(nil, 0, []float32{1}, 1, InOnePiece([]float32{1}, 1), Rows{}, AttentionSpec{Rows: 1, Keys: 1, Dim: 1, End: 1}, make([]float32, 1), nil)
	for _, rows := range []int{2, 20} {
		out := filled(rows*3, 7)
		Attention(out, 3, filled(rows, 1), 1, InOnePiece(nil, 1), InOnePiece(nil, 3), AttentionSpec{Rows: rows, Dim: 1, ValueDim: 3, Scale: 1}, make([]float32, 4096), nil)
		require.Equal(t, make([]float32, rows*3), out, "no keys")
		s := AttentionSpec{Rows: rows, Keys: 2, ValueDim: 1, Scale: 1, End: 2}
		Attention(out, 1, nil, 0, Rows{}, InOnePiece([]float32{1, 2}, 1), s, make([]float32, s.Work()), nil)
		require.Equal(t, filled(rows, 1.5), out[:rows], "scores of no elements")
	}
}

func TestAttentionAccuracy(t *testing.T) {
	eachPath(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(35, 36))
		for _, rows := range []int{1, 5, 33} {
			c := newAttention(rng, AttentionSpec{Rows: rows, Keys: 300, Dim: 64, ValueDim: 64, Scale: 0.125, End: 301 - rows, Start: 7})
			got := c.fused(0, rows)
			for r := range rows {
				from, to := c.Range(r)
				weights, sum := make([]float64, c.Keys), 0.0
				for j := from; j < to; j++ {
					score := 0.0
					for l := range c.Dim {
						score += float64(c.q[r*c.ldq+l]) * float64(c.k[j*c.ldk+l])
					}
					weights[j] = math.Exp(score * float64(c.Scale))
					sum += weights[j]
				}
				for l := range c.ValueDim {
					want := 0.0
					for j, w := range weights {
						want += w / sum * float64(c.v[j*c.ldv+l])
					}
					require.InDelta(t, want, got[r*c.ldo+l], 2e-6)
				}
			}
		}
	})
}

func TestAttentionPanics(t *testing.T) {
	s := AttentionSpec{Rows: 2, Keys: 3, Dim: 4, ValueDim: 5, Scale: 1, End: 2}
	f := func(n int) []float32 { return make([]float32, n) }
	Attention(f(10), 5, f(8), 4, InOnePiece(f(12), 4), InOnePiece(f(15), 5), s, f(s.Work()), nil)
	for name, call := range map[string]func(){
		"work": func() {
			Attention(f(10), 5, f(8), 4, InOnePiece(f(12), 4), InOnePiece(f(15), 5), s, f(s.Work()-1), nil)
		},
		"output": func() { Attention(f(9), 5, f(8), 4, InOnePiece(f(12), 4), InOnePiece(f(15), 5), s, f(99), nil) },
		"rows":   func() { Attention(f(10), 4, f(8), 4, InOnePiece(f(12), 4), InOnePiece(f(15), 5), s, f(99), nil) },
		"q":      func() { Attention(f(10), 5, f(7), 4, InOnePiece(f(12), 4), InOnePiece(f(15), 5), s, f(99), nil) },
		"k":      func() { Attention(f(10), 5, f(8), 4, InOnePiece(f(11), 4), InOnePiece(f(15), 5), s, f(99), nil) },
		"v":      func() { Attention(f(10), 5, f(8), 4, InOnePiece(f(12), 4), InOnePiece(f(14), 5), s, f(99), nil) },
		"pages": func() {
			Attention(f(10), 5, f(8), 4, Rows{Pages: [][]float32{f(8)}, Stride: 4, PageRows: 2}, InOnePiece(f(15), 5), s, f(99), nil)
		},
		"page": func() {
			Attention(f(10), 5, f(8), 4, Rows{Pages: [][]float32{f(8), f(8)}, Stride: 4, PageRows: 2}, InOnePiece(f(15), 5), s, f(99), nil)
		},
		"size": func() {
			Attention(f(10), 5, f(8), 4, InOnePiece(f(12), 4), InOnePiece(f(14), 5), AttentionSpec{Rows: 1, ValueDim: -1}, f(99), nil)
		},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() { require.Contains(t, fmt.Sprint(recover()), "kernels: ") }()
			call()
		})
	}
}

func TestAttentionAllocatesNothing(t *testing.T) {
	eachPath(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(37, 38))
		for _, rows := range []int{1, 30} {
			c := newAttention(rng, AttentionSpec{Rows: rows, Keys: 40, Dim: 16, ValueDim: 16, Scale: 1, End: 41 - rows})
			out, work := make([]float32, rows*c.ldo), make([]float32, c.Work())
			require.Zero(t, testing.AllocsPerRun(20, func() {
				Attention(out, c.ldo, c.q, c.ldq, InOnePiece(c.k, c.ldk), InOnePiece(c.v, c.ldv), c.AttentionSpec, work, nil)
			}))
		}
	})
}
