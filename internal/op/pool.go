package op

import (
	"math"

	"github.com/genie-sdk/go/internal/halt"
	"github.com/genie-sdk/go/transport/plan"
)

// MaxPool2D is the largest element of each window of x [n, c, h, w]; padding
// never wins. NaN in a window makes the result NaN, unless it has infinity.
// Dilation 0 is 1. Ceil rounds the number of windows up: the last may end outside
// of the padding.
type MaxPool2D struct {
	Kernel, Stride, Pad, Dilation [2]int
	Ceil                          bool
}

// Name is max_pool2d.
func (MaxPool2D) Name() string { return "max_pool2d" }

// Traits are those of a reduction of images.
func (MaxPool2D) Traits() Traits {
	return Traits{Class: ClassReduce, NonLinear: true, Reduces: true, Images: true}
}

// Attrs are the geometry: without the parts that not every pool has, where it
// has none.
func (o MaxPool2D) Attrs() plan.Attrs {
	a := plan.Attrs{plan.Ints("kernel", o.Kernel[:]), plan.Ints("pad", o.Pad[:]), plan.Ints("stride", o.Stride[:])}
	if o.Dilation != [2]int{} {
		a = append(plan.Attrs{plan.Ints("dilation", o.Dilation[:])}, a...)
	}
	if o.Ceil {
		a = append(plan.Attrs{plan.BoolAttr("ceil", true)}, a...)
	}
	return a
}

// Plain reports whether the pool has neither dilation nor rounds up.
func (o MaxPool2D) Plain() bool { return o.Dilation == [2]int{} && !o.Ceil }

func decodeMaxPool2D(r *plan.AttrReader) Op {
	o := MaxPool2D{Kernel: pair(r.Ints("kernel")), Pad: pair(r.Ints("pad")), Stride: pair(r.Ints("stride"))}
	if r.Has("dilation") {
		o.Dilation = pair(r.Ints("dilation"))
	}
	o.Ceil = r.Has("ceil") && r.Bool("ceil")
	return o
}

func (o MaxPool2D) windows() (w [2]window) {
	for i := range w {
		w[i] = window{size: o.Kernel[i], stride: o.Stride[i], before: o.Pad[i], after: o.Pad[i], dilation: o.step(i), ceil: o.Ceil}
	}
	return w
}

// step is the distance of the elements of a window.
func (o MaxPool2D) step(axis int) int {
	if o.Dilation == [2]int{} {
		return 1
	}
	return o.Dilation[axis]
}

// Conditions are that there are pixels, and that a window fits.
func (o MaxPool2D) Conditions(in []plan.Spec) (plan.Shape, string) {
	x, w := in[0].Shape, o.windows()
	return plan.Shape{some(x[2]), some(x[3]), w[0].span(x[2]), w[1].span(x[3])}, "a pool of an image that is too small"
}

// Infer computes height and width.
func (o MaxPool2D) Infer(in []plan.Spec) (plan.Spec, error) {
	s, err := inferSame(in)
	if err != nil {
		return s, err
	}
	if len(s.Shape) != 4 {
		return s, shapeErr("max pool of %v, want [n, c, h, w]", s.Shape)
	}
	out := plan.Shape{s.Shape[0], s.Shape[1], {}, {}}
	for i, w := range o.windows() {
		if out[2+i], err = w.count(s.Shape[2+i]); err != nil {
			return s, err
		}
		if w.before > w.reach() { // some windows would contain only padding
			return s, shapeErr("max pool with kernel %v and padding %v", o.Kernel, o.Pad)
		}
		if s.Shape[2+i].Is(0) {
			return s, shapeErr("max pool of %v, which has no pixels", s.Shape)
		}
	}
	return plan.Spec{DType: plan.F32, Shape: out}, nil
}

// FLOPs is one per element of each window.
func (o MaxPool2D) FLOPs(_ [][]int, out []int) float64 {
	return fproduct(out) * float64(o.Kernel[0]*o.Kernel[1])
}

// Eval is the reference kernel.
func (o MaxPool2D) Eval(out *Array, in []*Array, h halt.Func) error {
	x := in[0]
	fx, y := x.F32(), out.F32()
	at := 0
	ask := h.Counter()
	return walk(out.Shape, &ask, 1, func(p []int) {
		n, c, oh, ow := unravel4(at, out.Shape)
		at++
		hi := math.Inf(-1)
		for i := range o.Kernel[0] {
			if ask.Stop(elementWork * o.Kernel[1]) {
				return
			}
			ih := oh*o.Stride[0] - o.Pad[0] + i*o.step(0)
			for j := range o.Kernel[1] {
				iw := ow*o.Stride[1] - o.Pad[1] + j*o.step(1)
				if ih >= 0 && ih < x.Shape[2] && iw >= 0 && iw < x.Shape[3] {
					hi = math.Max(hi, float64(fx[n*x.Strides[0]+c*x.Strides[1]+ih*x.Strides[2]+iw*x.Strides[3]]))
				}
			}
		}
		y[p[0]] = float32(hi)
	}, out.Strides)
}
