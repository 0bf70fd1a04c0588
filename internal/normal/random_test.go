package normal

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport/plan"
)

// TestRandomPrograms computes every tensor of random programs by the reference
// kernels, as captured and in normal form. GENIE_SEED repeats a run.
func TestRandomPrograms(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("GENIE_SEED"); s != "" {
		n, err := strconv.ParseUint(s, 10, 64)
		require.NoError(t, err)
		seed = n
	}
	rewritten := 0
	for i := range 400 {
		m := &maker{rng: rand.New(rand.NewPCG(seed, uint64(i)))}
		g := m.program()
		// Operators that did not fit have left an error, and no tensor.
		w := newForming(g, nil, nil)
		for id, x := range g.Tensors() {
			w.tensor(id, x)
		}
		require.Empty(t, w.b.faults, "program %d of GENIE_SEED=%d", i, seed)
		f := &Form{}
		var err error
		f.Graph, f.To, err = w.emit()
		require.NoError(t, err, "program %d of GENIE_SEED=%d", i, seed)
		if w.b.rewrote {
			rewritten++
		}
		if !t.Run(strconv.Itoa(i), func(t *testing.T) { sameValues(t, g, f, plan.Bindings{"b": 2, "t": 3}) }) {
			t.Fatalf("program %d of GENIE_SEED=%d", i, seed)
		}
	}
	require.Greater(t, rewritten, 200)
}

// maker makes a random program of f32 values.
type maker struct {
	rng *rand.Rand
	g   *lazy.Graph
	all []*lazy.Tensor
}

func (m *maker) program() *lazy.Graph {
	m.g = lazy.NewGraph("random")
	b, s := plan.Sym("b"), plan.Sym("t")
	for i, shape := range [][]any{{b, s, 4}, {b, 1, 4}, {4}, {b, s, 4}, {1, s, 1}, {4, 4}} {
		name := "x" + strconv.Itoa(i)
		if i == 5 {
			w := make([]float32, 16)
			for k := range w {
				w[k] = m.rng.Float32() - 0.5
			}
			m.all = append(m.all, m.g.WeightF32(name, w, 4, 4))
			continue
		}
		m.all = append(m.all, m.g.Input(name, lazy.F32, shape...))
	}
	for range 6 + m.rng.IntN(20) {
		if y := m.step(m.any()); y != nil && y.Err() == nil {
			m.all = append(m.all, y)
		}
	}
	g := m.g
	m.g.Output("y", m.all[len(m.all)-1])
	return g
}

func (m *maker) any() *lazy.Tensor { return m.all[m.rng.IntN(len(m.all))] }

// like is a value of x's shape, x itself if there is no other.
func (m *maker) like(x *lazy.Tensor) *lazy.Tensor {
	for range 8 {
		if y := m.any(); y.Shape().Equal(x.Shape()) {
			return y
		}
	}
	return x
}

func (m *maker) constant() float32 {
	return []float32{0, 1, -1, 2, 0.5, 3, -0.5, 1e-3, 7, 1e30, 1e-30}[m.rng.IntN(11)]
}

func (m *maker) scalar() *lazy.Tensor {
	v := m.constant()
	switch m.rng.IntN(4) {
	case 0:
		return m.g.Const([]float32{v})
	case 1:
		return m.g.Const([]float32{v}, 1, 1)
	case 2:
		return lazy.Expand(m.g.Const([]float32{v}, 1), 4)
	}
	return m.g.Const([]float32{v}, 1)
}

// step applies a random operator to x; nil or an error if it does not fit.
func (m *maker) step(x *lazy.Tensor) *lazy.Tensor {
	switch m.rng.IntN(9) {
	case 0, 1, 2:
		return m.view(x)
	case 3, 4, 5:
		return m.arithmetic(x)
	case 6:
		return m.product(x)
	case 7:
		return m.unary(x)
	}
	return m.reduce(x)
}

func (m *maker) view(x *lazy.Tensor) *lazy.Tensor {
	rank := len(x.Shape())
	if rank == 0 {
		return m.spread(x)
	}
	axis := m.rng.IntN(rank)
	d := x.Dim(axis)
	switch m.rng.IntN(10) {
	case 0:
		return lazy.Identity(x)
	case 1:
		return lazy.Transpose(x, m.rng.Perm(rank)...)
	case 2:
		return m.reshaped(x)
	case 3:
		return m.spread(x)
	case 4:
		if n, ok := d.Const(); ok && n > 1 {
			from := m.rng.IntN(n)
			return lazy.SliceN(x, axis, from, from+1+m.rng.IntN(n-from))
		}
		return lazy.Slice(x, axis, plan.C(0), d)
	case 5:
		return lazy.Concat(axis, x, m.like(x))
	case 6:
		if n, ok := d.Const(); ok && n > 2 {
			cut := 1 + m.rng.IntN(n-1)
			return lazy.Concat(axis, lazy.SliceN(x, axis, 0, cut), lazy.SliceN(x, axis, cut, n))
		}
		return lazy.Concat(axis, x)
	case 7: // a part of a concat
		y := lazy.Concat(axis, x, m.like(x))
		return lazy.Slice(y, axis, d, y.Dim(axis))
	case 8:
		return lazy.Cast(lazy.Cast(x, lazy.F32), lazy.F32)
	}
	return lazy.Transpose(lazy.Transpose(x, m.rng.Perm(rank)...), m.rng.Perm(rank)...)
}

// reshaped splits, merges or adds axes.
func (m *maker) reshaped(x *lazy.Tensor) *lazy.Tensor {
	s := x.Shape()
	var dims []any
	for i, d := range s {
		if n, ok := d.Const(); ok && n == 4 && m.rng.IntN(2) == 0 {
			dims = append(dims, 2, 2)
			continue
		}
		if i > 0 && m.rng.IntN(3) == 0 {
			dims[len(dims)-1] = asDim(dims[len(dims)-1]).Mul(d)
			continue
		}
		if m.rng.IntN(5) == 0 {
			dims = append(dims, 1)
		}
		dims = append(dims, d)
	}
	if len(dims) > 6 {
		return nil
	}
	return lazy.Reshape(x, dims...)
}

func asDim(d any) plan.Dim {
	if n, ok := d.(int); ok {
		return plan.C(n)
	}
	return d.(plan.Dim)
}

// spread expands axes of one, and adds one in front.
func (m *maker) spread(x *lazy.Tensor) *lazy.Tensor {
	var dims []any
	if m.rng.IntN(2) == 0 && len(x.Shape()) < 5 {
		dims = append(dims, []any{1, 3, plan.Sym("b")}[m.rng.IntN(3)])
	}
	for _, d := range x.Shape() {
		if d.Is(1) && m.rng.IntN(2) == 0 {
			dims = append(dims, []any{2, plan.Sym("t")}[m.rng.IntN(2)])
			continue
		}
		dims = append(dims, d)
	}
	return lazy.Expand(x, dims...)
}

func (m *maker) arithmetic(x *lazy.Tensor) *lazy.Tensor {
	y := m.like(x)
	switch m.rng.IntN(4) {
	case 0:
		y = m.scalar()
	case 1:
		y = m.any()
	}
	if m.rng.IntN(2) == 0 {
		x, y = y, x
	}
	switch m.rng.IntN(8) {
	case 0, 1:
		return lazy.Add(x, y)
	case 2:
		return lazy.Sub(x, y)
	case 3, 4:
		return lazy.Mul(x, y)
	case 5:
		return lazy.Div(x, lazy.Add(lazy.Mul(y, y), m.g.Const([]float32{1}, 1)))
	case 6:
		return lazy.Div(x, m.g.Const([]float32{[]float32{2, 3, -8, 1e-3}[m.rng.IntN(4)]}, 1))
	}
	return lazy.Div(x, lazy.Sqrt(lazy.Add(lazy.Mul(y, y), m.g.Const([]float32{0.5}, 1))))
}

func (m *maker) product(x *lazy.Tensor) *lazy.Tensor {
	y := m.any()
	if m.rng.IntN(2) == 0 && len(y.Shape()) > 1 {
		y = lazy.Transpose(y, m.rng.Perm(len(y.Shape()))...)
	}
	var z *lazy.Tensor
	switch m.rng.IntN(3) {
	case 0:
		z = lazy.MatMul(x, y)
	case 1:
		z = lazy.MatMul(x, y, lazy.TransB)
	default:
		z = lazy.MatMul(x, y, lazy.TransA)
	}
	if z.Err() != nil || m.rng.IntN(2) == 0 {
		return z
	}
	return lazy.Add(m.all[2], z)
}

func (m *maker) unary(x *lazy.Tensor) *lazy.Tensor {
	switch m.rng.IntN(8) {
	case 0:
		return lazy.ReLU(x)
	case 1:
		return lazy.Tanh(x)
	case 2:
		return lazy.Neg(x)
	case 3:
		return lazy.Pow(lazy.Tanh(x), m.g.Const([]float32{[]float32{1, 2, 3}[m.rng.IntN(3)]}, 1))
	case 4:
		return lazy.Reciprocal(lazy.Sqrt(lazy.Add(lazy.Mul(x, x), m.g.Const([]float32{0.25}, 1))))
	case 5:
		return lazy.Pow(lazy.Add(lazy.Mul(x, x), m.g.Const([]float32{0.25}, 1)), m.g.Const([]float32{[]float32{-0.5, 0.5, -1}[m.rng.IntN(3)]}, 1))
	case 6:
		return lazy.Cast(lazy.Cast(lazy.Greater(x, m.g.Const([]float32{0}, 1)), lazy.I32), lazy.F32)
	}
	return lazy.Exp(lazy.Tanh(x))
}

func (m *maker) reduce(x *lazy.Tensor) *lazy.Tensor {
	rank := len(x.Shape())
	if rank == 0 {
		return nil
	}
	axis := m.rng.IntN(rank)
	switch m.rng.IntN(4) {
	case 0:
		return lazy.Sum(x, axis)
	case 1:
		return lazy.Mean(x, axis)
	case 2:
		return lazy.Softmax(x, axis)
	}
	return lazy.Max(x, axis)
}
