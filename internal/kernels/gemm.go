package kernels

import (
	"fmt"

	"github.com/genie-sdk/go/internal/halt"
)

// GemmPacked computes columns of C = A x B, C of shape [m, n], A [m, k], B [k, n]
// in the layout of [Pack]. It writes the columns of panels p0 to p1 (16 columns
// each, the last one clipped to n) and touches no other.
//
// Each output is one accumulator, k in order: acc = 0; acc = fma(A[i][l],
// B[l][j], acc) for l = 0..k-1 (the generic path rounds the product first).
// With k = 0 the outputs are zero.
//
// ldc and lda are the distances between rows; ldc is at least n where m > 1.
// C must not overlap A or B. A product that h stops leaves the columns undefined.
func GemmPacked(c []float32, ldc int, a []float32, lda int, packed []float32, m, n, k, p0, p1 int, h halt.Func) {
	needDims("GemmPacked", m, n, k)
	needRange("GemmPacked", p0, p1, Panels(n))
	if m == 0 || p0 == p1 {
		return
	}
	needOutput("GemmPacked", len(c), m, min(n, p1*PanelWidth), ldc)
	needMatrix("GemmPacked", "A", len(a), m, k, lda)
	if len(packed) < PackedLen(k, n) {
		panic(fmt.Sprintf("kernels: GemmPacked: packed B of %d elements is too short for [%d, %d]", len(packed), k, n))
	}
	if k == 0 {
		clearColumns(c, ldc, m, p0*PanelWidth, min(n, p1*PanelWidth))
		return
	}
	if k > longDepth {
		gemmLong(c, ldc, a, lda, m, p0*PanelWidth, min(n, p1*PanelWidth), k, false, h, func(_ []float32, j, k0, k1 int) []float32 {
			return packed[j*k+k0*PanelWidth : j*k+k1*PanelWidth]
		})
		return
	}
	gemmParts(m, p0*PanelWidth, min(n, p1*PanelWidth), k, h, func(i0, i1, j0, j1 int) {
		p0, p1, c, a := j0/PanelWidth, Panels(j1), c[i0*ldc:], a[i0*lda:]
		if !gemmPackedArch(c, ldc, a, lda, packed, i1-i0, n, k, p0, p1) {
			gemmPackedGeneric(c, ldc, a, lda, packed, i1-i0, n, k, p0, p1)
		}
	})
}

// GemmNN computes columns n0 to n1 of C = A x B with B [k, n] row major and not
// packed, rows ldb apart; n does not appear, since only columns up to n1 are
// read. Every output has the bits that [GemmPacked] gives it.
func GemmNN(c []float32, ldc int, a []float32, lda int, b []float32, ldb int, m, n0, n1, k int, h halt.Func) {
	gemmNN(c, ldc, a, lda, b, ldb, m, n0, n1, k, false, h)
}

// gemmNN is GemmNN or, with accumulate, C += A x B: the sums continue from the
// content of C, so that a product in parts of its depth has the bits of the
// whole.
func gemmNN(c []float32, ldc int, a []float32, lda int, b []float32, ldb int, m, n0, n1, k int, accumulate bool, h halt.Func) {
	needDims("GemmNN", m, n1, k)
	needRange("GemmNN", n0, n1, n1)
	if m == 0 || n0 == n1 {
		return
	}
	needOutput("GemmNN", len(c), m, n1, ldc)
	needMatrix("GemmNN", "A", len(a), m, k, lda)
	needMatrix("GemmNN", "B", len(b), k, n1, ldb)
	if k == 0 {
		if !accumulate {
			clearColumns(c, ldc, m, n0, n1)
		}
		return
	}
	if k > longDepth {
		gemmLong(c, ldc, a, lda, m, n0, n1, k, accumulate, h, func(panel []float32, j, k0, k1 int) []float32 {
			packPanel(panel, b[k0*ldb+j:], ldb, 1, k1-k0, min(PanelWidth, n1-j))
			return panel
		})
		return
	}
	gemmParts(m, n0, n1, k, h, func(i0, i1, j0, j1 int) {
		c, a := c[i0*ldc:], a[i0*lda:]
		if !gemmNNArch(c, ldc, a, lda, b, ldb, i1-i0, j0, j1, k, accumulate) {
			gemmNNGeneric(c, ldc, a, lda, b, ldb, i1-i0, j0, j1, k, accumulate)
		}
	})
}

// GemmNT computes columns n0 to n1 of C = A x B^T, C of shape [m, n], A [m, k],
// B [n, k], both row major: C[i][j] is the dot product of row i of A and row j
// of B.
//
// Every output has the bits of [GemmPacked] with B^T.
func GemmNT(c []float32, ldc int, a []float32, lda int, b []float32, ldb int, m, n0, n1, k int, h halt.Func) {
	needDims("GemmNT", m, n1, k)
	needRange("GemmNT", n0, n1, n1)
	if m == 0 || n0 == n1 {
		return
	}
	needOutput("GemmNT", len(c), m, n1, ldc)
	needMatrix("GemmNT", "A", len(a), m, k, lda)
	needMatrix("GemmNT", "B", len(b), n1, k, ldb)
	if k == 0 {
		clearColumns(c, ldc, m, n0, n1)
		return
	}
	if k > longDepth {
		gemmLong(c, ldc, a, lda, m, n0, n1, k, false, h, func(panel []float32, j, k0, k1 int) []float32 {
			packPanel(panel, b[j*ldb+k0:], 1, ldb, k1-k0, min(PanelWidth, n1-j))
			return panel
		})
		return
	}
	gemmParts(m, n0, n1, k, h, func(i0, i1, j0, j1 int) {
		c, a := c[i0*ldc:], a[i0*lda:]
		if !gemmNTArch(c, ldc, a, lda, b, ldb, i1-i0, j0, j1, k) {
			gemmNTGeneric(c, ldc, a, lda, b, ldb, i1-i0, j0, j1, k)
		}
	})
}

// gemmBlock computes C = A x B, or with accumulate C += A x B, for panels that
// fit a cache: A is [m, k], C [m, cols], panels [k][16], their beginnings
// panelLen elements apart. The order is that of [GemmPacked], starting from the
// content of C with accumulate. The caller checks the sizes.
func gemmBlock(c []float32, ldc int, a []float32, lda int, panels []float32, panelLen, m, cols, k int, accumulate bool) {
	if m == 0 || cols == 0 {
		return
	}
	if k == 0 {
		if !accumulate {
			clearColumns(c, ldc, m, 0, cols)
		}
		return
	}
	if gemmBlockArch(c, ldc, a, lda, panels, panelLen, m, cols, k, accumulate) {
		return
	}
	for i := range m {
		row := c[i*ldc:][:cols]
		if !accumulate {
			clear(row)
		}
		for j := 0; j < cols; j += PanelWidth {
			gemmRowGeneric(row[j:min(j+PanelWidth, cols)], a[i*lda:][:k], panels[j/PanelWidth*panelLen:], PanelWidth)
		}
	}
}

func clearColumns(c []float32, ldc, m, lo, hi int) {
	for i := range m {
		clear(c[i*ldc+lo : i*ldc+hi])
	}
}

// AddBias adds bias[j] to C[i][j] for all m rows and the columns n0 to n1.
func AddBias(c []float32, ldc int, bias []float32, m, n0, n1 int) {
	needDims("AddBias", m, n1, 0)
	needRange("AddBias", n0, n1, len(bias))
	if m == 0 || n0 == n1 {
		return
	}
	needOutput("AddBias", len(c), m, n1, ldc)
	for i := range m {
		row := c[i*ldc+n0 : i*ldc+n1]
		add(row, row, bias[n0:n1])
	}
}
