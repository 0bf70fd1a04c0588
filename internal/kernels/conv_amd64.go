//go:build amd64 && !purego

package kernels

import "unsafe"

// convPart is a run of equally tall tiles, as the micro-kernels want it.
type convPart struct {
	c              *float32
	ldc            uintptr
	table          *int
	tiles          int
	x, edge, b     *float32
	segments       int
	length         int
	bias, residual *float32
	relu           bool
}

// parts returns the taller tiles and the others, and the height of the latter.
func (r *convRun) parts() (tall, low convPart, height int) {
	tall = convPart{
		c: unsafe.SliceData(r.out), ldc: uintptr(r.ldc) * elementBytes,
		table: unsafe.SliceData(r.table), tiles: r.tall, x: unsafe.SliceData(r.x), edge: &r.edge[len(r.edge)-edgeEnd],
		b: unsafe.SliceData(r.panel), segments: r.segments, length: r.length,
		bias: unsafe.SliceData(r.bias), residual: unsafe.SliceData(r.residual), relu: r.relu,
	}
	low = tall
	if low.tiles = r.tiles - r.tall; low.tiles > 0 {
		done := r.tall * (r.height + 1)
		low.c, low.table = &r.out[done*r.ldc], &r.table[done*r.segments]
		if r.residual != nil {
			low.residual = &r.residual[done*r.ldc]
		}
	}
	return tall, low, r.height
}

func (r *convRun) productArch() bool {
	if active == pathGeneric {
		return false
	}
	tall, low, height := r.parts()
	tall.product(height + 1)
	low.product(height)
	return true
}

// depthwiseArch computes the first channels of a panel and returns how many.
func (r *convRun) depthwiseArch() int {
	if active == pathGeneric || r.cols < PanelWidth/2 {
		return 0
	}
	tall, low, height := r.parts()
	if r.cols < PanelWidth {
		tall.depthwiseHalf(height + 1)
		low.depthwiseHalf(height)
		return PanelWidth / 2
	}
	tall.depthwise(height + 1)
	low.depthwise(height)
	return PanelWidth
}

func (p *convPart) product(rows int) {
	if p.tiles > 0 {
		convTilesAVX2(rows, p.c, p.ldc, p.table, p.tiles, p.x, p.edge, p.b, p.segments, p.length, p.bias, p.residual, p.relu)
	}
}

func (p *convPart) depthwise(rows int) {
	if p.tiles > 0 {
		depthwiseTilesAVX2(rows, p.c, p.ldc, p.table, p.tiles, p.x, p.edge, p.b, p.segments, p.length, p.bias, p.residual, p.relu)
	}
}

func (p *convPart) depthwiseHalf(rows int) {
	if p.tiles > 0 {
		depthwiseHalfTilesAVX2(rows, p.c, p.ldc, p.table, p.tiles, p.x, p.edge, p.b, p.segments, p.length, p.bias, p.residual, p.relu)
	}
}

// transposeArch does the first columns of src and returns how many.
func transposeArch(dst []float32, ldd int, src []float32, lds, rows, cols int) int {
	const block = 8 // elements that transposeAVX2 writes at a time
	if active == pathGeneric || rows < block && ldd > rows {
		return 0
	}
	step, ld := uintptr(ldd)*elementBytes, uintptr(lds)*elementBytes
	if rows < block {
		// What is written too far is overwritten by the next columns.
		cols -= (block + ldd - 1) / ldd
		if cols <= 0 {
			return 0
		}
		transposeAVX2(&dst[0], step, &src[0], ld, rows, cols)
		return cols
	}
	for i := 0; i < rows; i += block {
		at := min(i, rows-block)
		transposeAVX2(&dst[at], step, &src[at*lds], ld, block, cols)
	}
	return cols
}
