//go:build amd64 && !purego

package kernels

import "unsafe"

// maxTileRows is the height of the largest micro-kernel.
func maxTileRows() int {
	if active == pathAVX512 {
		return 12
	}
	return 6
}

// blocksAtOnce is the number of blocks of columns that a tile processes.
func blocksAtOnce(rows int) int {
	if active == pathAVX512 || rows <= 3 {
		return 2
	}
	return 1
}

// productPanels is the number of panels that products of convolutions and of
// attention process at a time.
func productPanels() int {
	if active == pathAVX512 {
		return 2
	}
	return 1
}

// tilesOf is the number of tiles that m rows are split into: as few as
// possible, with heights as even as possible.
func tilesOf(m int) int { return (m + maxTileRows() - 1) / maxTileRows() }

// gemmColumns computes (or extends) columns of C, all of its m rows.
func gemmColumns(c matrix, a rowsOfA, b columns, m, cols, k int, accumulate bool) {
	tiles := tilesOf(m)
	for t, i := 0, 0; t < tiles; t++ {
		rows := (m - i) / (tiles - t)
		gemmTile(c.from(i, 0), a.tile(i, rows, k), b.share(t, tiles, k), rows, cols, k, accumulate)
		i += rows
	}
}

func gemmTile(c matrix, a rowsOfA, b columns, rows, cols, k int, accumulate bool) {
	for {
		width := min(cols, blocksAtOnce(rows)*PanelWidth)
		if active == pathAVX512 {
			gemmTileMasked(c, a, b, rows, width, k, accumulate)
		} else {
			width = gemmTileWhole(c, a, b, rows, width, k, accumulate)
		}
		if cols -= width; cols == 0 {
			return
		}
		c, b = c.from(0, width), b.skip(width/PanelWidth)
	}
}

// gemmTileMasked uses the dense kernels for blocks that several tiles share:
// they bring B from the second-level cache into the first, not from memory.
func gemmTileMasked(c matrix, a rowsOfA, b columns, rows, cols, k int, accumulate bool) {
	mask := uint32(1<<uint(cols) - 1)
	whole := b.padded || cols%PanelWidth == 0
	switch {
	case cols > PanelWidth && b.shared:
		gemmDenseAVX512(rows, c.at, c.ld, a.at, a.ld, a.step, b.at, b.ld, b.next, k, b.ahead, b.aheadStep, accumulate, mask)
	case cols > PanelWidth && whole:
		gemmWideAVX512(rows, c.at, c.ld, a.at, a.ld, a.step, b.at, b.ld, b.next, k, b.ahead, b.aheadStep, accumulate, mask)
	case cols > PanelWidth:
		gemmWideMaskedAVX512(rows, c.at, c.ld, a.at, a.ld, a.step, b.at, b.ld, b.next, k, b.ahead, b.aheadStep, accumulate, mask)
	case whole:
		gemmTileAVX512(rows, c.at, c.ld, a.at, a.ld, a.step, b.at, b.ld, b.next, k, b.ahead, b.aheadStep, accumulate, mask)
	default:
		gemmTileMaskedAVX512(rows, c.at, c.ld, a.at, a.ld, a.step, b.at, b.ld, b.next, k, b.ahead, b.aheadStep, accumulate, mask)
	}
}

// gemmTileWhole computes a tile and returns the number of its columns, at most
// cols. The micro-kernels read and write whole blocks, so a partial block goes
// through copies of B's rows and of C; the sums are the same.
func gemmTileWhole(c matrix, a rowsOfA, b columns, rows, cols, k int, accumulate bool) int {
	switch {
	case cols == 2*PanelWidth:
		gemmWideAVX2(rows, c.at, c.ld, a.at, a.ld, a.step, b.at, b.ld, b.next, k, b.ahead, b.aheadStep, accumulate)
		return cols
	case cols >= PanelWidth:
		gemmTileAVX2(rows, c.at, c.ld, a.at, a.ld, a.step, b.at, b.ld, b.next, k, b.ahead, b.aheadStep, accumulate)
		return PanelWidth
	case !b.padded:
		s := scratch.Get().(*gemmScratch)
		defer scratch.Put(s)
		for k0 := 0; k0 < k; k0 += kBlock {
			n := min(kBlock, k-k0)
			s.loadPanels(b.from(k0, 0), n, cols)
			gemmTileWhole(c, a.fromColumn(k0), packedColumns(s.panels[:], n), rows, cols, n, accumulate || k0 > 0)
		}
		return cols
	}
	var whole [6 * PanelWidth]float32
	w := newMatrix(whole[:], PanelWidth)
	for i := 0; accumulate && i < rows; i++ {
		copy(whole[i*PanelWidth:], unsafe.Slice(c.from(i, 0).at, cols))
	}
	gemmTileWhole(w, a, b, rows, PanelWidth, k, accumulate)
	for i := range rows {
		copy(unsafe.Slice(c.from(i, 0).at, cols), whole[i*PanelWidth:])
	}
	return cols
}
