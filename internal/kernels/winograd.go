package kernels

import "github.com/genie-sdk/go/internal/halt"

// Winograd convolution F(4x4, 3x3), Lavin and Gray, arXiv:1509.09308: a block of
// 4 x 4 outputs is 36 products instead of 144, of transformed 6 x 6 blocks of
// the input with transformed filters, summed over the channels as 36 matrix
// products, and transformed back.
//
// The points of interpolation are 0, 5/8, -5/8, 3/2, -3/2 and infinity, whose
// constants are exact in float32 and whose largest error is a fifth of that of
// the usual 0, 1, -1, 2, -2. Against float64, with normally distributed inputs
// and filters of 16 to 256 channels, the largest error is 4.2e-7, the root mean
// square 4.4e-8 to 5.7e-8 (the direct kernel's 2.3e-7 and 2.5e-8), relative to
// the sum of the magnitudes of an output's terms, the largest of its block.
// TestWinogradError holds 8e-7 and three times the direct root mean square.
//
// Filters are transformed in float64 and rounded once.

const (
	winogradSize      = 4 // outputs of a block, in each direction
	winogradInputSize = winogradSize + 2
	winogradPositions = winogradInputSize * winogradInputSize

	// The points are 0, +-winogradA, +-winogradB and infinity.
	winogradA = 5. / 8
	winogradB = 3. / 2
)

type winogradScratch struct {
	v, m  []float32 // [position][tile][channel]
	patch []float32 // a 6 x 6 block of the input with its padding
	block [winogradSize * winogradSize * PanelWidth]float32
}

// winogradTiles is the number of blocks that n outputs take.
func winogradTiles(n int) int { return (n + winogradSize - 1) / winogradSize }

// winogradBlock is the approximate number of tiles in a unit: their transformed
// inputs stay in the second-level cache.
func winogradBlock(channels int) int { return min(max(winogradFloats()/channels, 8), 48) }

// winogradFilter writes the transform of a filter [channels, 3, 3] to dst: G g
// G^T of channel ic to dst[(position*channels+ic)*PanelWidth], after the filter
// has been multiplied by scale and rounded. It is false when ask stops it.
func winogradFilter(dst, filter []float32, scale float64, channels int, ask *halt.Counter) bool {
	const a2, b2 = winogradA * winogradA, winogradB * winogradB
	row := func(p, n float64) [3]float64 { return [3]float64{1 / n, p / n, p * p / n} }
	g := [winogradInputSize][3]float64{
		{1 / (a2 * b2)},
		row(winogradA, 2*a2*(a2-b2)), row(-winogradA, 2*a2*(a2-b2)),
		row(winogradB, 2*b2*(b2-a2)), row(-winogradB, 2*b2*(b2-a2)),
		{2: 1},
	}
	for ic := range channels {
		if ask.Stop(winogradPositions * len(g) / 2) {
			return false
		}
		var w [9]float32
		for k, x := range filter[ic*9:][:9] {
			w[k] = float32(float64(x) * scale)
		}
		for i, gi := range g {
			for j, gj := range g {
				var sum float64
				for k, x := range w {
					sum += gi[k/3] * gj[k%3] * float64(x)
				}
				dst[((i*winogradInputSize+j)*channels+ic)*PanelWidth] = float32(sum)
			}
		}
	}
	return true
}

// winograd computes the panels of the tiles t0 to t1. Tiles are counted through
// the rows of blocks of the images.
func (c *convCall) winograd(t0, t1, panel0, panel1 int) {
	tiles := t1 - t0
	depth := (c.C + winogradLanes() - 1) &^ (winogradLanes() - 1) // whole vectors
	most := min(c.stripPanels, panel1-panel0) * PanelWidth
	// The padding keeps the positions from falling into the same cache sets.
	vStride, mStride := tiles*depth+PanelWidth, tiles*most+PanelWidth
	v, m := grow(&c.v, winogradPositions*vStride), grow(&c.m, winogradPositions*mStride)
	table := grow(&c.table, tiles)
	for t := range tiles {
		if c.stop(winogradPositions * depth) {
			return
		}
		table[t] = t * depth * elementBytes
		x, row, pixel := c.winogradPatch(t0+t, depth)
		winogradInput(v[t*depth:], vStride, x, row, pixel, depth)
	}
	edge := grow(&c.edge, edgeEnd)
	for panel := panel0; panel < panel1; {
		panels := min(c.stripPanels, panel1-panel)
		width := panels * PanelWidth
		filters := c.packed[panel*c.panelLen:][:panels*c.panelLen]
		for p := range winogradPositions {
			if c.stop(tiles * c.C * panels) {
				return
			}
			r := convRun{
				out: m[p*mStride:], ldc: width, cols: width,
				table: table, tiling: newTiling(tiles, convRows()), rows: tiles,
				x: v[p*vStride:], edge: edge, panel: filters[p*c.C*PanelWidth:], panelLen: c.panelLen,
				segments: 1, length: c.C, ask: &c.ask,
			}
			r.product()
		}
		for t := range tiles {
			for i := range panels {
				c.winogradStore(t0+t, panel+i, m[t*width+i*PanelWidth:], mStride)
			}
		}
		panel += panels
	}
}

// place is where a tile's first output is.
func (c *convCall) place(tile int) (n, oh, ow int) {
	th, tw := winogradTiles(c.oh), winogradTiles(c.ow)
	return tile / (th * tw), tile / tw % th * winogradSize, tile % tw * winogradSize
}

// winogradPatch returns a tile's input, and the distances of its rows and
// pixels. It is in x unless it reaches into the padding or its channels are not
// whole vectors.
func (c *convCall) winogradPatch(tile, depth int) (x []float32, row, pixel int) {
	n, ih, iw := c.place(tile)
	ih, iw = ih-c.PadH, iw-c.PadW
	inside := ih >= 0 && iw >= 0 && ih+winogradInputSize <= c.H && iw+winogradInputSize <= c.W
	if inside && depth == c.C {
		return c.x[((n*c.H+ih)*c.W+iw)*c.C:], c.W * c.C, c.C
	}
	patch := grow(&c.patch, winogradPositions*depth)
	if !inside || depth != c.C {
		clear(patch)
	}
	w0, w1 := max(0, -iw), min(winogradInputSize, c.W-iw)
	for i := max(0, -ih); i < min(winogradInputSize, c.H-ih); i++ {
		for j := w0; j < w1; j++ {
			copy(patch[(i*winogradInputSize+j)*depth:], c.x[((n*c.H+ih+i)*c.W+iw+j)*c.C:][:c.C])
		}
	}
	return patch, winogradInputSize * depth, depth
}

// winogradStore transforms the sums of a tile into 16 channels of its outputs.
func (c *convCall) winogradStore(tile, panel int, m []float32, mStride int) {
	n, oh, ow := c.place(tile)
	column := panel * PanelWidth
	cols := min(PanelWidth, c.OutC-column)
	var bias, residual []float32
	if c.e.Bias != nil {
		bias = c.e.Bias[column:][:cols]
	}
	at := ((n*c.oh+oh)*c.ow+ow)*c.OutC + column
	if c.e.Residual != nil {
		residual = c.e.Residual[at:]
	}
	if cols == PanelWidth && oh+winogradSize <= c.oh && ow+winogradSize <= c.ow &&
		winogradOutputArch(c.out[at:], c.ow*c.OutC, c.OutC, m, mStride, bias, residual, c.e.ReLU) {
		return
	}
	block := c.block[:]
	if !winogradOutputArch(block, winogradSize*PanelWidth, PanelWidth, m, mStride, nil, nil, false) {
		winogradOutputGeneric(block, m, mStride)
	}
	for i := range min(winogradSize, c.oh-oh) {
		for j := range min(winogradSize, c.ow-ow) {
			to := (i*c.ow + j) * c.OutC
			var r []float32
			if residual != nil {
				r = residual[to:]
			}
			finishRow(c.out[at+to:], block[(i*winogradSize+j)*PanelWidth:][:cols], bias, r, c.e.ReLU)
		}
	}
}
