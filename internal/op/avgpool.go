package op

import (
	"github.com/genie-sdk/go/internal/halt"
	"github.com/genie-sdk/go/transport/plan"
)

// AvgPool2D is the mean of each window of x [n, c, h, w]: of the pixels in it
// or, with CountPad, of these and the padding, which is 0. The padding is
// [top, left, bottom, right]. Ceil rounds the number of windows up: what is
// outside of the padding does not count. Sums are in float64.
type AvgPool2D struct {
	Kernel, Stride, Dilation [2]int
	Pad                      [4]int
	CountPad, Ceil           bool
}

// Name is avg_pool2d.
func (AvgPool2D) Name() string { return "avg_pool2d" }

// Traits are those of a reduction of images.
func (AvgPool2D) Traits() Traits { return Traits{Class: ClassReduce, Reduces: true, Images: true} }

// Attrs are the geometry.
func (o AvgPool2D) Attrs() plan.Attrs {
	return plan.Attrs{
		plan.BoolAttr("ceil", o.Ceil), plan.BoolAttr("count_pad", o.CountPad), plan.Ints("dilation", o.Dilation[:]),
		plan.Ints("kernel", o.Kernel[:]), plan.Ints("pad", o.Pad[:]), plan.Ints("stride", o.Stride[:]),
	}
}

func decodeAvgPool2D(r *plan.AttrReader) Op {
	o := AvgPool2D{
		Ceil: r.Bool("ceil"), CountPad: r.Bool("count_pad"), Dilation: pair(r.Ints("dilation")),
		Kernel: pair(r.Ints("kernel")), Stride: pair(r.Ints("stride")),
	}
	copy(o.Pad[:], r.Ints("pad"))
	return o
}

func (o AvgPool2D) windows() (w [2]window) {
	for i := range w {
		w[i] = window{size: o.Kernel[i], stride: o.Stride[i], before: o.Pad[i], after: o.Pad[2+i], dilation: o.Dilation[i], ceil: o.Ceil}
	}
	return w
}

// Infer computes height and width.
func (o AvgPool2D) Infer(in []plan.Spec) (plan.Spec, error) {
	s, err := inferSame(in)
	if err != nil {
		return s, err
	}
	if len(s.Shape) != 4 {
		return s, shapeErr("average pool of %v, want [n, c, h, w]", s.Shape)
	}
	out := plan.Shape{s.Shape[0], s.Shape[1], {}, {}}
	for i, w := range o.windows() {
		if out[2+i], err = w.count(s.Shape[2+i]); err != nil {
			return s, err
		}
		if w.before > w.reach() || !w.ceil && w.after > w.reach() {
			return s, shapeErr("average pool with kernel %v and padding %v", o.Kernel, o.Pad)
		}
		if s.Shape[2+i].Is(0) {
			return s, shapeErr("average pool of %v, which has no pixels", s.Shape)
		}
	}
	return plan.Spec{DType: plan.F32, Shape: out}, nil
}

// Conditions are that there are pixels, and that a window fits.
func (o AvgPool2D) Conditions(in []plan.Spec) (plan.Shape, string) {
	x, w := in[0].Shape, o.windows()
	return plan.Shape{some(x[2]), some(x[3]), w[0].span(x[2]), w[1].span(x[3])}, "a pool of an image that is too small"
}

// FLOPs is one per element of each window.
func (o AvgPool2D) FLOPs(_ [][]int, out []int) float64 {
	return fproduct(out) * float64(o.Kernel[0]) * float64(o.Kernel[1])
}

// Eval is the reference kernel.
func (o AvgPool2D) Eval(out *Array, in []*Array, h halt.Func) error {
	x, y := in[0], out.F32()
	fx := x.F32()
	idx := make([]int, 4)
	ask := h.Counter()
	return walk(out.Shape, &ask, 1, func(p []int) {
		sum, count := 0.0, 0
		base := idx[0]*x.Strides[0] + idx[1]*x.Strides[1]
		for i := range o.Kernel[0] {
			if ask.Stop(elementWork * o.Kernel[1]) {
				return
			}
			ih := idx[2]*o.Stride[0] - o.Pad[0] + i*o.Dilation[0]
			for j := range o.Kernel[1] {
				iw := idx[3]*o.Stride[1] - o.Pad[1] + j*o.Dilation[1]
				if ih >= 0 && ih < x.Shape[2] && iw >= 0 && iw < x.Shape[3] {
					sum += float64(fx[base+ih*x.Strides[2]+iw*x.Strides[3]])
					count++
				} else if o.CountPad && ih < x.Shape[2]+o.Pad[2] && iw < x.Shape[3]+o.Pad[3] {
					count++
				}
			}
		}
		y[p[0]] = float32(sum / float64(count))
		next(idx, out.Shape)
	}, out.Strides)
}
