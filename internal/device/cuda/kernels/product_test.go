package kernels_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/genie-sdk/go/internal/device/cuda/driver"
	"github.com/genie-sdk/go/internal/device/cuda/kernels"
	"github.com/genie-sdk/go/transport/plan"
)

var elems = []plan.DType{plan.F32, plan.F16, plan.BF16}

// matrix is a weight [k, n] and its values as they are stored.
type matrix struct {
	k, n   int
	elem   plan.DType
	values []float32
}

func newMatrix(r *rand.Rand, elem plan.DType, k, n int) *matrix {
	m := &matrix{k: k, n: n, elem: elem, values: make([]float32, k*n)}
	for i := range m.values {
		m.values[i] = rounded(elem, float32(r.NormFloat64()))
	}
	return m
}

// stored is the content in storage format, [k, n] or, transposed, [n, k].
func (m *matrix) stored(transposed bool) []byte {
	values := m.values
	if transposed {
		values = make([]float32, len(m.values))
		for i := range m.k {
			for j := range m.n {
				values[j*m.k+i] = m.values[i*m.n+j]
			}
		}
	}
	return encode(m.elem, values)
}

// pack packs the weight in pieces of this many rows.
func (m *matrix) pack(g *gpu, transposed bool, piece int) *kernels.Packed {
	g.t.Helper()
	w := &kernels.Packed{Elem: m.elem, K: m.k, N: m.n}
	w.At = g.alloc(kernels.PackedBytes(m.elem, m.k, m.n))
	rows, row := m.k, m.n
	if transposed {
		rows, row = m.n, m.k
	}
	content := m.stored(transposed)
	row *= m.elem.Size()
	for from := 0; from < rows; from += piece {
		to := min(rows, from+piece)
		src := g.upload(content[from*row : to*row])
		if err := g.set.Pack(g.st, w.At, m.elem, m.k, m.n, src, transposed, from, to); err != nil {
			g.t.Fatal(err)
		}
	}
	return w
}

// product computes rows of a [m, k] with the weight.
func (m *matrix) product(g *gpu, w *kernels.Packed, a []float32) []float32 {
	g.t.Helper()
	rows := len(a) / max(m.k, 1)
	out := g.alloc(int64(4 * rows * m.n))
	p := []kernels.Rows{{A: g.floats(a), Out: out, Count: rows, StrideA: m.k, StrideOut: m.n}}
	g.product(w, p)
	return g.download(out, rows*m.n)
}

func normal(r *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	return x
}

// checkProduct compares a product with one in float64, relative to the sum of
// the absolute values.
func checkProduct(t *testing.T, m *matrix, a, got []float32) {
	t.Helper()
	for i := range len(a) / m.k {
		for j := range m.n {
			var sum, all float64
			for k := range m.k {
				x := float64(rounded(m.elem, a[i*m.k+k])) * float64(m.values[k*m.n+j])
				sum, all = sum+x, all+math.Abs(x)
			}
			if d := math.Abs(sum - float64(got[i*m.n+j])); !(d <= 1e-6*all) {
				t.Fatalf("[%d, %d] is %v, want %v", i, j, got[i*m.n+j], sum)
			}
		}
	}
}

// sameBits checks rows of n elements.
func sameBits(t *testing.T, what string, n int, got, want []float32) {
	t.Helper()
	for i := range got {
		if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
			t.Fatalf("%s: [%d, %d] is %x, want %x", what, i/n, i%n, math.Float32bits(got[i]), math.Float32bits(want[i]))
		}
	}
}

// Every element is close to the exact product, and a row has the same bits
// with whatever number of other rows, in whichever kernel.
func TestProduct(t *testing.T) {
	t.Parallel()
	for _, elem := range elems {
		for _, size := range [][2]int{{1, 1}, {3, 5}, {64, 8}, {65, 9}, {130, 33}, {200, 16}, {324, 70}} {
			t.Run(fmt.Sprintf("%v/k=%d/n=%d", elem, size[0], size[1]), func(t *testing.T) {
				t.Parallel()
				g := open(t)
				r := rand.New(rand.NewPCG(1, uint64(size[0])))
				m := newMatrix(r, elem, size[0], size[1])
				w := m.pack(g, false, m.k)
				a := normal(r, 70*m.k)
				var want []float32 // row by row
				for i := range 4 {
					want = append(want, m.product(g, w, a[i*m.k:(i+1)*m.k])...)
				}
				for _, rows := range []int{2, 3, 7, 8, 9, 17, 33, 66} {
					got := m.product(g, w, a[:rows*m.k])
					checkProduct(t, m, a[:rows*m.k], got)
					some := min(len(want), len(got))
					sameBits(t, fmt.Sprint(rows, " rows"), m.n, got[:some], want[:some])
					if rows > len(want)/m.n {
						want = append(want, got[len(want):]...)
					}
				}
			})
		}
	}
}

// A row has the same bits at each place among many.
func TestProductEachRow(t *testing.T) {
	t.Parallel()
	for _, elem := range elems {
		t.Run(elem.String(), func(t *testing.T) {
			t.Parallel()
			g := open(t)
			r := rand.New(rand.NewPCG(2, 2))
			m := newMatrix(r, elem, 137, 19)
			w := m.pack(g, false, m.k)
			a := normal(r, 40*m.k)
			want := make([]float32, 0, 40*m.n)
			for i := range 40 {
				want = append(want, m.product(g, w, a[i*m.k:(i+1)*m.k])...)
			}
			for rows := 2; rows <= 40; rows++ {
				got := m.product(g, w, a[:rows*m.k])
				sameBits(t, fmt.Sprint(rows, " rows"), m.n, got, want[:rows*m.n])
			}
		})
	}
}

// A sum keeps the sign of a zero: that of products too small for a float32.
func TestProductOfZeros(t *testing.T) {
	t.Parallel()
	g := open(t)
	m := &matrix{k: 64, n: 1, elem: plan.F32, values: slices.Repeat([]float32{1e-30}, 64)}
	w := m.pack(g, false, m.k)
	for _, rows := range []int{1, 2, 4, 8, 64, 128} {
		a := slices.Repeat([]float32{-1e-30}, rows*m.k)
		for i, x := range m.product(g, w, a) {
			if math.Float32bits(x) != 1<<31 {
				t.Fatalf("element %d of %d is %v, want -0", i, rows, x)
			}
		}
	}
}

// Large products have other blocks, several passes and the large tiles.
func TestProductShapes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		kernel          string
		elem            plan.DType
		k, n            int
		multiprocessors int
		sharedPerBlock  int
		rows            int
	}{
		{"product_skinny_8", plan.F32, 3000, 9, 4, 48 << 10, 8}, // passes
		{"product_skinny_4", plan.F32, 5000, 9, 4, 48 << 10, 3},
		{"product_skinny_8", plan.F32, 100, 300, 1, 160 << 10, 5}, // units
		{"product_tiled_128", plan.F32, 70, 70, 1, 160 << 10, 140},
		{"product_bf16_skinny_8", plan.BF16, 14000, 16, 4, 160 << 10, 8}, // passes
		{"product_f16_skinny_8", plan.F16, 200, 330, 1, 160 << 10, 5},    // units
		{"product_bf16_skinny_32", plan.BF16, 200, 40, 4, 160 << 10, 31},
		{"product_bf16_tiled_32", plan.BF16, 400, 70, 4, 160 << 10, 70},
		{"product_bf16_tiled_64", plan.BF16, 400, 60, 1, 160 << 10, 140},
		{"product_bf16_tiled_128", plan.BF16, 400, 125, 1, 160 << 10, 140},
		{"product_f16_tiled_64", plan.F16, 70, 60, 1, 160 << 10, 140},
		{"product_f16_tiled_128", plan.F16, 70, 125, 1, 160 << 10, 140},
		{"product_f16_tiled_64", plan.F16, 70, 125, 1, 100 << 10, 120}, // less shared memory
	} {
		t.Run(fmt.Sprintf("%s/k=%d", c.kernel, c.k), func(t *testing.T) {
			t.Parallel()
			g := openLike(t, func(p *driver.Properties) { p.Multiprocessors, p.SharedPerBlock = c.multiprocessors, c.sharedPerBlock })
			r := rand.New(rand.NewPCG(3, 3))
			m := newMatrix(r, c.elem, c.k, c.n)
			w := m.pack(g, false, m.k)
			a := normal(r, c.rows*m.k)
			got := m.product(g, w, a)
			if !g.launched[c.kernel] {
				t.Fatalf("launched %v, want %s", g.launched, c.kernel)
			}
			last := c.rows - 1
			checkProduct(t, m, a[:m.k], got[:m.n])
			checkProduct(t, m, a[last*m.k:], got[last*m.n:])
			sameBits(t, "first row", m.n, m.product(g, w, a[:m.k]), got[:m.n])
			sameBits(t, "last row", m.n, m.product(g, w, a[last*m.k:]), got[last*m.n:])
		})
	}
}

// The layout does not depend on how the content comes.
func TestPack(t *testing.T) {
	t.Parallel()
	for _, elem := range elems {
		t.Run(elem.String(), func(t *testing.T) {
			t.Parallel()
			g := open(t)
			r := rand.New(rand.NewPCG(4, 4))
			m := newMatrix(r, elem, 67, 21)
			whole := g.bytes(m.pack(g, false, m.k).At, kernels.PackedBytes(elem, m.k, m.n))
			for _, c := range []struct {
				transposed bool
				piece      int
			}{{false, 10}, {true, m.n}, {true, 4}} {
				got := g.bytes(m.pack(g, c.transposed, c.piece).At, int64(len(whole)))
				if !slices.Equal(got, whole) {
					t.Errorf("transposed %v in pieces of %d rows: another layout", c.transposed, c.piece)
				}
			}
			values := 0
			for i := 0; i < len(whole); i += elem.Size() {
				if slices.Max(whole[i:i+elem.Size()]) != 0 {
					values++
				}
			}
			if values != m.k*m.n {
				t.Errorf("%d elements are not zero, want the %d of the weight", values, m.k*m.n)
			}
		})
	}
}

// Sizes of zero compute nothing, or the sum of nothing.
func TestProductOfNothing(t *testing.T) {
	t.Parallel()
	g := open(t)
	for _, elem := range elems {
		for _, rows := range []int{1, 100} {
			g.product(&kernels.Packed{Elem: elem, K: 4, N: 0}, []kernels.Rows{{Count: rows, StrideA: 4}})
			out := g.floats(normal(rand.New(rand.NewPCG(5, 5)), rows*3))
			g.product(&kernels.Packed{Elem: elem, K: 0, N: 3}, []kernels.Rows{{Out: out, Count: rows, StrideOut: 3}})
			for i, x := range g.download(out, rows*3) {
				if math.Float32bits(x) != 0 {
					t.Fatalf("%v, %d rows: element %d of a product of nothing is %v", elem, rows, i, x)
				}
			}
		}
		g.product(&kernels.Packed{Elem: elem, K: 4, N: 4}, []kernels.Rows{{Count: 0}})
		g.product(&kernels.Packed{Elem: elem, K: 4, N: 4}, nil)
		if n := kernels.PackedBytes(elem, 0, 5); n != 0 {
			t.Errorf("a weight of no rows takes %d bytes", n)
		}
		if err := g.set.Pack(g.st, 0, elem, 0, 5, 0, false, 0, 0); err != nil {
			t.Error(err)
		}
	}
}
