package op

import (
	"github.com/genie-sdk/go/internal/halt"
	"github.com/genie-sdk/go/transport/plan"
)

// ConvTranspose2D is the transpose of a convolution: x [n, c, h, w] with filters
// [c, out/groups, kh, kw], plus an optional bias [out]. Each pixel adds its
// filter to the output at stride times its position. The padding is cut off,
// [top, left, bottom, right]; OutPad adds rows and columns at the end.
type ConvTranspose2D struct {
	Stride, Dilation, OutPad [2]int
	Pad                      [4]int
	Groups                   int
}

// Name is conv_transpose2d.
func (ConvTranspose2D) Name() string { return "conv_transpose2d" }

// Traits are those of a layer.
func (ConvTranspose2D) Traits() Traits { return Traits{Class: ClassConv, Layer: true, Images: true} }

// Attrs are the geometry.
func (o ConvTranspose2D) Attrs() plan.Attrs {
	return plan.Attrs{
		plan.Ints("dilation", o.Dilation[:]), plan.Int("groups", o.Groups), plan.Ints("out_pad", o.OutPad[:]),
		plan.Ints("pad", o.Pad[:]), plan.Ints("stride", o.Stride[:]),
	}
}

func decodeConvTranspose2D(r *plan.AttrReader) Op {
	o := ConvTranspose2D{Dilation: pair(r.Ints("dilation")), Groups: r.Int("groups"), OutPad: pair(r.Ints("out_pad")), Stride: pair(r.Ints("stride"))}
	copy(o.Pad[:], r.Ints("pad"))
	return o
}

// Infer computes height and width.
func (o ConvTranspose2D) Infer(in []plan.Spec) (plan.Spec, error) {
	if err := arity(in, 2, 3); err != nil {
		return plan.Spec{}, err
	}
	x, w := in[0].Shape, in[1].Shape
	if len(x) != 4 || len(w) != 4 || o.Groups < 1 || o.Groups > plan.MaxDimSize || !x[1].Equal(w[0]) {
		return plan.Spec{}, shapeErr("transposed convolution of %v with %v in %d groups", x, w, o.Groups)
	}
	c, ok := w[0].Const()
	if !ok || c%o.Groups != 0 {
		return plan.Spec{}, shapeErr("transposed convolution of %v with %v in %d groups", x, w, o.Groups)
	}
	out := plan.Shape{x[0], w[1].Scale(o.Groups), {}, {}}
	if len(in) == 3 && (len(in[2].Shape) != 1 || !in[2].Shape[0].Equal(out[1])) {
		return plan.Spec{}, shapeErr("transposed convolution with bias %v, want [%v]", in[2].Shape, out[1])
	}
	for i := range 2 {
		var err error
		if out[2+i], err = o.size(i, x[2+i], w[2+i]); err != nil {
			return plan.Spec{}, err
		}
	}
	return plan.Spec{DType: plan.F32, Shape: out}, wantF32(in...)
}

// size is the output's size along an axis.
func (o ConvTranspose2D) size(axis int, x, filter plan.Dim) (plan.Dim, error) {
	k, ok := filter.Const()
	w := window{size: k, stride: o.Stride[axis], before: o.Pad[axis], after: o.Pad[2+axis], dilation: o.Dilation[axis]}
	if err := w.check(); err != nil || !ok {
		return plan.Dim{}, shapeErr("transposed convolution with filters of %v: %w", filter, cmpOr(err, ErrShape))
	}
	// More would only add the bias, as frameworks refuse it too.
	if p := o.OutPad[axis]; p < 0 || p >= max(w.stride, w.dilation) {
		return plan.Dim{}, shapeErr("output padding %d with stride %d and dilation %d", p, w.stride, w.dilation)
	}
	if n, ok := x.Const(); ok && n < 1 {
		return plan.Dim{}, shapeErr("transposed convolution of an image without pixels")
	}
	d := o.grown(axis, x, k)
	if n, ok := d.Const(); ok && n < 0 {
		return plan.Dim{}, shapeErr("transposed convolution with padding %v of an image of %v", o.Pad, x)
	}
	return d, nil
}

// grown is (x-1)*stride + reach + 1 + out_pad - pad.
func (o ConvTranspose2D) grown(axis int, x plan.Dim, k int) plan.Dim {
	return x.Sub(plan.C(1)).Scale(o.Stride[axis]).Add(plan.C(o.Dilation[axis]*(k-1) + 1 + o.OutPad[axis] - o.Pad[axis] - o.Pad[2+axis]))
}

// Conditions are that there are pixels, before and after.
func (o ConvTranspose2D) Conditions(in []plan.Spec) (dims plan.Shape, what string) {
	for i := range 2 {
		k, ok := in[1].Shape[2+i].Const()
		if !ok {
			return nil, ""
		}
		dims = append(dims, some(in[0].Shape[2+i]), o.grown(i, in[0].Shape[2+i], k))
	}
	return dims, "a transposed convolution of an image that is too small"
}

// FLOPs is two per multiplication and addition.
func (o ConvTranspose2D) FLOPs(in [][]int, _ []int) float64 {
	return 2 * fproduct(in[0]) * fproduct(in[1][1:])
}

// Eval is the reference kernel: it gathers the pixels of each output element.
func (o ConvTranspose2D) Eval(out *Array, in []*Array, h halt.Func) error {
	x, w, y := in[0], in[1], out.F32()
	perGroup, channels := w.Shape[1], x.Shape[1]/o.Groups
	idx := make([]int, 4)
	ask := h.Counter()
	return walk(out.Shape, &ask, 1, func(p []int) {
		oc := idx[1]
		sum := 0.0
		if len(in) == 3 {
			sum = float64(in[2].F32()[oc*in[2].Strides[0]])
		}
		for i := range w.Shape[2] {
			ih, ok := o.From(0, idx[2], i, x.Shape[2])
			if ask.Stop(elementWork * w.Shape[3]) {
				return
			}
			if !ok {
				continue
			}
			for j := range w.Shape[3] {
				iw, ok := o.From(1, idx[3], j, x.Shape[3])
				if !ok {
					continue
				}
				for c := range channels {
					if c%innerWork == innerWork-1 && ask.Stop(elementWork*innerWork) {
						return
					}
					ic := oc/perGroup*channels + c
					sum += float64(x.F32()[idx[0]*x.Strides[0]+ic*x.Strides[1]+ih*x.Strides[2]+iw*x.Strides[3]]) *
						float64(w.F32()[ic*w.Strides[0]+oc%perGroup*w.Strides[1]+i*w.Strides[2]+j*w.Strides[3]])
				}
			}
		}
		y[p[0]] = float32(sum)
		next(idx, out.Shape)
	}, out.Strides)
}

// From is the pixel whose filter element k is added at position at of an axis.
func (o ConvTranspose2D) From(axis, at, k, n int) (i int, ok bool) {
	off := at + o.Pad[axis] - k*o.Dilation[axis]
	return off / o.Stride[axis], off >= 0 && off%o.Stride[axis] == 0 && off/o.Stride[axis] < n
}
