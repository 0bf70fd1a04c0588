package kernels_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/genie-sdk/go/internal/device/cuda/driver"
	"github.com/genie-sdk/go/internal/device/cuda/kernels"
)

// TestProductBits cuts random rows into random portions, with gaps, at addresses
// that are aligned to elements alone, some with NaN and infinities: each row has
// the bits of the row alone.
func TestProductBits(t *testing.T) {
	t.Parallel()
	for _, elem := range elems {
		t.Run(elem.String(), func(t *testing.T) {
			t.Parallel()
			g := open(t)
			r := rand.New(rand.NewPCG(11, uint64(elem)))
			for i := range 5 {
				m := newMatrix(r, elem, 1+r.IntN(300), 1+r.IntN(40))
				w := m.pack(g, i%2 == 0, 1+r.IntN(60))
				rows := []int{3, 9, 20, 37, 70}[i]
				a := normal(r, rows*m.k)
				for range 1 + rows/8 { // others keep their bits
					a[r.IntN(len(a))] = float32([]float64{math.NaN(), math.Inf(1), math.Inf(-1), math.Copysign(0, -1)}[r.IntN(4)])
				}
				want := make([]float32, 0, rows*m.n)
				for k := range rows {
					want = append(want, m.product(g, w, a[k*m.k:(k+1)*m.k])...)
				}
				for _, most := range []int{rows, 4} {
					got := m.cut(g, r, w, a, most)
					sameBits(t, fmt.Sprintf("%d rows of %d in portions of up to %d", rows, m.k, most), m.n, got, want)
				}
			}
		})
	}
}

// cut computes rows in portions of up to so many.
func (m *matrix) cut(g *gpu, r *rand.Rand, w *kernels.Packed, a []float32, most int) []float32 {
	g.t.Helper()
	var portions []kernels.Rows
	for at := 0; at < len(a); {
		n := 1 + r.IntN(min(most, (len(a)-at)/m.k))
		gap, shift := r.IntN(4), r.IntN(4)
		p := kernels.Rows{Count: n, StrideA: m.k + gap, StrideOut: m.n + gap}
		in := make([]float32, shift+n*p.StrideA)
		for i := range n {
			copy(in[shift+i*p.StrideA:], a[at+i*m.k:at+(i+1)*m.k])
		}
		p.A = g.floats(in) + driver.Ptr(4*shift)
		p.Out = g.alloc(int64(4*(shift+n*p.StrideOut))) + driver.Ptr(4*shift)
		portions, at = append(portions, p), at+n*m.k
	}
	g.product(w, portions)
	var out []float32
	for i := range portions {
		p := &portions[i]
		for k := range p.Count {
			out = append(out, g.download(p.Out+driver.Ptr(4*k*p.StrideOut), m.n)...)
		}
	}
	return out
}
