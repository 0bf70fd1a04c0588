package cpu

import (
	"math"

	"github.com/genie-sdk/go/internal/halt"
	"github.com/genie-sdk/go/internal/kernels"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/internal/program"
	"github.com/genie-sdk/go/transport/plan"
)

// pooling is the geometry of a pool of any kind.
type pooling struct {
	kernel, stride, dilation [2]int
	pad                      [4]int // top, left, bottom, right
	mean, countPad           bool
	plain                    bool // package kernels has it
	x, out                   op.Array
	strides                  [2][plan.MaxRank]int
}

func isPool(o op.Op) bool {
	switch o.(type) {
	case op.MaxPool2D, op.AvgPool2D:
		return true
	}
	return false
}

// setPool describes a pool over images with channels last.
func (s *step) setPool() {
	p, x := s.pooling, s.in[0]
	switch o := s.op.(type) {
	case op.MaxPool2D:
		p.kernel, p.stride, p.dilation = o.Kernel, o.Stride, o.Dilation
		p.pad = [4]int{o.Pad[0], o.Pad[1], o.Pad[0], o.Pad[1]}
		if p.dilation == [2]int{} {
			p.dilation = [2]int{1, 1}
		}
		p.plain = o.Plain()
	case op.AvgPool2D:
		p.kernel, p.stride, p.dilation, p.pad = o.Kernel, o.Stride, o.Dilation, o.Pad
		p.mean, p.countPad = true, o.CountPad
		p.plain = p.dilation == [2]int{1, 1} && !o.Ceil && p.pad[0] == p.pad[2] && p.pad[1] == p.pad[3]
	}
	s.poolShape = kernels.PoolShape{
		N: x.Shape[0], C: x.Shape[1], H: x.Shape[2], W: x.Shape[3],
		KH: p.kernel[0], KW: p.kernel[1], StrideH: p.stride[0], StrideW: p.stride[1], PadH: p.pad[0], PadW: p.pad[1],
	}
	p.plain = p.plain && s.poolShape.Valid()
}

// lastStrides are the strides of an image [n, c, h, w] with channels last.
func lastStrides(shape []int, strides *[plan.MaxRank]int) []int {
	c, h, w := shape[1], shape[2], shape[3]
	strides[0], strides[1], strides[2], strides[3] = h*w*c, 1, w*c, c
	return strides[:4]
}

// runPool computes a pool of an image; one whose channels are not last is turned
// first, and so is the result.
func runPool(s *step) error {
	s.setPool()
	p, x, out := s.pooling, s.in[0], s.out
	p.x, p.out = *x, *out
	if !lastChannels(x) {
		mem, err := s.work.get(4 * x.Len())
		if err != nil {
			return err
		}
		defer s.work.put(mem)
		p.x.Strides, p.x.Data = lastStrides(x.Shape, &p.strides[0]), mem[:4*x.Len()]
		if s.copyTo(&p.x, x); s.halt.Now() {
			return nil
		}
	}
	if !lastChannels(out) {
		mem, err := s.work.get(4 * out.Len())
		if err != nil {
			return err
		}
		defer s.work.put(mem)
		p.out.Strides, p.out.Data = lastStrides(out.Shape, &p.strides[1]), mem[:4*out.Len()]
	}
	rows := out.Shape[0] * out.Shape[2]
	s.pool.run(s.job, s, rows, max(1, grainElems/max(out.Len()/rows*p.kernel[0]*p.kernel[1], 1)), poolRows)
	if !lastChannels(out) && !s.halt.Now() {
		s.copyTo(out, &p.out)
	}
	return nil
}

func (s *step) poolWorkspace() (n int) {
	if !lastChannels(s.in[0]) {
		n += program.Align(4 * s.in[0].Len())
	}
	if !lastChannels(s.out) {
		n += program.Align(4 * s.out.Len())
	}
	return n
}

// poolRows computes rows lo to hi of the images of the output.
func poolRows(s *step, lo, hi int) {
	p := s.pooling
	switch y, x := p.out.F32(), p.x.F32(); {
	case p.plain && p.mean:
		kernels.AvgPool2D(y, x, s.poolShape, p.countPad, lo, hi, s.halt)
	case p.plain:
		kernels.MaxPool2D(y, x, s.poolShape, lo, hi, s.halt)
	default:
		ask := s.halt.Counter()
		for ; lo < hi && !ask.Stop(copyStep); lo++ {
			s.poolRow(lo, &ask)
		}
	}
}

// poolRow computes a row of pixels of windows with gaps, of unequal padding, or
// that end outside of it: the elements of a row of a window, then its rows.
func (s *step) poolRow(row int, ask *halt.Counter) {
	p, x, out := s.pooling, &s.pooling.x, &s.pooling.out
	channels, h, w := x.Shape[1], x.Shape[2], x.Shape[3]
	image, oh := row/out.Shape[2], row%out.Shape[2]
	fx, fold, empty := x.F32(), kernels.PairF32("max"), float32(math.Inf(-1))
	if p.mean {
		fold, empty = kernels.Add, 0
	}
	for ow := range out.Shape[3] {
		dst := out.F32()[(row*out.Shape[3]+ow)*channels:][:channels]
		count, first := 0, true
		for i := range p.kernel[0] {
			ih := oh*p.stride[0] - p.pad[0] + i*p.dilation[0]
			for j := range p.kernel[1] {
				iw := ow*p.stride[1] - p.pad[1] + j*p.dilation[1]
				switch {
				case ih < 0 || ih >= h || iw < 0 || iw >= w:
					if p.countPad && ih < h+p.pad[2] && iw < w+p.pad[3] {
						count++
					}
					continue
				case first:
					copy(dst, fx[((image*h+ih)*w+iw)*channels:])
					first = false
				default:
					fold(dst, dst, fx[((image*h+ih)*w+iw)*channels:][:channels])
				}
				count++
				if ask.Stop(channels) {
					return
				}
			}
		}
		if first { // a window of padding
			for c := range dst {
				dst[c] = empty
			}
		}
		if p.mean {
			kernels.DivScalar(dst, dst, float32(count))
		}
	}
}
