package kernels

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/device/cuda/driver"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// machine is a rig whose memory is filled from arrays.
type machine struct{ *rig }

func newMachine(t *testing.T) *machine {
	t.Helper()
	return &machine{newRig(t)}
}

// zeros allocates n bytes of zeros.
func (m *machine) zeros(n int) driver.Ptr {
	m.t.Helper()
	p := m.alloc(n)
	require.NoError(m.t, m.st.Fill(p, 0, int64(n)))
	return p
}

// put uploads bytes.
func (m *machine) put(b []byte) driver.Ptr {
	m.t.Helper()
	p := m.alloc(len(b))
	if len(b) > 0 {
		m.in(p, b)
	}
	return p
}

// get downloads n bytes.
func (m *machine) get(p driver.Ptr, n int) []byte {
	m.t.Helper()
	b := make([]byte, n)
	if n > 0 {
		m.out(b, p)
	}
	return b
}

// upload is an array in device memory, with its strides.
func (m *machine) upload(a *op.Array) Tensor {
	m.t.Helper()
	return Tensor{At: m.put(a.Data), DType: a.DType, Shape: a.Shape, Strides: a.Strides}
}

// floats downloads n elements.
func (m *machine) floats(p driver.Ptr, n int) []float32 {
	m.t.Helper()
	return (&op.Array{Data: m.get(p, 4*n)}).F32()
}

func (m *machine) ints(p driver.Ptr, n int) []int32 {
	m.t.Helper()
	return (&op.Array{Data: m.get(p, 4*n)}).I32()
}

// strided is an array of this shape whose axes are stored in this order, the
// last one dense, with gap elements between the positions of the others.
func strided(dt plan.DType, gap int, order []int, shape ...int) *op.Array {
	a := &op.Array{DType: dt, Shape: shape, Strides: make([]int, len(shape))}
	n := 1
	for i, d := range slices.Backward(order) {
		a.Strides[d] = n
		if n *= shape[d]; i > 0 {
			n += gap
		}
	}
	a.Data = make([]byte, n*dt.Size())
	return a
}

// normal fills an array with normal numbers.
func normal(rng *rand.Rand, a *op.Array) *op.Array {
	f := a.F32()
	for i := range f {
		f[i] = float32(rng.NormFloat64())
	}
	return a
}

func newRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 1)) }

// near requires that values differ from those wanted by at most 1e-5 of the
// largest of them.
func near(t *testing.T, want, got []float32) {
	t.Helper()
	require.Len(t, got, len(want))
	var top float64
	for _, x := range want {
		if f := math.Abs(float64(x)); !math.IsInf(f, 0) {
			top = max(top, f)
		}
	}
	for i, x := range want {
		g := got[i]
		if x != x || g != g || math.IsInf(float64(x), 0) {
			require.Equal(t, x != x, g != g, "element %d is %v, want %v", i, g, x)
			require.True(t, x != x || x == g, "element %d is %v, want %v", i, g, x)
			continue
		}
		require.LessOrEqual(t, math.Abs(float64(g)-float64(x)), 1e-5*top, "element %d is %v, want %v", i, g, x)
	}
}

// sameBits requires equal bits.
func sameBits(t *testing.T, want, got []float32, msg string, args ...any) {
	t.Helper()
	require.Len(t, got, len(want))
	for i, x := range want {
		if math.Float32bits(x) != math.Float32bits(got[i]) {
			require.FailNowf(t, "other bits", "element %d is %v (%x), want %v (%x): "+msg, append([]any{i, got[i], math.Float32bits(got[i]), x, math.Float32bits(x)}, args...)...)
		}
	}
}
