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
	out := plan.Shape{x[0], w[0], {}, {}}
	for i, v := range o.windows(kh, kw) {
		var err error
		if out[2+i], err = v.count(x[2+i]); err != nil {
			return plan.Spec{}, err
		}
	}
	return plan.Spec{DType: plan.F32, Shape: out}, wantF32(in...)
}

// windows are those of the filters along height and width.
func (o Conv2D) windows(kh, kw int) [2]window {
	return [2]window{
		{size: kh, stride: o.Stride[0], before: o.Pad[0], after: o.Pad[0], dilation: o.Dilation[0]},
		{size: kw, stride: o.Stride[1], before: o.Pad[1], after: o.Pad[1], dilation: o.Dilation[1]},
	}
}

// Conditions are that a filter fits into the padded image.
func (o Conv2D) Conditions(in []plan.Spec) (plan.Shape, string) {
	kh, ok1 := in[1].Shape[2].Const()
	kw, ok2 := in[1].Shape[3].Const()
	if !ok1 || !ok2 {
		return nil, ""
	}
	w := o.windows(kh, kw)
	return plan.Shape{w[0].span(in[0].Shape[2]), w[1].span(in[0].Shape[3])}, "a convolution's filter is larger than the padded image"
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
