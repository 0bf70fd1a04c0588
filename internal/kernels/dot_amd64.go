//go:build amd64 && !purego

package kernels

import "unsafe"

// dotBlock elements of A stay in the second cache while B goes by.
const dotBlock = 1 << 18

func gemmNTArch(c []float32, ldc int, a []float32, lda int, b []float32, ldb int, m, n0, n1, k int) bool {
	cm, am, bm := newMatrix(c, ldc), newMatrix(a, lda), newMatrix(b, ldb)
	switch {
	case active == pathAVX512 && m == 1:
		for ; n0+16 <= n1; n0 += 16 {
			dot1x16AVX512(cm.from(0, n0).at, am.at, bm.from(n0, 0).at, bm.ld, k)
		}
		fallthrough
	case active == pathAVX512:
		rows := max(4, dotBlock/k&^3)
		for i := 0; i < m && n0 < n1; i += rows {
			for j := n0; j < n1; j += 4 {
				dotColumnsAVX512(cm.from(i, j), am.from(i, 0), bm.from(j, 0), min(rows, m-i), min(4, n1-j), k)
			}
		}
		return true
	case active == pathAVX2:
		for j := n0; j < n1; j += 4 {
			cols := min(4, n1-j)
			for i := range m {
				var sums [4]float32
				dot1x4AVX2(&sums, am.from(i, 0).at, bm.from(j, 0).at, bm.ld, k, cols)
				copy(unsafe.Slice(cm.from(i, j).at, cols), sums[:])
			}
		}
		return true
	}
	return false
}

// dotColumnsAVX512 computes up to 4 columns of C; those rows of B stay in the
// first cache while A goes by.
func dotColumnsAVX512(c, a, b matrix, m, cols, k int) {
	i := 0
	for ; i+4 <= m; i += 4 {
		c, a := c.from(i, 0), a.from(i, 0)
		dot4x4AVX512(c.at, c.ld, a.at, a.ld, b.at, b.ld, k, cols)
	}
	if i == m {
		return // a pointer beyond the last row must not exist, the collector may see it
	}
	c, a = c.from(i, 0), a.from(i, 0)
	switch m - i {
	case 1:
		dot1x4AVX512(c.at, c.ld, a.at, a.ld, b.at, b.ld, k, cols)
	case 2:
		dot2x4AVX512(c.at, c.ld, a.at, a.ld, b.at, b.ld, k, cols)
	case 3:
		dot3x4AVX512(c.at, c.ld, a.at, a.ld, b.at, b.ld, k, cols)
	}
}
