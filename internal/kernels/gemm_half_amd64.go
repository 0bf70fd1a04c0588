//go:build amd64 && !purego

package kernels

import "unsafe"

// narrowTile is the type of the micro-kernels for narrow weights.
type narrowTile func(rows, panels int, c *float32, ldc uintptr, a *float32, lda uintptr, b *byte, nextB uintptr, k int, ahead uintptr)

var narrowTiles = [...][i8Weights + 1]narrowTile{
	pathAVX2:   {bf16TileAVX2, f16TileAVX2, i8TileAVX2},
	pathAVX512: {bf16TileAVX512, f16TileAVX512, i8TileAVX512},
}

var narrowBytes = [...]int{bf16Weights: 2, f16Weights: 2, i8Weights: 1}

// narrowA is how many elements of A stay in the second-level cache while the
// panels are used.
const narrowA = 1 << 17

// narrowAhead is how far ahead narrow weights are prefetched, as measured: the
// less computation per weight, the better the hardware prefetches by itself.
func narrowAhead(of narrowType, rows int) uintptr {
	if rows == 1 && of != i8Weights {
		return 512
	}
	return 2048
}

// narrowPanels is the number of panels that a tile processes at once.
func narrowPanels(rows int) int {
	switch {
	case active == pathAVX512 && rows <= 4, rows == 1:
		return 4
	case active == pathAVX512, rows <= 3:
		return 2
	}
	return 1
}

func elementsAt[E uint16 | int8](s []E) *byte { return (*byte)(unsafe.Pointer(unsafe.SliceData(s))) }

// gemmNarrowArch widens weights in registers, once for each tile of rows. That
// takes no extra time, because other units do it than the products. A tile
// processes all of k at once, and C is written once.
func gemmNarrowArch(of narrowType, c []float32, ldc int, a []float32, lda int, packed *byte, m, n, k, p0, p1 int) bool {
	if active == pathGeneric {
		return false
	}
	tile := narrowTiles[active][of]
	next, ahead := k*PanelWidth*narrowBytes[of], narrowAhead(of, m)
	block := evenly(m, max(maxTileRows(), narrowA/k))
	for i0 := 0; i0 < m; i0 += block {
		i1 := min(i0+block, m)
		tiles := tilesOf(i1 - i0)
		for p := p0; p < p1; {
			panels := 1
			if tiles == 1 && min(p1, n/PanelWidth)-p >= narrowPanels(i1-i0) {
				panels = narrowPanels(i1 - i0)
			}
			b := (*byte)(unsafe.Add(unsafe.Pointer(packed), p*next))
			cols := min(panels*PanelWidth, n-p*PanelWidth)
			for t, i := 0, i0; t < tiles; t++ {
				rows := (i1 - i) / (tiles - t)
				narrowTileOf(tile, c[i*ldc+p*PanelWidth:], ldc, a[i*lda:], lda, b, next, rows, panels, cols, k, ahead)
				i += rows
			}
			p += panels
		}
	}
	return true
}

// narrowTileOf computes a tile. The micro-kernels write whole panels, so a
// partial panel goes through a copy.
func narrowTileOf(tile narrowTile, c []float32, ldc int, a []float32, lda int, b *byte, next, rows, panels, cols, k int, ahead uintptr) {
	if cols == panels*PanelWidth {
		tile(rows, panels, unsafe.SliceData(c), uintptr(ldc)*floatBytes, unsafe.SliceData(a), uintptr(lda)*floatBytes, b, uintptr(next), k, ahead)
		return
	}
	whole := widenScratches.Get().(*widenScratch)
	defer widenScratches.Put(whole)
	tile(rows, 1, &whole[0], panelBytes, unsafe.SliceData(a), uintptr(lda)*floatBytes, b, uintptr(next), k, ahead)
	for i := range rows {
		copy(c[i*ldc:][:cols], whole[i*PanelWidth:])
	}
}
