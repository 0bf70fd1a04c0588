package kernels

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/genie-sdk/go/internal/halt"
)

// halfType is a type of weights of 16 bits with what widens it.
type halfType struct {
	name   string
	narrow func([]uint16, []float32)
	widen  func([]float32, []uint16)
	gemm   func(c []float32, ldc int, a []float32, lda int, packed []uint16, m, n, k, p0, p1 int, h halt.Func)
}

var halfTypes = []halfType{
	{"bf16", F32ToBF16, BF16ToF32, GemmPackedBF16},
	{"f16", F32ToF16, F16ToF32, GemmPackedF16},
}

var narrowM = []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 13, 14, 25, 40}

func TestGemmHalf(t *testing.T) {
	eachPath(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(31, 32))
		for _, of := range halfTypes {
			for _, m := range narrowM {
				for _, n := range []int{1, 15, 16, 17, 31, 32, 33, 64, 65, 97, 130} {
					for _, k := range []int{0, 1, 2, 3, 4, 5, 31, 100, 257} {
						g := newGemm(rng, m, n, k)
						half := make([]uint16, len(g.packed))
						of.narrow(half, g.packed)
						of.widen(g.packed, half)
						for r := range 3 {
							p0 := rng.IntN(Panels(n) + 1)
							p1 := p0 + rng.IntN(Panels(n)-p0+1)
							if r == 0 {
								p0, p1 = 0, Panels(n)
							}
							lo, hi := min(p0*PanelWidth, n), min(p1*PanelWidth, n)
							want := g.run(t, lo, hi, func(c []float32) { GemmPacked(c, g.ldc, g.a, g.lda, g.packed, m, n, k, p0, p1, nil) })
							got := g.run(t, lo, hi, func(c []float32) { of.gemm(c, g.ldc, g.a, g.lda, half, m, n, k, p0, p1, nil) })
							requireBits(t, want, got, "%s m %d n %d k %d panels %d..%d", of.name, m, n, k, p0, p1)
						}
					}
				}
			}
		}
	})
}

// Every bit pattern is a weight: zeros of both signs, subnormal numbers,
// infinities and NaN are widened as they are.
func TestGemmHalfWidensAll(t *testing.T) {
	all := allHalves()
	const k, n = 64, 1024
	eachPath(t, func(t *testing.T) {
		for _, of := range halfTypes {
			wide := make([]float32, len(all))
			of.widen(wide, all)
			for _, m := range []int{1, 2, 3, 6, 7, 13} {
				a := randoms(rand.New(rand.NewPCG(33, 34)), m*k)
				want, got := filled(m*n, guard), filled(m*n, guard)
				GemmPacked(want, n, a, k, wide, m, n, k, 0, Panels(n), nil)
				of.gemm(got, n, a, k, all, m, n, k, 0, Panels(n), nil)
				requireBits(t, want, got, "%s m %d", of.name, m)
				// One weight at a time, so that NaN does not hide the others.
				clear(a)
				for l := range k {
					a[l] = 1
					GemmPacked(want, n, a[l:l+1], k, wide[l*n:][:n], 1, n, 1, 0, Panels(n), nil)
					of.gemm(got, n, a[l:l+1], k, all[l*n:][:n], 1, n, 1, 0, Panels(n), nil)
					requireBits(t, want, got, "%s weights from %d", of.name, l*n)
					for j, w := range wide[l*n:][:n] {
						if w == w && w != 0 && math.Float32bits(w) != math.Float32bits(got[j]) {
							t.Fatalf("%s: weight %#x: want %v, got %v", of.name, all[l*n+j], w, got[j])
						}
					}
				}
			}
		}
	})
}
