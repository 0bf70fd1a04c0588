package kernels

import (
	"fmt"
	"math/bits"
)

// PanelWidth is the number of columns of a packed panel.
const PanelWidth = 16

// Panels returns the number of panels of a matrix of n columns.
func Panels(n int) int {
	return n/PanelWidth + min(1, n%PanelWidth)
}

// PackedLen returns the number of floats that a packed [k, n] matrix takes:
// ceil(n/16)*16*k. It panics if that is not an int.
func PackedLen(k, n int) int {
	needDims("PackedLen", 0, n, k)
	hi, lo := bits.Mul64(uint64(Panels(n))*PanelWidth, uint64(k))
	if hi != 0 || lo > 1<<62 || n > 1<<62 {
		panic(fmt.Sprintf("kernels: PackedLen: a [%d, %d] matrix is too large", k, n))
	}
	return int(lo)
}

// Pack writes B of shape [k, n], B[i][j] = b[i*rowStride+j*colStride], into dst
// in the layout of [GemmPacked]: [panel][k][16], with zeros for the columns of
// the last panel that B does not have. dst holds at least PackedLen(k, n)
// floats; strides are not negative.
func Pack(dst, b []float32, rowStride, colStride, k, n int) {
	if len(dst) < PackedLen(k, n) {
		panic(fmt.Sprintf("kernels: Pack: dst of %d elements is too short for [%d, %d]", len(dst), k, n))
	}
	if k == 0 || n == 0 {
		return
	}
	needStrided("Pack", len(b), rowStride, colStride, k, n)
	if colStride == 1 {
		packRows(dst, b, rowStride, 0, k, k, n)
		return
	}
	if rowStride == 1 {
		packColumns(dst, b, colStride, 0, n, k, n)
		return
	}
	for p := range Panels(n) {
		panel := dst[p*k*PanelWidth : (p+1)*k*PanelWidth]
		packPanel(panel, b[p*PanelWidth*colStride:], rowStride, colStride, k, min(PanelWidth, n-p*PanelWidth))
	}
}

// packPanel packs one panel of w columns.
func packPanel(panel, b []float32, rowStride, colStride, k, w int) {
	for l := range k {
		row := panel[l*PanelWidth:][:PanelWidth]
		clear(row[w:])
		for j := range row[:w] {
			row[j] = b[l*rowStride+j*colStride]
		}
	}
}

// PackColumns puts columns n0 to n1 of a [k, n] matrix into their places in a
// packed dst; b holds just those columns, one after another: rows n0 to n1 of
// the transposed matrix, contiguous. After every column has been given once, in
// any order, dst is the output of [Pack]. Multiples of 8 columns at a time,
// from a multiple of 8 on, are fastest.
func PackColumns(dst, b []float32, n0, n1, k, n int) {
	if len(dst) < PackedLen(k, n) {
		panic(fmt.Sprintf("kernels: PackColumns: dst of %d elements is too short for [%d, %d]", len(dst), k, n))
	}
	needRange("PackColumns", n0, n1, n)
	needMatrix("PackColumns", "b", len(b), n1-n0, k, k)
	packColumns(dst, b, k, n0, n1, k, n)
}

// packColumns is PackColumns with columns that are ld apart in b.
func packColumns(dst, b []float32, ld, n0, n1, k, n int) {
	if k == 0 {
		return
	}
	for j := n0; j < n1; {
		panel, from, lane := dst[j/PanelWidth*PanelWidth*k:][:PanelWidth*k], b[(j-n0)*ld:], j%PanelWidth
		if j%8 == 0 && n1-j >= 8 && packEightArch(panel[lane:], from, ld, k) {
			j += 8
			continue
		}
		w := min(n1-j, 8-j%8)
		packLanes(panel, from, ld, k, lane, w)
		j += w
	}
	if w := n % PanelWidth; n0 < n1 && n1 == n && w > 0 {
		last := dst[n/PanelWidth*PanelWidth*k:]
		for l := range k {
			clear(last[l*PanelWidth+w : (l+1)*PanelWidth])
		}
	}
}

// packLanes packs w columns of one panel, in blocks of 16 rows, so that source
// and panel are accessed a cache line at a time.
func packLanes(panel, b []float32, ld, k, lane, w int) {
	const block = 16
	for l0 := 0; l0 < k; l0 += block {
		rows := panel[l0*PanelWidth : min(l0+block, k)*PanelWidth]
		for j := range w {
			src := j*ld + l0
			for at := lane + j; at < len(rows); at += PanelWidth {
				rows[at] = b[src]
				src++
			}
		}
	}
}

// PackRows puts rows k0 to k1 of a [k, n] matrix into their places in a packed
// dst; b holds just those rows, contiguous. After every row has been given
// once, in any order, dst is the output of [Pack].
func PackRows(dst, b []float32, k0, k1, k, n int) {
	if len(dst) < PackedLen(k, n) {
		panic(fmt.Sprintf("kernels: PackRows: dst of %d elements is too short for [%d, %d]", len(dst), k, n))
	}
	needRange("PackRows", k0, k1, k)
	needMatrix("PackRows", "b", len(b), k1-k0, n, n)
	packRows(dst, b, n, k0, k1, k, n)
}

func packRows(dst, b []float32, rowStride, k0, k1, k, n int) {
	if n == 0 {
		return
	}
	// A block of rows at a time: each panel gets a contiguous piece.
	const block = 32
	for i0 := k0; i0 < k1; i0 += block {
		i1 := min(i0+block, k1)
		for j := 0; j < n; j += PanelWidth {
			w := min(PanelWidth, n-j)
			panel := dst[j*k:][:k*PanelWidth]
			src := (i0-k0)*rowStride + j
			for i := i0; i < i1; i++ {
				row := (*[PanelWidth]float32)(panel[i*PanelWidth:])
				if w == PanelWidth {
					*row = *(*[PanelWidth]float32)(b[src:])
				} else {
					clear(row[copy(row[:], b[src:src+w]):])
				}
				src += rowStride
			}
		}
	}
}

func needStrided(op string, length, rowStride, colStride, k, n int) {
	if rowStride < 0 || colStride < 0 {
		panic(fmt.Sprintf("kernels: %s: negative strides %d, %d", op, rowStride, colStride))
	}
	hi1, lo1 := bits.Mul64(uint64(k-1), uint64(rowStride))
	hi2, lo2 := bits.Mul64(uint64(n-1), uint64(colStride))
	last, carry := bits.Add64(lo1, lo2, 0)
	if hi1|hi2|carry != 0 || last >= uint64(length) {
		panic(fmt.Sprintf("kernels: %s: %d elements are too few for [%d, %d] with strides %d, %d", op, length, k, n, rowStride, colStride))
	}
}
