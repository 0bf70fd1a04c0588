package kernels

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// groupCase is an attention of heads that share keys, with a mask.
type groupCase struct {
	AttentionSpec
	ldq, ldo int
	q, k, v  []float32
}

// newGroup has the rows of a head one after another or, interleaved, those of all
// heads.
func newGroup(rng *rand.Rand) *groupCase {
	s := randomAttention(rng)
	if rng.IntN(2) == 0 { // a few rows
		s.Rows = 1 + rng.IntN(10)
		s.End = s.Keys - s.Rows + 1
	}
	s.Heads = 1 + rng.IntN(5)
	if rng.IntN(8) == 0 {
		s.Heads, s.Rows = 49+rng.IntN(10), 1+rng.IntN(2)
	}
	if rng.IntN(3) == 0 {
		s.Softcap = 1.5
	}
	c := &groupCase{AttentionSpec: s}
	c.ldq, c.QHead, c.ldo, c.OutHead = s.Dim, s.Rows*s.Dim, s.ValueDim, s.Rows*s.ValueDim
	if rng.IntN(2) == 0 {
		c.ldq, c.QHead, c.ldo, c.OutHead = s.Heads*s.Dim, s.Dim, s.Heads*s.ValueDim, s.ValueDim
	}
	c.Mask = randomMask(rng, &s)
	c.q, c.k, c.v = randoms(rng, s.Heads*s.Rows*s.Dim), randoms(rng, s.Keys*s.Dim), randoms(rng, s.Keys*s.ValueDim)
	return c
}

// randomMask has some of the axes, or is none.
func randomMask(rng *rand.Rand, s *AttentionSpec) (m AttentionMask) {
	n := 1
	axis := func(size int) (stride int) {
		if rng.IntN(3) > 0 {
			stride, n = n, n*size
		}
		return stride
	}
	m.Key, m.Row, m.Head = axis(s.Keys), axis(s.Rows), axis(s.Heads)
	if m.Key == 1 && rng.IntN(6) == 0 { // another order
		m.Key, m.Row, m.Head, n = s.Rows, 1, 0, s.Keys*s.Rows
	}
	switch rng.IntN(3) {
	case 0:
		m.Add = randoms(rng, n)
		for i := range m.Add {
			if rng.IntN(4) == 0 {
				m.Add[i] = []float32{-math.MaxFloat32, float32(math.Inf(-1)), -1e4}[rng.IntN(3)]
			}
		}
	case 1:
		m.May = make([]byte, n)
		for i := range m.May {
			m.May[i] = byte(max(rng.IntN(4)-1, 0))
		}
	}
	return m
}

// head is one head of the group step by step.
func (c *groupCase) separate(g int) []float32 {
	scores := make([]float32, c.Rows*c.Keys)
	GemmNT(scores, c.Keys, c.q[g*c.QHead:], c.ldq, c.k, c.Dim, c.Rows, 0, c.Keys, c.Dim, nil)
	if c.Divide {
		DivScalar(scores, scores, c.Scale)
	} else {
		MulScalar(scores, scores, c.Scale)
	}
	if c.Softcap > 0 {
		DivScalar(scores, scores, c.Softcap)
		Tanh(scores, scores)
		MulScalar(scores, scores, c.Softcap)
	}
	for r := range c.Rows {
		row := scores[r*c.Keys:][:c.Keys]
		from, to := c.Range(r)
		for j := range row {
			at := g*c.Mask.Head + r*c.Mask.Row + j*c.Mask.Key
			if c.Mask.Add != nil {
				row[j] += c.Mask.Add[at]
			}
			if j < from || j >= to || c.Mask.May != nil && c.Mask.May[at] == 0 {
				row[j] = -math.MaxFloat32
			}
		}
		Softmax(row, row, nil)
	}
	out := make([]float32, c.Rows*c.ValueDim)
	GemmNN(out, c.ValueDim, scores, c.Keys, c.v, c.ValueDim, c.Rows, 0, c.ValueDim, c.Keys, nil)
	return out
}

func (c *groupCase) fused(k, v Rows) []float32 {
	out := filled(c.Heads*c.Rows*c.ValueDim, guard)
	Attention(out, c.ldo, c.q, c.ldq, k, v, c.AttentionSpec, filled(c.Work(), float32(math.NaN())), nil)
	return out
}

// turned is K with adjacent rows.
func (c *groupCase) turned() Rows {
	t := make([]float32, len(c.k))
	for i := range c.Keys {
		for d := range c.Dim {
			t[d*c.Keys+i] = c.k[i*c.Dim+d]
		}
	}
	return Rows{Data: t, Stride: c.Keys, Turned: true}
}

// TestAttentionOfGroups has the bits of each head's separate steps, whatever heads
// share its keys, and wherever its queries and keys are.
func TestAttentionOfGroups(t *testing.T) {
	eachPath(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(51, 52))
		rounds := 1500
		if active == pathGeneric {
			rounds = 300
		}
		for range rounds {
			c := newGroup(rng)
			what := fmt.Sprintf("%d heads of [%d, %d] keys %d, %d, mask %v %v %v of %d and %d, from %d, end %d, window %d", c.Heads, c.Rows, c.Dim, c.Keys,
				c.ValueDim, c.Mask.Head, c.Mask.Row, c.Mask.Key, len(c.Mask.Add), len(c.Mask.May), c.Start, c.End, c.Window)
			k, v := InOnePiece(c.k, c.Dim), InOnePiece(c.v, c.ValueDim)
			got := c.fused(k, v)
			for g := range c.Heads {
				want := c.separate(g)
				for r := range c.Rows {
					requireBits(t, want[r*c.ValueDim:][:c.ValueDim], got[g*c.OutHead+r*c.ldo:][:c.ValueDim], "head %d row %d of %s", g, r, what)
				}
			}
			requireBits(t, got, c.fused(c.turned(), v), "turned keys, %s", what)
			requireBits(t, got, c.fused(inPages(c.k, c.Dim, c.Keys, c.Dim, 256), inPages(c.v, c.ValueDim, c.Keys, c.ValueDim, 256)), "pages, %s", what)
		}
	})
}

func TestAttentionOfGroupsPanics(t *testing.T) {
	f := func(n int) []float32 { return make([]float32, n) }
	s := AttentionSpec{Heads: 2, QHead: 8, OutHead: 10, Rows: 2, Keys: 3, Dim: 4, ValueDim: 5, Scale: 1, End: 2, Mask: AttentionMask{Add: f(12), Head: 6, Row: 3, Key: 1}}
	call := func(out, q, k, v int, s AttentionSpec) {
		Attention(f(out), 5, f(q), 4, InOnePiece(f(k), 4), InOnePiece(f(v), 5), s, f(s.Work()), nil)
	}
	call(20, 16, 12, 15, s)
	with := func(f func(s *AttentionSpec)) AttentionSpec {
		s := s
		f(&s)
		return s
	}
	for name, bad := range map[string]func(){
		"output": func() { call(19, 16, 12, 15, s) },
		"q":      func() { call(20, 15, 12, 15, s) },
		"heads":  func() { call(20, 16, 12, 15, with(func(s *AttentionSpec) { s.QHead = -8 })) },
		"far":    func() { call(20, 16, 12, 15, with(func(s *AttentionSpec) { s.OutHead = math.MaxInt })) },
		"mask":   func() { call(20, 16, 12, 15, with(func(s *AttentionSpec) { s.Mask.Add = f(11) })) },
		"bytes": func() {
			call(20, 16, 12, 15, with(func(s *AttentionSpec) { s.Mask.Add, s.Mask.May = nil, make([]byte, 11) }))
		},
		"both":     func() { call(20, 16, 12, 15, with(func(s *AttentionSpec) { s.Mask.May = make([]byte, 12) })) },
		"negative": func() { call(20, 16, 12, 15, with(func(s *AttentionSpec) { s.Mask.Key = -1 })) },
		"turned": func() {
			Attention(f(20), 5, f(16), 4, Rows{Data: f(11), Stride: 3, Turned: true}, InOnePiece(f(15), 5), s, f(s.Work()), nil)
		},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() { require.Contains(t, fmt.Sprint(recover()), "kernels: ") }()
			bad()
		})
	}
}

func TestAttentionOfGroupsAllocatesNothing(t *testing.T) {
	eachPath(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(53, 54))
		for _, rows := range []int{1, 2, 30} {
			s := AttentionSpec{Heads: 4, Rows: rows, Keys: 40, Dim: 16, ValueDim: 16, QHead: rows * 16, OutHead: rows * 16, Scale: 1, Softcap: 2, End: 41 - rows}
			s.Mask = AttentionMask{May: make([]byte, 40), Key: 1}
			q, k, v := randoms(rng, 4*rows*16), randoms(rng, 640), randoms(rng, 640)
			out, work := make([]float32, len(q)), make([]float32, s.Work())
			require.Zero(t, testing.AllocsPerRun(20, func() {
				Attention(out, 16, q, 16, InOnePiece(k, 16), InOnePiece(v, 16), s, work, nil)
			}))
		}
	})
}
