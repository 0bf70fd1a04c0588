package kernels

import (
	"fmt"
	"math/bits"
	"slices"

	"github.com/genie-sdk/go/internal/halt"
)

// ConvShape is the geometry of a convolution (cross-correlation) of x [N, H, W,
// C] with OutC filters of C/Groups channels and KH x KW taps. Pad zeros
// surround the image on each side; they are multiplied like any other element.
type ConvShape struct {
	N, H, W, C, OutC int
	KH, KW           int
	StrideH, StrideW int
	PadH, PadW       int
	DilH, DilW       int
	Groups           int
	// AnySize: the filters are for images of several sizes, so that the algorithm
	// depends on neither H nor W.
	AnySize bool
}

// OutH is the height of the output, (H+2*PadH-DilH*(KH-1)-1)/StrideH + 1.
func (s ConvShape) OutH() int { return outSize(s.H, s.KH, s.StrideH, s.PadH, s.DilH) }

// OutW is the width of the output.
func (s ConvShape) OutW() int { return outSize(s.W, s.KW, s.StrideW, s.PadW, s.DilW) }

func outSize(size, kernel, stride, pad, dilation int) int {
	return (size+2*pad-dilation*(kernel-1)-1)/stride + 1
}

// ConvAlgorithm is how a convolution is computed.
type ConvAlgorithm uint8

// The algorithms of [ConvShape.Algorithm].
const (
	// ConvDirect is a matrix product whose left side is read from the image in
	// place, through a table of the windows' segments: the indirect convolution
	// of Dukhan, arXiv:1907.02129. An output is one accumulator, its products in
	// the order (row of the filter, column of the filter, channel).
	ConvDirect ConvAlgorithm = iota
	// ConvDepthwise is ConvDirect with a filter for each channel: an output is
	// one accumulator, its products in the order (row, column).
	ConvDepthwise
	// ConvWinograd is F(4x4, 3x3) of Lavin and Gray, arXiv:1509.09308: see
	// winograd.go for its error.
	ConvWinograd
)

const (
	// winogradChannels is the number of input and of output channels from which
	// Winograd convolution is faster.
	winogradChannels = 16
	// Transformed filters are four times as large. They pay off if they stay in
	// a cache or an image has enough blocks that use them.
	winogradFilterFloats = 1 << 20
	winogradImageTiles   = 12
	// With more channels the transform of a few blocks fits no cache.
	winogradMostChannels = 1 << 16
)

// Algorithm is the algorithm that [Conv2D] uses. It depends neither on N nor on
// the range of a call, so neither changes a bit of an output.
func (s ConvShape) Algorithm() ConvAlgorithm {
	switch {
	case s.Groups > 1 && s.Groups == s.C && s.Groups == s.OutC:
		return ConvDepthwise
	case s.KH == 3 && s.KW == 3 && max(s.StrideH, s.StrideW, s.DilH, s.DilW, s.Groups) == 1 &&
		min(s.C, s.OutC) >= winogradChannels && s.C <= winogradMostChannels &&
		(s.C*s.OutC <= winogradFilterFloats/winogradPositions || !s.AnySize && winogradTiles(s.OutH())*winogradTiles(s.OutW()) >= winogradImageTiles):
		return ConvWinograd
	}
	return ConvDirect
}

// ConvEpilogue follows the sum: out = relu(conv + Bias + Residual), in this
// order, without the parts whose slice is nil or whose ReLU is false. Bias has
// OutC elements, Residual the shape of the output. It may be the output itself.
type ConvEpilogue struct {
	Bias, Residual []float32
	ReLU           bool
}

// Conv2D computes the units lo to hi, of [ConvShape.Units], of the convolution
// of x [N, H, W, C] with filters packed by [PackConvFilters] into out [N, OutH,
// OutW, OutC]. Calls on disjoint ranges may run concurrently. On one code path
// an output has the same bits whatever the range and N. When h stops it the
// outputs of the range are undefined.
//
// In ConvDirect and ConvDepthwise NaN and infinities propagate as in IEEE
// arithmetic, including the zeros of the padding (zero times an infinite weight
// is NaN). In ConvWinograd a NaN or infinity in the input makes NaN or infinite
// the outputs of all 4 x 4 blocks whose 6 x 6 input contains it.
func Conv2D(out, x, packed []float32, s ConvShape, e ConvEpilogue, lo, hi int, h halt.Func) {
	s.check("Conv2D")
	needRange("Conv2D", lo, hi, s.Units())
	need("Conv2D", "x", len(x), s.N, s.H, s.W, s.C)
	need("Conv2D", "the output", len(out), s.N, s.OutH(), s.OutW(), s.OutC)
	need("Conv2D", "the packed filters", len(packed), s.PackedLen())
	if e.Bias != nil {
		need("Conv2D", "the bias", len(e.Bias), s.OutC)
	}
	if e.Residual != nil {
		need("Conv2D", "the residual", len(e.Residual), s.N, s.OutH(), s.OutW(), s.OutC)
	}
	if lo == hi {
		return
	}
	scratch := convScratches.Get().(*convScratch)
	defer convScratches.Put(scratch)
	c := convCall{convGeometry: s.geometry(), convScratch: scratch, out: out, x: x, packed: packed, e: e, ask: h.Counter()}
	c.units(lo, hi)
}

// Units is the number of parts that [Conv2D] can be split into: blocks of
// output pixels times strips of filters, about equal in work: one panel of 16
// filters, or as many as the kernels take at a time. Consecutive units share more
// than distant ones.
func (s ConvShape) Units() int {
	s.check("Units")
	g := s.geometry()
	return g.blocks * g.strips
}

// convGeometry is derived from a shape.
type convGeometry struct {
	ConvShape
	algorithm   ConvAlgorithm
	oh, ow      int
	groupC      int // input channels of a group
	groupOut    int // filters of a group
	groupPanels int // panels of a group
	panels      int
	panelLen    int // floats of a packed panel
	// The panels of a group are computed so many at a time, in so many strips.
	stripPanels, groupStrips, strips int
	// A window is that many segments of that many elements which are contiguous
	// in x.
	segments, length int
	rows             int // of the output: pixels, or tiles of 4 x 4 for Winograd
	blocks           int // number of blocks of rows
	panelsOutside    bool
}

// convBlock is the approximate number of output pixels in a unit.
const convBlock = 48

func (s ConvShape) geometry() convGeometry {
	g := convGeometry{
		ConvShape: s, algorithm: s.Algorithm(), oh: s.OutH(), ow: s.OutW(),
		groupC: s.C / s.Groups, groupOut: s.OutC / s.Groups,
	}
	block := convBlock
	switch g.algorithm {
	case ConvDepthwise:
		g.groupC, g.groupOut = s.C, s.OutC
		g.segments, g.length = s.KH*s.KW, s.C
		g.panelLen = s.KH * s.KW * PanelWidth
	case ConvWinograd:
		g.segments, g.length = 1, s.C
		g.panelLen = winogradPositions * s.C * PanelWidth
		block = winogradBlock(s.C)
	default:
		g.segments, g.length = s.KH*s.KW, g.groupC
		if s.DilW == 1 && s.Groups == 1 && s.C < mergeBelow {
			g.segments, g.length = s.KH, s.KW*s.C
		}
		g.panelLen = s.KH * s.KW * g.groupC * PanelWidth
	}
	g.groupPanels = (g.groupOut + PanelWidth - 1) / PanelWidth
	groups := s.OutC / g.groupOut
	g.panels = groups * g.groupPanels
	g.stripPanels = productPanels()
	if g.algorithm == ConvDepthwise {
		g.stripPanels = depthwisePanels()
	}
	g.groupStrips = (g.groupPanels + g.stripPanels - 1) / g.stripPanels
	g.strips = groups * g.groupStrips
	g.rows = s.N * g.oh * g.ow
	if g.algorithm == ConvWinograd {
		g.rows = s.N * winogradTiles(g.oh) * winogradTiles(g.ow)
	} else {
		// The larger of filters and image is read only once.
		g.panelsOutside = g.panels*g.panelLen > s.N*s.H*s.W*s.C
	}
	g.blocks = min(g.rows, max(1, (g.rows+block/2)/block))
	return g
}

// convCall is one call of Conv2D.
type convCall struct {
	convGeometry
	*convScratch
	out, x, packed []float32
	e              ConvEpilogue
	ask            halt.Counter
	halted         bool
}

// stop counts work and reports whether the call is to stop.
func (c *convCall) stop(work int) bool {
	c.halted = c.halted || c.ask.Stop(work)
	return c.halted
}

// units computes a range of units: up to three rectangles of blocks and strips.
func (c *convCall) units(lo, hi int) {
	inner := c.strips
	if c.panelsOutside {
		inner = c.blocks
	}
	for lo < hi && !c.halted {
		o, i := lo/inner, lo%inner
		if i == 0 && hi-lo >= inner {
			n := (hi - lo) / inner
			c.rectangle(o, o+n, 0, inner)
			lo += n * inner
			continue
		}
		n := min(inner-i, hi-lo)
		c.rectangle(o, o+1, i, i+n)
		lo += n
	}
}

func (c *convCall) rectangle(o0, o1, i0, i1 int) {
	if c.panelsOutside {
		o0, o1, i0, i1 = i0, i1, o0, o1
	}
	row0, row1 := c.blockStart(o0), c.blockStart(o1)
	panel0, panel1 := c.stripStart(i0), c.stripStart(i1)
	if c.algorithm == ConvWinograd {
		for o := o0; o < o1 && !c.halted; o++ {
			c.winograd(c.blockStart(o), c.blockStart(o+1), panel0, panel1)
		}
		return
	}
	if c.segments*c.length > longWindow {
		c.longWindows(row0, row1, panel0, panel1)
		return
	}
	c.direct(row0, row1, panel0, panel1)
}

func (c *convCall) blockStart(block int) int {
	hi, lo := bits.Mul64(uint64(block), uint64(c.rows))
	q, _ := bits.Div64(hi, lo, uint64(c.blocks))
	return int(q)
}

// stripStart is the first panel of a strip.
func (c *convCall) stripStart(strip int) int {
	return strip/c.groupStrips*c.groupPanels + strip%c.groupStrips*c.stripPanels
}

// maxSide bounds heights and widths, so that the arithmetic with them stays in
// an int.
const maxSide = 1 << 28

// Valid reports whether there are kernels for the convolution: it has images,
// filters and windows that fit them, of sizes whose products are ints. The
// other methods and functions panic where it is false.
func (s ConvShape) Valid() bool { return s.fault() == "" }

// check panics unless the convolution is valid.
func (s ConvShape) check(op string) {
	if f := s.fault(); f != "" {
		panic(fmt.Sprintf("kernels: %s: %+v: %s", op, s, f))
	}
}

// fault is the fault of a convolution, empty for none.
func (s ConvShape) fault() string {
	switch {
	case s.N < 0 || min(s.H, s.W, s.C, s.OutC, s.KH, s.KW) < 1 || min(s.StrideH, s.StrideW, s.DilH, s.DilW, s.Groups) < 1 ||
		min(s.PadH, s.PadW) < 0 || s.C%s.Groups != 0 || s.OutC%s.Groups != 0:
		return "there is no such convolution"
	case max(s.H, s.W, s.KH, s.KW, s.StrideH, s.StrideW, s.PadH, s.PadW, s.DilH, s.DilW) > maxSide:
		return "it is too large"
	case s.H+2*s.PadH <= s.DilH*(s.KH-1) || s.W+2*s.PadW <= s.DilW*(s.KW-1):
		return "the window is larger than the image"
	}
	_, image := product(s.N, s.H, s.W, s.C)
	_, out := product(s.N, s.OutH(), s.OutW(), s.OutC)
	_, outs := product(s.OutC, 1) // before it is added to
	_, groups := product(s.Groups, PanelWidth)
	if !image || !out || !outs || !groups {
		return "its arrays are too large"
	}
	if _, ok := product(s.OutC+PanelWidth*s.Groups, max(s.KH*s.KW, winogradPositions), s.C); !ok {
		return "its filters are too large"
	}
	return ""
}

// product is the product of sizes, and whether that many floats can be
// addressed.
func product(sizes ...int) (int, bool) {
	n := uint64(1)
	for _, size := range sizes {
		hi, lo := bits.Mul64(n, uint64(size))
		if hi != 0 || lo > 1<<60 {
			return 0, false
		}
		n = lo
	}
	return int(n), true
}

// sizeOf is the product of sizes; it panics unless that many floats can be
// addressed.
func sizeOf(op string, sizes ...int) int {
	n, ok := product(sizes...)
	if !ok {
		panic(fmt.Sprintf("kernels: %s: an array of %v is too large", op, slices.Clone(sizes)))
	}
	return n
}

func need(op, operand string, length int, sizes ...int) {
	if length < sizeOf(op, sizes...) {
		panic(fmt.Sprintf("kernels: %s: %s of %d elements is too short for %v", op, operand, length, slices.Clone(sizes)))
	}
}
