package kernels

import (
	"sync"

	"github.com/genie-sdk/go/internal/halt"
)

const (
	// depthwiseRows is the height of the tallest tiles of ConvDepthwise.
	depthwiseRows = 4
	// With fewer channels the taps of a row of the window, which are
	// contiguous, are one segment; windows that reach into the padding are
	// copied.
	mergeBelow = 32
	// A table of this many entries and its part of the image stay in the
	// second-level cache while the panels use them.
	tableEntries = 8192
	imageFloats  = 128 << 10
	// edgeFloats bounds the memory of windows that reach into the padding.
	edgeFloats   = 64 << 10
	elementBytes = 4
	// edgeEnd is the part of the edge buffer without segments.
	edgeEnd = 1
)

// convScratch is the working memory of a call.
type convScratch struct {
	table      []int
	taps       []int // the distances of the segments of a window inside the image from its first one, in bytes
	edge, tile []float32
	winogradScratch
}

var convScratches = sync.Pool{New: func() any { return new(convScratch) }}

// grow makes *s hold n elements with any content.
func grow[T any](s *[]T, n int) []T {
	if cap(*s) < n {
		*s = make([]T, n)
	}
	*s = (*s)[:n]
	return *s
}

// direct computes the pixels p0 to p1 of the panels.
func (c *convCall) direct(p0, p1, panel0, panel1 int) {
	step := tableEntries / c.segments
	step = min(step, imageFloats/(c.C*min(c.StrideH*c.StrideW, c.KH*c.KW)))
	if c.merged() {
		step = min(step, edgeFloats/(c.segments*c.length))
	}
	step = max(step, convRows())
	c.findTaps()
	chunks := (p1 - p0 + step - 1) / step
	for n := range chunks {
		q0, q1 := p0+n*(p1-p0)/chunks, p0+(n+1)*(p1-p0)/chunks
		c.makeTable(q0, q1)
		for panel := panel0; panel < panel1; {
			if c.stop((q1 - q0) * c.segments * c.length) {
				return
			}
			panel += c.panelsFrom(q0, q1, panel, panel1)
		}
	}
}

// findTaps fills taps.
func (c *convCall) findTaps() {
	taps, perRow := grow(&c.taps, c.segments), c.segments/c.KH
	for i := range taps {
		taps[i] = (i/perRow*c.DilH*c.W + i%perRow*c.DilW) * c.C * elementBytes
	}
}

func (c *convCall) merged() bool { return c.segments < c.KH*c.KW }

func (c *convCall) tileRows() int {
	if c.algorithm == ConvDepthwise {
		return depthwiseRows
	}
	return convRows()
}

// makeTable fills the table for the pixels p0 to p1 and the edge buffer with
// the segments that are not in x: zeros at its end and, before them, the
// segments that are there in part.
func (c *convCall) makeTable(p0, p1 int) {
	rows := p1 - p0
	table := grow(&c.table, rows*c.segments)
	edge := c.length + edgeEnd
	if c.merged() {
		edge += rows * c.segments * c.length
	}
	clear(grow(&c.edge, edge)[edge-c.length-edgeEnd:])
	if c.KH*c.KW == 1 && c.PadH == 0 && c.PadW == 0 {
		c.pixelTable(table, p0)
		return
	}
	next := -c.length
	tiles := newTiling(rows, c.tileRows())
	at, inTile, height := 0, 0, tiles.first()
	n, oh, ow := p0/(c.oh*c.ow), p0/c.ow%c.oh, p0%c.ow
	for range rows {
		next = c.makeRow(table[at:], height, n, oh*c.StrideH-c.PadH, ow*c.StrideW-c.PadW, next)
		at++
		if inTile++; inTile == height {
			at += (c.segments - 1) * height
			inTile = 0
			if at == tiles.tall*(tiles.height+1)*c.segments {
				height = tiles.height
			}
		}
		if ow++; ow == c.ow {
			ow = 0
			if oh++; oh == c.oh {
				oh = 0
				n++
			}
		}
	}
}

// pixelTable fills the table for windows of one pixel, from output pixel p on. It is
// in the order of the pixels, whatever the heights of the tiles.
func (c *convCall) pixelTable(table []int, p int) {
	n, oh, ow := p/(c.oh*c.ow), p/c.ow%c.oh, p%c.ow
	next := c.StrideW * c.C * elementBytes
	for len(table) > 0 {
		at := (((n*c.H+oh*c.StrideH)*c.W + ow*c.StrideW) * c.C) * elementBytes
		inRow := min(len(table), c.ow-ow)
		for i := range table[:inRow] {
			table[i] = at
			at += next
		}
		table, ow = table[inRow:], 0
		if oh++; oh == c.oh {
			n, oh = n+1, 0
		}
	}
}

// makeRow writes the entries, height apart, of the window that starts in row ih
// and column iw of image n. Segments that it puts into the edge buffer are
// placed before next; it returns the new next.
func (c *convCall) makeRow(table []int, height, n, ih, iw, next int) int {
	at, from := 0, ((n*c.H+ih)*c.W+iw)*c.C
	if ih >= 0 && iw >= 0 && ih+c.DilH*(c.KH-1) < c.H && iw+c.DilW*(c.KW-1) < c.W {
		first := from * elementBytes
		for _, tap := range c.taps {
			table[at] = first + tap
			at += height
		}
		return next
	}
	zeros, down := -c.length*elementBytes, c.DilH*c.W*c.C
	partly := c.merged() && (iw < 0 || iw > c.W-c.KW)
	for range c.KH {
		inside := uint(ih) < uint(c.H)
		switch {
		case inside && partly:
			next -= c.length
			c.copyEdge(c.edge[len(c.edge)-edgeEnd+next:][:c.length], from, iw)
			table[at] = next * elementBytes
			at += height
		case c.merged():
			table[at] = zeros
			if inside {
				table[at] = from * elementBytes
			}
			at += height
		default:
			col, to := iw, from
			for range c.KW {
				table[at] = zeros
				if inside && uint(col) < uint(c.W) {
					table[at] = to * elementBytes
				}
				at += height
				col += c.DilW
				to += c.DilW * c.C
			}
		}
		ih += c.DilH
		from += down
	}
	return next
}

// copyEdge copies the taps of a row of a window that are inside the image; the
// first tap would be element from of x, in column iw.
func (c *convCall) copyEdge(dst []float32, from, iw int) {
	lo, hi := min(max(0, -iw), c.KW)*c.C, max(0, min(c.KW, c.W-iw))*c.C
	clear(dst)
	if lo < hi {
		copy(dst[lo:hi], c.x[from+lo:from+hi])
	}
}

// tiling splits rows into as few tiles as possible, with heights as even as
// possible: the first tall ones have one row more.
type tiling struct{ tiles, tall, height int }

func newTiling(rows, limit int) tiling {
	tiles := (rows + limit - 1) / limit
	return tiling{tiles: tiles, tall: rows % tiles, height: rows / tiles}
}

// first is the height of the first tile.
func (t tiling) first() int {
	if t.tall > 0 {
		return t.height + 1
	}
	return t.height
}

// entry is the place of the entries of a row in a table [tile][segment][row]
// and the distance between them.
func (t tiling) entry(row, segments int) (at, height int) {
	height = t.height + 1
	first := 0
	if row >= t.tall*height {
		first = t.tall * height
		height--
	}
	inTile := (row - first) % height
	return (row-inTile)*segments + inTile, height
}

// panelsFrom computes the channels of some panels for the pixels of the table, of
// panels panel to last, and returns how many panels that were.
func (c *convCall) panelsFrom(p0, p1, panel, last int) int {
	group, column := panel/c.groupPanels, panel%c.groupPanels*PanelWidth
	first := group*c.groupOut + column
	panels := c.panelsAtOnce(min(last-panel, c.groupPanels-panel%c.groupPanels), c.groupOut-column)
	r := convRun{
		out: c.out[p0*c.OutC+first:], ldc: c.OutC, cols: min(panels*PanelWidth, c.groupOut-column),
		table: c.table, tiling: newTiling(p1-p0, c.tileRows()), rows: p1 - p0,
		x: c.x, edge: c.edge, panel: c.packed[panel*c.panelLen:][:panels*c.panelLen], panelLen: c.panelLen,
		segments: c.segments, length: c.length, relu: c.e.ReLU, ask: &c.ask,
	}
	if c.e.Bias != nil {
		r.bias = c.e.Bias[first:][:r.cols]
	}
	if c.e.Residual != nil {
		r.residual = c.e.Residual[p0*c.OutC+first:]
	}
	if c.algorithm == ConvDepthwise {
		r.x = c.x[first:]
		r.depthwise()
		return panels
	}
	r.x = c.x[group*c.groupC:]
	if r.cols == panels*PanelWidth || partialPanels() {
		r.product()
		return panels
	}
	whole := r
	whole.out, whole.ldc = grow(&c.tile, r.rows*PanelWidth), PanelWidth
	whole.bias, whole.residual, whole.relu, whole.cols = nil, nil, false, PanelWidth
	whole.product()
	for i := range r.rows {
		r.finish(i, whole.out[i*PanelWidth:][:r.cols])
	}
	return panels
}

// panelsAtOnce is how many of the given panels, which follow that many columns
// of their group, are computed together. A partial panel is computed alone where
// the kernels of a product store whole panels.
func (c *convCall) panelsAtOnce(panels, cols int) int {
	if c.algorithm == ConvDepthwise || partialPanels() {
		return min(panels, c.stripPanels)
	}
	return max(1, min(panels, cols/PanelWidth, c.stripPanels))
}

// convRun is the work of one panel, or some, on consecutive rows of the output.
type convRun struct {
	out  []float32 // from the first row's first column of the panel
	ldc  int       // elements between rows of out and residual
	cols int       // that exist in the panels
	tiling
	rows             int
	table            []int
	x, edge, panel   []float32
	panelLen         int // from one panel to the next
	segments, length int
	bias, residual   []float32
	relu             bool
	ask              *halt.Counter // of the portable code, whose tiles take longer
}

// segment is the data of an entry of the table, from its first element.
func (r *convRun) segment(entry int) []float32 {
	if entry < 0 {
		return r.edge[len(r.edge)-edgeEnd+entry/elementBytes:]
	}
	return r.x[entry/elementBytes:]
}

// finish completes and stores a row of sums.
func (r *convRun) finish(row int, sums []float32) {
	var residual []float32
	if r.residual != nil {
		residual = r.residual[row*r.ldc:]
	}
	finishRow(r.out[row*r.ldc:], sums, r.bias, residual, r.relu)
}

// finishRow writes relu(sums + bias + residual) to dst; sums is overwritten.
func finishRow(dst, sums, bias, residual []float32, relu bool) {
	if bias != nil {
		for j, v := range bias[:len(sums)] {
			sums[j] += v
		}
	}
	if residual != nil {
		for j, v := range residual[:len(sums)] {
			sums[j] += v
		}
	}
	for j, v := range sums {
		if relu && v < 0 {
			sums[j] = 0
		}
	}
	copy(dst, sums)
}
