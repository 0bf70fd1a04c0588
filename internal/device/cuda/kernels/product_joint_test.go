package kernels_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/genie-sdk/go/internal/device/cuda/driver"
	"github.com/genie-sdk/go/internal/device/cuda/kernels"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// session is the memory of one session's portion of a product: rows that have
// gaps between them, results with gaps, and operands of stages.
type session struct {
	rows     kernels.Rows
	a        []float32
	residual []float32
	n        int
	guard    float32
}

// newSession has count rows. The stages are a row vector, an activation, a
// residual and as many more residuals as wanted.
func newSession(g *gpu, r *rand.Rand, w *kernels.Packed, bias driver.Ptr, count, more int) *session {
	gapA, gapOut := r.IntN(5), r.IntN(5)
	s := &session{n: w.N, guard: 7}
	s.rows = kernels.Rows{Count: count, StrideA: w.K + gapA, StrideOut: w.N + gapOut}
	s.a = normal(r, count*s.rows.StrideA)
	s.rows.A = g.floats(s.a)
	out := make([]float32, count*s.rows.StrideOut)
	for i := range out {
		out[i] = s.guard
	}
	s.rows.Out = g.floats(out)
	s.residual = normal(r, count*w.N)
	rows := kernels.Tensor{At: g.floats(s.residual), DType: plan.F32, Shape: []int{1, count, w.N}, Strides: []int{0, w.N, 1}}
	s.rows.Stages = []kernels.Stage{
		{Kind: kernels.StageRow, Code: code(op.Add()), Other: kernels.Tensor{At: bias, DType: plan.F32, Shape: []int{w.N}, Strides: []int{1}}},
		{Kind: kernels.StageUnary, Code: code(op.GELU{Tanh: true})},
		{Kind: kernels.StageRows, Code: code(op.Add()), Other: rows},
	}
	for range more {
		rows.At = g.floats(normal(r, count*w.N))
		s.rows.Stages = append(s.rows.Stages, kernels.Stage{Kind: kernels.StageRows, Code: code(op.Mul()), Other: rows})
	}
	return s
}

func code(o op.Op) kernels.Code {
	c, _, _ := kernels.CodeOf(o)
	return c
}

// results is what was stored, without the gaps, which must be untouched.
func (s *session) results(g *gpu) (out []float32) {
	g.t.Helper()
	all := g.download(s.rows.Out, s.rows.Count*s.rows.StrideOut)
	for i, x := range all {
		switch {
		case i%s.rows.StrideOut < s.n:
			out = append(out, x)
		case x != s.guard:
			g.t.Fatalf("element %d between the rows was overwritten", i)
		}
	}
	return out
}

// Rows of several sessions together have the bits of each session alone, and a
// fused stage those of the operator by itself.
func TestProductOfSessions(t *testing.T) {
	t.Parallel()
	for _, elem := range elems {
		for _, c := range []struct {
			name   string
			counts []int
			more   int // stages
		}{
			{"one", []int{1}, 0},
			{"steps", []int{1, 1, 1, 1, 1, 1, 1, 1}, 0},
			{"steps and an empty one", []int{1, 0, 2, 1}, 0},
			{"table of sessions", []int{1, 1, 1, 2, 1, 1, 1, 1, 1, 1, 3, 1, 1, 1, 1, 1, 1, 1, 1}, 0},
			{"table of stages", []int{2, 1}, 10},
			{"several tables", []int{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, 50},
			{"prefill", []int{70}, 0},
			{"prefills", []int{40, 1, 38}, 1},
		} {
			t.Run(fmt.Sprintf("%v/%s", elem, c.name), func(t *testing.T) {
				t.Parallel()
				g := open(t)
				r := rand.New(rand.NewPCG(6, 6))
				m := newMatrix(r, elem, 70, 21)
				w := m.pack(g, false, m.k)
				bias := g.floats(normal(r, m.n))
				var together []kernels.Rows
				var sessions []*session
				for _, n := range c.counts {
					s := newSession(g, r, w, bias, n, c.more)
					sessions, together = append(sessions, s), append(together, s.rows)
				}
				g.product(w, together)
				for i, s := range sessions {
					got := s.results(g)
					g.product(w, together[i:i+1])
					sameBits(t, fmt.Sprint("session ", i, " alone"), m.n, got, s.results(g))
					sameBits(t, fmt.Sprint("session ", i, ", stage by stage"), m.n, got, s.separately(g, w))
				}
			})
		}
	}
}

// separately computes the product and then each stage by its own kernel.
func (s *session) separately(g *gpu, w *kernels.Packed) []float32 {
	g.t.Helper()
	if s.rows.Count == 0 {
		return nil
	}
	plain := s.rows
	plain.Out, plain.StrideOut, plain.Stages = g.alloc(int64(4*s.rows.Count*s.n)), s.n, nil
	g.product(w, []kernels.Rows{plain})
	y := kernels.Tensor{At: plain.Out, DType: plan.F32, Shape: []int{1, s.rows.Count, s.n}, Strides: []int{0, s.n, 1}}
	for i, st := range s.rows.Stages {
		in := []kernels.Tensor{y}
		if st.Kind != kernels.StageUnary {
			in = append(in, st.Other)
		}
		o := []op.Op{op.Add(), op.GELU{Tanh: true}, op.Add(), op.Mul()}[min(i, 3)]
		if err := g.set.Pointwise(g.st, o, y, in...); err != nil {
			g.t.Fatal(err)
		}
	}
	return g.download(y.At, s.rows.Count*s.n)
}

// Rows of an operand may have two strides.
func TestStageStrides(t *testing.T) {
	t.Parallel()
	g := open(t)
	r := rand.New(rand.NewPCG(7, 7))
	const rows = 12
	m := newMatrix(r, plan.F32, 5, 3)
	w := m.pack(g, false, m.k)
	a := normal(r, rows*m.k)
	other := normal(r, 100)
	at := g.floats(other)
	plain := m.product(g, w, a)
	for _, c := range []struct {
		shape, strides []int
		ok             bool
	}{
		{[]int{12, 3}, []int{3, 1}, true},
		{[]int{12, 3}, []int{0, 1}, true},
		{[]int{4, 3, 3}, []int{20, 5, 1}, true},
		{[]int{3, 1, 4, 1, 3}, []int{3, 9, 20, 2, 1}, true},
		{[]int{4, 3, 1, 3}, []int{12, 4, 9, 1}, true},
		{[]int{2, 1, 2, 3, 3}, []int{40, 1, 20, 5, 1}, true},
		{[]int{2, 3, 2, 3}, []int{50, 11, 4, 1}, false}, // three strides
		{[]int{12, 3}, []int{3, 2}, false},
		{[]int{11, 3}, []int{3, 1}, false},
		{[]int{12, 2}, []int{3, 1}, false},
		{[]int{}, []int{}, false},
	} {
		out := g.alloc(int64(4 * rows * m.n))
		stages := []kernels.Stage{{
			Kind: kernels.StageRows, Code: code(op.Sub()),
			Other: kernels.Tensor{At: at, DType: plan.F32, Shape: c.shape, Strides: c.strides},
		}}
		p := []kernels.Rows{{A: g.floats(a), Out: out, Count: rows, StrideA: m.k, StrideOut: m.n, Stages: stages}}
		err := g.set.Product(g.st, w, p, g.scratch(w, rows))
		if (err == nil) != c.ok {
			t.Fatalf("%v %v: %v", c.shape, c.strides, err)
		}
		if err != nil {
			continue
		}
		for i, got := range g.download(out, rows*m.n) {
			row, offset := i/m.n, i%m.n
			for d := len(c.shape) - 2; d >= 0; d-- {
				offset += row % c.shape[d] * c.strides[d]
				row /= c.shape[d]
			}
			if want := plain[i] - other[offset]; got != want {
				t.Fatalf("%v %v: element %d is %v, want %v", c.shape, c.strides, i, got, want)
			}
		}
	}
}

// What does not fit together is an error, and nothing is launched.
func TestProductErrors(t *testing.T) {
	t.Parallel()
	g := open(t)
	w := &kernels.Packed{Elem: plan.F32, K: 4, N: 4}
	unary := []kernels.Stage{{Kind: kernels.StageUnary, Code: code(op.ReLU{})}}
	for name, c := range map[string]struct {
		w        kernels.Packed
		portions []kernels.Rows
	}{
		"element type":      {kernels.Packed{Elem: plan.I32, K: 4, N: 4}, []kernels.Rows{{Count: 1}}},
		"size":              {kernels.Packed{Elem: plan.F32, K: -1, N: 4}, []kernels.Rows{{Count: 1}}},
		"stride":            {*w, []kernels.Rows{{Count: 1, StrideA: -4}}},
		"count":             {*w, []kernels.Rows{{Count: -1}}},
		"stages":            {*w, []kernels.Rows{{Count: 1, Stages: unary}, {Count: 1}}},
		"stages of a code":  {*w, []kernels.Rows{{Count: 1, Stages: []kernels.Stage{{Kind: kernels.StageUnary, Code: code(op.Add())}}}}},
		"too many stages":   {*w, []kernels.Rows{{Count: 1, Stages: make([]kernels.Stage, 65)}}},
		"an operand's rank": {*w, []kernels.Rows{{Count: 1, Stages: []kernels.Stage{{Kind: kernels.StageRow, Code: code(op.Add())}}}}},
	} {
		if err := g.set.Product(g.st, &c.w, c.portions, 0); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	for _, rows := range [][2]int{{-1, 2}, {3, 2}, {0, 5}} {
		if err := g.set.Pack(g.st, 0, plan.F32, 4, 4, 0, false, rows[0], rows[1]); err == nil {
			t.Errorf("pack of rows %v: no error", rows)
		}
	}
}
