package cpu

import (
	"github.com/genie-sdk/go/internal/halt"
	"github.com/genie-sdk/go/internal/kernels"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/internal/program"
	"github.com/genie-sdk/go/transport/plan"
)

// transposing is a transposed convolution over images with channels last.
type transposing struct {
	x, out  op.Array
	strides [2][plan.MaxRank]int
	// filters are [groups, c/groups, kh, kw, out/groups]: a matrix by group, and by row
	// of the filters a matrix of consecutive columns.
	filters []byte
	// direct: the windows of the output do not overlap and cover it, so that a row of
	// it is the product of a row of pixels.
	direct bool
}

// rowColumns is the columns of a product with a row of the filters, those of one group.
func (s *step) rowColumns() int { return s.in[1].Shape[3] * s.in[1].Shape[1] }

func directTranspose(o op.ConvTranspose2D, filters []int) bool {
	return o.Groups == 1 && o.Pad == [4]int{} && o.OutPad == [2]int{} && o.Stride == [2]int{filters[2], filters[3]} &&
		(o.Dilation[0] == 1 || filters[2] == 1) && (o.Dilation[1] == 1 || filters[3] == 1)
}

// partBytes is the memory of a chunk: a product of a row of pixels.
func (s *step) partBytes() int {
	if directTranspose(s.op.(op.ConvTranspose2D), s.in[1].Shape) {
		return 0
	}
	return 4 * s.in[0].Shape[3] * s.rowColumns()
}

func (s *step) transposeWorkspace() int {
	n := program.Align(4*s.in[1].Len()) + s.poolWorkspace()
	if part := s.partBytes(); part > 0 {
		n += s.pool.threads * program.Align(part)
	}
	return n
}

// runConvTranspose multiplies each row of pixels with each row of the filters, and
// adds that to a row of the output. An image whose channels are not last is turned
// first, and so is the result.
func runConvTranspose(s *step) error {
	t, x, out := s.transposing, s.in[0], s.out
	mem, err := s.work.get(max(1, 4*s.in[1].Len()))
	if err != nil {
		return err
	}
	defer s.work.put(mem)
	t.filters = mem[:4*s.in[1].Len()]
	t.direct = directTranspose(s.op.(op.ConvTranspose2D), s.in[1].Shape)
	s.turnFilters()
	t.x, t.out = *x, *out
	if !lastChannels(x) {
		mem, err := s.work.get(max(1, 4*x.Len()))
		if err != nil {
			return err
		}
		defer s.work.put(mem)
		t.x.Strides, t.x.Data = lastStrides(x.Shape, &t.strides[0]), mem[:4*x.Len()]
		s.copyTo(&t.x, x)
	}
	if !lastChannels(out) {
		mem, err := s.work.get(4 * out.Len())
		if err != nil {
			return err
		}
		defer s.work.put(mem)
		t.out.Strides, t.out.Data = lastStrides(out.Shape, &t.strides[1]), mem[:4*out.Len()]
	}
	if s.halt.Now() {
		return nil
	}
	rows := out.Shape[0] * out.Shape[2]
	work := x.Shape[3] * x.Shape[1] * s.rowColumns()
	s.pool.run(s.job, s, rows, max(1, grainMACs/max(work, 1)), transposedRows)
	if !lastChannels(out) && !s.halt.Now() {
		s.copyTo(out, &t.out)
	}
	return nil
}

// turnFilters puts the filters in the order of the products.
func (s *step) turnFilters() {
	w := s.in[1]
	from, to, area := elems[uint32](w.Data), elems[uint32](s.transposing.filters), w.Shape[2]*w.Shape[3]
	ask := s.halt.Counter()
	for c := range w.Shape[0] {
		size := w.Shape[1] * area
		dst, src := to[c*size:(c+1)*size], from[c*size:(c+1)*size]
		kernels.Transpose(dst, w.Shape[1], src, area, w.Shape[1], area)
		if ask.Stop(8 * size) {
			return
		}
	}
}

// transposedRows computes rows lo to hi of the images of the output.
func transposedRows(s *step, lo, hi int) {
	t, o := s.transposing, s.op.(op.ConvTranspose2D)
	var part []float32
	if !t.direct {
		mem, err := s.work.get(max(1, s.partBytes()))
		if err != nil {
			panic(err) // there is room for a part of each thread
		}
		defer s.work.put(mem)
		part = elems[float32](mem)
	}
	width := t.out.Shape[3] * t.out.Shape[1]
	ask := s.halt.Counter()
	for row := lo; row < hi; row++ {
		image, oh := row/t.out.Shape[2], row%t.out.Shape[2]
		y := t.out.F32()[row*width : (row+1)*width]
		if !t.direct {
			clear(y)
		}
		for i := range s.in[1].Shape[2] {
			if ih, ok := o.From(0, oh, i, t.x.Shape[2]); ok {
				for g := range o.Groups {
					s.transposedRow(y, part, image*t.x.Shape[2]+ih, i, g, &ask)
				}
			}
		}
		s.addTransposeBias(y)
		if ask.Stop(len(y)) {
			return
		}
	}
}

// transposedRow adds the product of a row of pixels and row i of the filters of a
// group to a row of the output.
func (s *step) transposedRow(y, part []float32, pixels, i, group int, ask *halt.Counter) {
	t, o, w := s.transposing, s.op.(op.ConvTranspose2D), s.in[1].Shape
	channels, n, columns := t.x.Shape[1], t.x.Shape[3], s.rowColumns()
	depth, all := channels/o.Groups, w[2]*columns
	a := tail(&t.x, pixels*n*channels+group*depth)
	b := elems[float32](t.filters)[group*depth*all+i*columns:]
	if t.direct {
		kernels.GemmNN(y, columns, a, channels, b, all, n, 0, columns, depth, s.halt)
		return
	}
	kernels.GemmNN(part, columns, a, channels, b, all, n, 0, columns, depth, s.halt)
	outs, per := t.out.Shape[1], w[1]
	for iw := range n {
		for j := range w[3] {
			ow := iw*o.Stride[1] + j*o.Dilation[1] - o.Pad[1]
			if ow < 0 || ow >= t.out.Shape[3] {
				continue
			}
			dst := y[ow*outs+group*per:][:per]
			kernels.Add(dst, dst, part[iw*columns+j*per:][:per])
		}
		if ask.Stop(columns + copyStep) {
			return
		}
	}
}

func (s *step) addTransposeBias(y []float32) {
	if len(s.in) < 3 || len(y) == 0 {
		return
	}
	n := s.out.Shape[1]
	bias := s.in[2].F32()[:n]
	if n == 1 {
		kernels.AddScalar(y, y, bias[0])
		return
	}
	kernels.AddBias(y, n, bias, len(y)/n, 0, n)
}
