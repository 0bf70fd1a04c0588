package kernels

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// eachPath runs f once on every path that this CPU has.
func eachPath(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	was := active
	defer func() { active = was }()
	for p := pathGeneric; p <= bestPath(); p++ {
		active = p
		t.Run("path="+Path(), f)
	}
}

func randoms(rng *rand.Rand, n int) []float32 {
	s := make([]float32, n)
	for i := range s {
		s[i] = float32(rng.NormFloat64())
	}
	return s
}

func filled(n int, v float32) []float32 {
	s := make([]float32, n)
	for i := range s {
		s[i] = v
	}
	return s
}

// requireBits compares bit patterns, any NaN being equal to any other.
func requireBits(t *testing.T, want, got []float32, msg string, args ...any) {
	t.Helper()
	require.Len(t, got, len(want))
	for i := range want {
		if math.Float32bits(want[i]) != math.Float32bits(got[i]) && !(want[i] != want[i] && got[i] != got[i]) {
			t.Fatalf("%s: element %d: want %v (%#x), got %v (%#x)", fmt.Sprintf(msg, args...), i,
				want[i], math.Float32bits(want[i]), got[i], math.Float32bits(got[i]))
		}
	}
}

type gemmCase struct {
	m, n, k          int
	lda, ldb, ldc    int
	a, b, bt, packed []float32
	want, scale      []float64
}

const guard = float32(-12345.5)

// newGemm makes A [m, k], B [k, n] and its transpose, all with padded rows that
// hold NaN beyond the matrix, and the product in float64.
func newGemm(rng *rand.Rand, m, n, k int) *gemmCase {
	g := &gemmCase{m: m, n: n, k: k, lda: k + 3, ldb: n + 5, ldc: n + 2}
	nan := float32(math.NaN())
	g.a, g.b, g.bt = filled(m*g.lda, nan), filled(k*g.ldb, nan), filled(n*g.lda, nan)
	for i := range m {
		copy(g.a[i*g.lda:], randoms(rng, k))
	}
	for l := range k {
		copy(g.b[l*g.ldb:], randoms(rng, n))
		for j := range n {
			g.bt[j*g.lda+l] = g.b[l*g.ldb+j]
		}
	}
	g.packed = filled(PackedLen(k, n), nan)
	Pack(g.packed, g.b, g.ldb, 1, k, n)
	g.want, g.scale = make([]float64, m*n), make([]float64, m*n)
	for i := range m {
		for j := range n {
			for l := range k {
				p := float64(g.a[i*g.lda+l]) * float64(g.b[l*g.ldb+j])
				g.want[i*n+j] += p
				g.scale[i*n+j] += math.Abs(p)
			}
		}
	}
	return g
}

// run computes C with f and returns it dense, after checking that nothing was
// written outside columns lo to hi.
func (g *gemmCase) run(t *testing.T, lo, hi int, f func(c []float32)) []float32 {
	t.Helper()
	c := filled(g.m*g.ldc, guard)
	f(c)
	out := make([]float32, 0, g.m*(hi-lo))
	for i := range g.m {
		for j := range g.ldc {
			if j >= lo && j < hi {
				out = append(out, c[i*g.ldc+j])
			} else if c[i*g.ldc+j] != guard {
				t.Fatalf("row %d, column %d written, which is outside %d..%d (m %d n %d k %d)", i, j, lo, hi, g.m, g.n, g.k)
			}
		}
	}
	return out
}

func (g *gemmCase) check(t *testing.T, name string, got []float32) {
	t.Helper()
	for i, w := range g.want {
		if d := math.Abs(w - float64(got[i])); !(d <= 1e-6*g.scale[i]+1e-30) {
			t.Fatalf("%s m %d n %d k %d: element %d: want %v, got %v", name, g.m, g.n, g.k, i, w, got[i])
		}
	}
}

var (
	gemmM = []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 25}
	gemmN = []int{1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 18, 24, 31, 32, 33, 40, 47, 48, 49, 63, 64, 65, 70, 127, 129}
	gemmK = []int{0, 1, 2, 3, 15, 16, 17, 31, 32, 33, 64, 100}
)

func TestGemmAgainstFloat64(t *testing.T) {
	eachPath(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(1, 2))
		for _, m := range gemmM {
			for _, n := range gemmN {
				for _, k := range gemmK {
					g := newGemm(rng, m, n, k)
					packed := g.run(t, 0, n, func(c []float32) {
						GemmPacked(c, g.ldc, g.a, g.lda, g.packed, m, n, k, 0, Panels(n), nil)
					})
					g.check(t, "GemmPacked", packed)
					nn := g.run(t, 0, n, func(c []float32) { GemmNN(c, g.ldc, g.a, g.lda, g.b, g.ldb, m, 0, n, k, nil) })
					requireBits(t, packed, nn, "GemmNN and GemmPacked, m %d n %d k %d", m, n, k)
					nt := g.run(t, 0, n, func(c []float32) { GemmNT(c, g.ldc, g.a, g.lda, g.bt, g.lda, m, 0, n, k, nil) })
					requireBits(t, packed, nt, "GemmNT and GemmPacked, m %d n %d k %d", m, n, k)
				}
			}
		}
	})
}

// An output's bits depend neither on the number of rows nor on the range.
func TestGemmBitsDoNotDependOnCompany(t *testing.T) {
	eachPath(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(3, 4))
		for _, size := range [][3]int{{13, 70, 65}, {50, 131, 700}, {37, 96, 1100}, {3, 2100, 40}, {64, 64, 16}, {10, 80, 200}, {24, 50, 150}, {140, 70, 1700}} {
			m, n, k := size[0], size[1], size[2]
			g := newGemm(rng, m, n, k)
			all := g.run(t, 0, n, func(c []float32) {
				GemmPacked(c, g.ldc, g.a, g.lda, g.packed, m, n, k, 0, Panels(n), nil)
			})
			g.check(t, "GemmPacked", all)
			for range 20 {
				i0 := rng.IntN(m)
				i1 := i0 + 1 + rng.IntN(m-i0)
				n0 := rng.IntN(n)
				n1 := n0 + 1 + rng.IntN(n-n0)
				p0, p1 := n0/PanelWidth, Panels(n1)
				rows := &gemmCase{m: i1 - i0, n: n, k: k, ldc: g.ldc}
				a := g.a[i0*g.lda:]
				got := rows.run(t, p0*PanelWidth, min(n, p1*PanelWidth), func(c []float32) {
					GemmPacked(c, g.ldc, a, g.lda, g.packed, rows.m, n, k, p0, p1, nil)
				})
				requireBits(t, crop(all, n, i0, i1, p0*PanelWidth, min(n, p1*PanelWidth)), got, "GemmPacked rows %d..%d panels %d..%d", i0, i1, p0, p1)
				got = rows.run(t, n0, n1, func(c []float32) { GemmNN(c, g.ldc, a, g.lda, g.b, g.ldb, rows.m, n0, n1, k, nil) })
				requireBits(t, crop(all, n, i0, i1, n0, n1), got, "GemmNN rows %d..%d columns %d..%d of %v", i0, i1, n0, n1, size)
				got = rows.run(t, n0, n1, func(c []float32) { GemmNT(c, g.ldc, a, g.lda, g.bt, g.lda, rows.m, n0, n1, k, nil) })
				requireBits(t, crop(all, n, i0, i1, n0, n1), got, "GemmNT rows %d..%d columns %d..%d of %v", i0, i1, n0, n1, size)
			}
		}
	})
}

// Blocks of columns, and k in two parts, give the bits of the whole.
func TestGemmBlock(t *testing.T) {
	eachPath(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(7, 8))
		for _, m := range []int{1, 2, 3, 4, 5, 6, 7, 13, 40} {
			for n := 1; n <= 2*PanelWidth+1; n++ {
				const k = 37
				g := newGemm(rng, m, n, k)
				want := g.run(t, 0, n, func(c []float32) {
					GemmPacked(c, g.ldc, g.a, g.lda, g.packed, m, n, k, 0, Panels(n), nil)
				})
				for split := 0; split <= k; split += 9 {
					got := g.run(t, 0, n, func(c []float32) {
						gemmBlock(c, g.ldc, g.a, g.lda, g.packed, k*PanelWidth, m, n, split, false)
						gemmBlock(c, g.ldc, g.a[split:], g.lda, g.packed[split*PanelWidth:], k*PanelWidth, m, n, k-split, true)
					})
					requireBits(t, want, got, "m %d n %d split %d", m, n, split)
				}
			}
		}
	})
}

func crop(c []float32, n, i0, i1, j0, j1 int) []float32 {
	var out []float32
	for i := i0; i < i1; i++ {
		out = append(out, c[i*n+j0:i*n+j1]...)
	}
	return out
}

// columnParts splits n columns into ranges, in no order.
func columnParts(rng *rand.Rand, n int) [][2]int {
	var parts [][2]int
	for j := 0; j < n; {
		next := min(n, j+1+rng.IntN(20))
		parts = append(parts, [2]int{j, next})
		j = next
	}
	rng.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
	return parts
}

func TestPack(t *testing.T) {
	eachPath(t, testPack)
}

func testPack(t *testing.T) {
	t.Helper()
	rng := rand.New(rand.NewPCG(5, 6))
	for _, size := range [][2]int{{0, 5}, {5, 0}, {1, 1}, {3, 32}, {33, 33}, {17, 70}, {40, 31}, {100, 128}} {
		k, n := size[0], size[1]
		g := newGemm(rng, 1, n, k)
		want := make([]float32, PackedLen(k, n))
		for l := range k {
			for j := range n {
				want[j/16*16*k+l*16+j%16] = g.b[l*g.ldb+j]
			}
		}
		nan := float32(math.NaN())
		requireBits(t, want, g.packed, "rows, k %d n %d", k, n)
		got := filled(len(want), nan)
		Pack(got, g.bt, 1, g.lda, k, n)
		requireBits(t, want, got, "transposed, k %d n %d", k, n)
		got = filled(len(want), nan)
		for l := k; l > 0; {
			l0 := max(0, l-1-rng.IntN(5))
			var rows []float32
			for i := l0; i < l; i++ {
				rows = append(rows, g.b[i*g.ldb:i*g.ldb+n]...)
			}
			PackRows(got, rows, l0, l, k, n)
			l = l0
		}
		requireBits(t, want, got, "streamed, k %d n %d", k, n)
		got = filled(len(want), nan)
		for _, j0 := range columnParts(rng, n) {
			var columns []float32
			for j := j0[0]; j < j0[1]; j++ {
				columns = append(columns, g.bt[j*g.lda:][:k]...)
			}
			PackColumns(got, columns, j0[0], j0[1], k, n)
		}
		requireBits(t, want, got, "columns, k %d n %d", k, n)
		got = filled(len(want), nan)
		strided := make([]float32, 3*k*n)
		for i := range k * n {
			strided[3*i] = g.b[i/n*g.ldb+i%n]
		}
		Pack(got, strided, 3*n, 3, k, n)
		requireBits(t, want, got, "strided, k %d n %d", k, n)
	}
}

func TestShortSlicesPanic(t *testing.T) {
	f := func(n int) []float32 { return make([]float32, n) }
	const huge = math.MaxInt/2 + 1
	for name, call := range map[string]func(){
		"packed C":       func() { GemmPacked(f(5), 3, f(6), 3, f(48), 2, 3, 3, 0, 1, nil) },
		"packed A":       func() { GemmPacked(f(6), 3, f(5), 3, f(48), 2, 3, 3, 0, 1, nil) },
		"packed B":       func() { GemmPacked(f(6), 3, f(6), 3, f(47), 2, 3, 3, 0, 1, nil) },
		"panels":         func() { GemmPacked(f(6), 3, f(6), 3, f(48), 2, 3, 3, 0, 2, nil) },
		"panels swapped": func() { GemmPacked(f(6), 3, f(6), 3, f(48), 2, 3, 3, 1, 0, nil) },
		"negative":       func() { GemmPacked(f(6), 3, f(6), 3, f(48), -2, 3, 3, 0, 1, nil) },
		"overlap":        func() { GemmPacked(f(6), 2, f(6), 3, f(48), 2, 3, 3, 0, 1, nil) },
		"overflow":       func() { GemmPacked(f(6), huge, f(6), 3, f(48), 3, 3, 3, 0, 1, nil) },
		"overflow A":     func() { GemmPacked(f(9), 3, f(6), huge, f(48), 3, 3, 3, 0, 1, nil) },
		"overflow k":     func() { GemmPacked(f(6), 3, f(6), 0, f(48), 2, 3, huge, 0, 1, nil) },
		"NN B":           func() { GemmNN(f(6), 3, f(6), 3, f(8), 3, 2, 0, 3, 3, nil) },
		"NN range":       func() { GemmNN(f(6), 3, f(6), 3, f(9), 3, 2, 4, 3, 3, nil) },
		"NT B":           func() { GemmNT(f(6), 3, f(6), 3, f(8), 3, 2, 0, 3, 3, nil) },
		"bias":           func() { AddBias(f(6), 3, f(2), 2, 0, 3) },
		"bias C":         func() { AddBias(f(5), 3, f(3), 2, 0, 3) },
		"pack dst":       func() { Pack(f(47), f(9), 3, 1, 3, 3) },
		"pack src":       func() { Pack(f(48), f(8), 3, 1, 3, 3) },
		"pack overflow":  func() { Pack(f(48), f(8), huge, huge, 3, 3) },
		"columns":        func() { PackColumns(f(48), f(8), 0, 3, 3, 3) },
		"columns dst":    func() { PackColumns(f(47), f(9), 0, 3, 3, 3) },
		"columns range":  func() { PackColumns(f(48), f(9), 1, 4, 3, 3) },
		"rows":           func() { PackRows(f(48), f(9), 1, 4, 3, 3) },
		"add":            func() { Add(f(3), f(3), f(2)) },
		"exp":            func() { Exp(f(3), f(4)) },
		"layernorm":      func() { LayerNorm(f(3), f(3), f(2), nil, 0, nil) },
		"packed len":     func() { PackedLen(huge, huge) },
	} {
		t.Run("call="+name, func(t *testing.T) {
			defer func() {
				require.Contains(t, fmt.Sprint(recover()), "kernels: ")
			}()
			call()
		})
	}
}
