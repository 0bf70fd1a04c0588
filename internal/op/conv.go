package op

import (
	"math"

	"github.com/genie-sdk/go/internal/halt"
	"github.com/genie-sdk/go/transport/plan"
)

// Conv2D is the cross-correlation of x [n, c, h, w] with filters
// [out, c/groups, kh, kw], plus an optional bias [out]; strides, zero padding
// and dilation are [height, width].
type Conv2D struct {
	Stride, Pad, Dilation [2]int
	Groups                int
}

// Name is conv2d.
func (Conv2D) Name() string { return "conv2d" }

// Traits are those of a layer that accepts images in any layout.
func (Conv2D) Traits() Traits {
	return Traits{Class: ClassConv, Layer: true, Images: true}
}

// Attrs are the geometry.
func (o Conv2D) Attrs() plan.Attrs {
	return plan.Attrs{plan.Ints("dilation", o.Dilation[:]), plan.Int("groups", o.Groups), plan.Ints("pad", o.Pad[:]), plan.Ints("stride", o.Stride[:])}
}

func pair(v []int) (p [2]int) {
	copy(p[:], v)
	return p
}

func decodeConv2D(r *plan.AttrReader) Op {
	return Conv2D{Dilation: pair(r.Ints("dilation")), Groups: r.Int("groups"), Pad: pair(r.Ints("pad")), Stride: pair(r.Ints("stride"))}
}

func pooled(in plan.Dim, k, stride, pad, dilation int) (plan.Dim, error) {
	n, ok := in.Const()
	if !ok {
		return plan.Dim{}, shapeErr("convolution and pooling need constant height and width, not %v", in)
	}
	if k < 1 || stride < 1 || pad < 0 || dilation < 1 || pad > 1<<16 || stride > 1<<16 || dilation > 1<<16 || k > 1<<16 {
		return plan.Dim{}, shapeErr("kernel %d, stride %d, padding %d, dilation %d", k, stride, pad, dilation)
	}
	span := n + 2*pad - dilation*(k-1) - 1
	if span < 0 {
		return plan.Dim{}, shapeErr("kernel %d with dilation %d on size %d, padding %d", k, dilation, n, pad)
	}
	return plan.C(span/stride + 1), nil
}

// Infer computes height and width.
func (o Conv2D) Infer(in []plan.Spec) (plan.Spec, error) {
	if err := arity(in, 2, 3); err != nil {
		return plan.Spec{}, err
	}
	x, w := in[0].Shape, in[1].Shape
	if len(x) != 4 || len(w) != 4 || o.Groups < 1 || o.Groups > plan.MaxDimSize {
		return plan.Spec{}, shapeErr("convolution of %v with %v in %d groups", x, w, o.Groups)
	}
	outs, ok1 := w[0].Const()
	kh, ok2 := w[2].Const()
	kw, ok3 := w[3].Const()
	if !ok1 || !ok2 || !ok3 || outs%o.Groups != 0 || !x[1].Equal(w[1].Scale(o.Groups)) {
		return plan.Spec{}, shapeErr("convolution of %v with %v in %d groups", x, w, o.Groups)
	}
	if len(in) == 3 && (len(in[2].Shape) != 1 || !in[2].Shape[0].Equal(w[0])) {
		return plan.Spec{}, shapeErr("convolution bias %v, want [%v]", in[2].Shape, w[0])
	}
	h, err := pooled(x[2], kh, o.Stride[0], o.Pad[0], o.Dilation[0])
	if err != nil {
		return plan.Spec{}, err
	}
	wd, err := pooled(x[3], kw, o.Stride[1], o.Pad[1], o.Dilation[1])
	if err != nil {
		return plan.Spec{}, err
	}
	return plan.Spec{DType: plan.F32, Shape: plan.Shape{x[0], w[0], h, wd}}, wantF32(in...)
}

// FLOPs is two per multiplication and addition.
func (o Conv2D) FLOPs(in [][]int, out []int) float64 {
	return 2 * fproduct(out) * fproduct(in[1][1:])
}

// Eval is the reference kernel.
func (o Conv2D) Eval(out *Array, in []*Array, h halt.Func) error {
	x, w := in[0], in[1]
	fx, fw, y := x.F32(), w.F32(), out.F32()
	cg, kh, kw := w.Shape[1], w.Shape[2], w.Shape[3]
	perGroup := out.Shape[1] / o.Groups
	at := 0
	ask := h.Counter()
	return walk(out.Shape, &ask, 1, func(p []int) {
		n, oc, oh, ow := unravel4(at, out.Shape)
		at++
		var sum float64
		for c := range cg {
			xc := n*x.Strides[0] + (oc/perGroup*cg+c)*x.Strides[1]
			wc := oc*w.Strides[0] + c*w.Strides[1]
			for i := range kh {
				ih := oh*o.Stride[0] - o.Pad[0] + i*o.Dilation[0]
				if ask.Stop(elementWork * kw) {
					return
				}
				if ih < 0 || ih >= x.Shape[2] {
					continue
				}
				for j := range kw {
					iw := ow*o.Stride[1] - o.Pad[1] + j*o.Dilation[1]
					if iw >= 0 && iw < x.Shape[3] {
						sum += float64(fx[xc+ih*x.Strides[2]+iw*x.Strides[3]]) * float64(fw[wc+i*w.Strides[2]+j*w.Strides[3]])
					}
				}
			}
		}
		if len(in) == 3 {
			sum += float64(in[2].F32()[oc*in[2].Strides[0]])
		}
		y[p[0]] = float32(sum)
	}, out.Strides)
}

func unravel4(at int, s []int) (a, b, c, d int) {
	d = at % s[3]
	at /= s[3]
	c = at % s[2]
	at /= s[2]
	return at / s[1], at % s[1], c, d
}

// MaxPool2D is the largest element of each window of x [n, c, h, w]; padding
// never wins.
type MaxPool2D struct{ Kernel, Stride, Pad [2]int }

// Name is max_pool2d.
func (MaxPool2D) Name() string { return "max_pool2d" }

// Traits are those of a reduction of images.
func (MaxPool2D) Traits() Traits {
	return Traits{Class: ClassReduce, NonLinear: true, Reduces: true, Images: true}
}

// Attrs are the geometry.
func (o MaxPool2D) Attrs() plan.Attrs {
	return plan.Attrs{plan.Ints("kernel", o.Kernel[:]), plan.Ints("pad", o.Pad[:]), plan.Ints("stride", o.Stride[:])}
}

func decodeMaxPool2D(r *plan.AttrReader) Op {
	return MaxPool2D{Kernel: pair(r.Ints("kernel")), Pad: pair(r.Ints("pad")), Stride: pair(r.Ints("stride"))}
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
	for i := range 2 {
		if o.Pad[i] >= o.Kernel[i] { // some windows would contain only padding
			return s, shapeErr("max pool with kernel %v and padding %v", o.Kernel, o.Pad)
		}
		if s.Shape[2+i].Is(0) {
			return s, shapeErr("max pool of %v, which has no pixels", s.Shape)
		}
		if out[2+i], err = pooled(s.Shape[2+i], o.Kernel[i], o.Stride[i], o.Pad[i], 1); err != nil {
			return s, err
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
			ih := oh*o.Stride[0] - o.Pad[0] + i
			for j := range o.Kernel[1] {
				iw := ow*o.Stride[1] - o.Pad[1] + j
				if ih >= 0 && ih < x.Shape[2] && iw >= 0 && iw < x.Shape[3] {
					hi = max(hi, float64(fx[n*x.Strides[0]+c*x.Strides[1]+ih*x.Strides[2]+iw*x.Strides[3]]))
				}
			}
		}
		y[p[0]] = float32(hi)
	}, out.Strides)
}

// BatchNorm is inference-time batch normalisation of x [n, c, ...] with
// gamma, beta, running mean and running variance, each [c]: Ioffe and Szegedy,
// 2015.
type BatchNorm struct{ Eps float64 }

// Name is batch_norm.
func (BatchNorm) Name() string { return "batch_norm" }

// Traits are those of a normalisation, of images among others.
func (BatchNorm) Traits() Traits { return Traits{Class: ClassNorm, Images: true} }

// Attrs is epsilon, added to the variance.
func (o BatchNorm) Attrs() plan.Attrs { return plan.Attrs{plan.Float("eps", o.Eps)} }

func decodeBatchNorm(r *plan.AttrReader) Op { return BatchNorm{r.Float("eps")} }

// Infer keeps the shape of x.
func (BatchNorm) Infer(in []plan.Spec) (plan.Spec, error) {
	if err := arity(in, 5, 5); err != nil {
		return plan.Spec{}, err
	}
	x := in[0].Shape
	for _, p := range in[1:] {
		if len(x) < 2 || len(p.Shape) != 1 || !p.Shape[0].Equal(x[1]) {
			return plan.Spec{}, shapeErr("batch norm of %v with parameters %v", x, p.Shape)
		}
	}
	return in[0], wantF32(in...)
}

// FLOPs is two per element.
func (BatchNorm) FLOPs(_ [][]int, out []int) float64 { return 2 * fproduct(out) }

// Eval is the reference kernel.
func (o BatchNorm) Eval(out *Array, in []*Array, h halt.Func) error {
	y, x := out.F32(), in[0].F32()
	inner := product(out.Shape[2:])
	at := 0
	ask := h.Counter()
	return walk(out.Shape, &ask, 1, func(p []int) {
		c := at / max(inner, 1) % out.Shape[1]
		at++
		g, b := in[1].F32()[c*in[1].Strides[0]], in[2].F32()[c*in[2].Strides[0]]
		m, v := in[3].F32()[c*in[3].Strides[0]], in[4].F32()[c*in[4].Strides[0]]
		y[p[0]] = float32((float64(x[p[1]])-float64(m))/math.Sqrt(float64(v)+o.Eps)*float64(g) + float64(b))
	}, out.Strides, in[0].Strides)
}
