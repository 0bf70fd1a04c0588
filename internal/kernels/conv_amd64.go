//go:build amd64 && !purego

package kernels

import "unsafe"

// convRows is the height of the tallest tiles of a product.
func convRows() int {
	if active == pathAVX512 {
		return 12
	}
	return 6
}

// partialPanels reports whether a product stores only some columns of its last
// panel.
func partialPanels() bool { return active == pathAVX512 }

// depthwisePanels is the number of panels that ConvDepthwise takes at a time.
func depthwisePanels() int {
	if active == pathAVX512 {
		return 4
	}
	return 1
}

// convPart is a run of equally tall tiles, as the micro-kernels require it.
type convPart struct {
	c              *float32
	ldc            uintptr
	table          *int
	tiles          int
	x, edge, b     *float32
	nextB          uintptr
	segments       int
	length         int
	bias, residual *float32
	relu           bool
	cols           int
}

// parts returns the taller tiles and the others, and the height of the latter.
func (r *convRun) parts() (tall, low convPart, height int) {
	tall = convPart{
		c: unsafe.SliceData(r.out), ldc: uintptr(r.ldc) * elementBytes,
		table: unsafe.SliceData(r.table), tiles: r.tall, x: unsafe.SliceData(r.x), edge: &r.edge[len(r.edge)-edgeEnd],
		b: unsafe.SliceData(r.panel), segments: r.segments, length: r.length,
		bias: unsafe.SliceData(r.bias), residual: unsafe.SliceData(r.residual), relu: r.relu,
		nextB: uintptr(r.panelLen) * elementBytes, cols: r.cols,
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

// depthwiseArch computes the first channels of the panels and returns how many.
func (r *convRun) depthwiseArch() int {
	if active == pathGeneric || active == pathAVX2 && r.cols < PanelWidth/2 {
		return 0
	}
	tall, low, height := r.parts()
	tall.depthwise(height + 1)
	low.depthwise(height)
	if active == pathAVX2 && r.cols < PanelWidth {
		return PanelWidth / 2
	}
	return r.cols
}

func (p *convPart) product(rows int) {
	switch {
	case p.tiles == 0:
	case active == pathAVX2:
		convTilesAVX2(rows, p.c, p.ldc, p.table, p.tiles, p.x, p.edge, p.b, p.segments, p.length, p.bias, p.residual, p.relu)
	case p.cols > PanelWidth:
		convPairTilesAVX512(rows, p.c, p.ldc, p.table, p.tiles, p.x, p.edge, p.b, p.nextB, p.segments, p.length, p.bias, p.residual, p.relu, p.mask())
	default:
		convTilesAVX512(rows, p.c, p.ldc, p.table, p.tiles, p.x, p.edge, p.b, p.nextB, p.segments, p.length, p.bias, p.residual, p.relu, p.mask())
	}
}

// mask is the columns that exist.
func (p *convPart) mask() uint64 { return uint64(1)<<uint(p.cols) - 1 }

func (p *convPart) depthwise(rows int) {
	mask := p.mask()
	switch {
	case p.tiles == 0:
	case active == pathAVX2 && p.cols < PanelWidth:
		depthwiseHalfTilesAVX2(rows, p.c, p.ldc, p.table, p.tiles, p.x, p.edge, p.b, p.segments, p.length, p.bias, p.residual, p.relu)
	case active == pathAVX2:
		depthwiseTilesAVX2(rows, p.c, p.ldc, p.table, p.tiles, p.x, p.edge, p.b, p.segments, p.length, p.bias, p.residual, p.relu)
	case p.cols <= PanelWidth:
		depthwiseTilesAVX512(rows, p.c, p.ldc, p.table, p.tiles, p.x, p.edge, p.b, p.nextB, p.segments, p.length, p.bias, p.residual, p.relu, mask)
	case p.cols <= 2*PanelWidth:
		depthwisePairTilesAVX512(rows, p.c, p.ldc, p.table, p.tiles, p.x, p.edge, p.b, p.nextB, p.segments, p.length, p.bias, p.residual, p.relu, mask)
	default:
		depthwiseWideTilesAVX512(rows, p.c, p.ldc, p.table, p.tiles, p.x, p.edge, p.b, p.nextB, p.segments, p.length, p.bias, p.residual, p.relu, mask)
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
		// The next columns overwrite what is written too far.
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
