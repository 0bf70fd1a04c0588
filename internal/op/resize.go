package op

import (
	"math"
	"slices"
	"strconv"

	"github.com/genie-sdk/go/internal/halt"
	"github.com/genie-sdk/go/transport/plan"
)

// Resize interpolates an input of f32 to another shape of the same rank, as
// ONNX's Resize does. An axis whose size and scale stay is not touched.
type Resize struct {
	Shape plan.Shape
	// Mode is nearest, linear or cubic. Neighbours outside of the input are its
	// edge.
	Mode string
	// Coords is how a position of the output maps to one of the input:
	// half_pixel, pytorch_half_pixel, half_pixel_symmetric, align_corners or
	// asymmetric.
	Coords string
	// Nearest is how a position is rounded: round_prefer_floor,
	// round_prefer_ceil, floor or ceil.
	Nearest string
	// Cubic is the coefficient a of the cubic kernel, usually -0.75.
	Cubic float64
	// Scales are the ratios of the sizes by which positions map, by axis, where
	// they are not the ratios of the shapes; nil for none.
	Scales []float64
}

// Name is resize.
func (Resize) Name() string { return "resize" }

// Traits are those of a gather that computes.
func (Resize) Traits() Traits { return Traits{Class: ClassReduce, Images: true} }

// Attrs are all fields; the scale of each axis is an attribute of its own.
func (o Resize) Attrs() plan.Attrs {
	a := plan.Attrs{plan.Str("coords", o.Coords), plan.Float("cubic", o.Cubic), plan.Str("mode", o.Mode), plan.Str("nearest", o.Nearest)}
	for d, s := range o.Scales {
		a = append(a, plan.Float(scaleKey(d), s))
	}
	return append(a, plan.Dims("shape", o.Shape...))
}

func scaleKey(axis int) string { return "scale" + strconv.Itoa(axis) }

func decodeResize(r *plan.AttrReader) Op {
	o := Resize{Coords: r.Str("coords"), Cubic: r.Float("cubic"), Mode: r.Str("mode"), Nearest: r.Str("nearest"), Shape: r.Dims("shape")}
	for d := 0; d < plan.MaxRank && r.Has(scaleKey(d)); d++ {
		o.Scales = append(o.Scales, r.Float(scaleKey(d)))
	}
	return o
}

// Infer checks the shape and the modes.
func (o Resize) Infer(in []plan.Spec) (plan.Spec, error) {
	s, err := inferSame(in)
	if err != nil {
		return s, err
	}
	if len(o.Shape) != len(s.Shape) || o.Scales != nil && len(o.Scales) != len(o.Shape) {
		return s, shapeErr("resize of %v to %v with scales %v", s.Shape, o.Shape, o.Scales)
	}
	for _, m := range []struct {
		mode  string
		known []string
	}{
		{o.Mode, []string{"nearest", "linear", "cubic"}},
		{o.Coords, []string{"half_pixel", "pytorch_half_pixel", "half_pixel_symmetric", "align_corners", "asymmetric"}},
		{o.Nearest, []string{"round_prefer_floor", "round_prefer_ceil", "floor", "ceil"}},
	} {
		if !slices.Contains(m.known, m.mode) {
			return s, shapeErr("resize with the unknown mode %.40q", m.mode)
		}
	}
	for d, v := range append(slices.Clone(o.Scales), 1) {
		if !(v > 0) || math.IsInf(v, 0) || math.IsNaN(o.Cubic) || math.IsInf(o.Cubic, 0) {
			return s, shapeErr("resize of axis %d by %v, coefficient %v", d, v, o.Cubic)
		}
	}
	for d, n := range o.Shape {
		if size, ok := n.Const(); ok && size < 0 || n.Err() != nil || s.Shape[d].Is(0) && !n.Is(0) {
			return s, shapeErr("resize of %v to %v", s.Shape, o.Shape)
		}
	}
	return plan.Spec{DType: plan.F32, Shape: slices.Clone(o.Shape)}, nil
}

// Conditions are that there are elements along axes that change.
func (o Resize) Conditions(in []plan.Spec) (dims plan.Shape, what string) {
	for d, n := range in[0].Shape {
		if d < len(o.Shape) && !n.Equal(o.Shape[d]) {
			dims = append(dims, some(n))
		}
	}
	return dims, "resize of an empty axis"
}

// MaxRowTaps is the neighbours of a row of the output that kernels combine.
const MaxRowTaps = 16

// Taps is the number of neighbours along a changed axis.
func (o Resize) Taps() int {
	switch o.Mode {
	case "linear":
		return 2
	case "cubic":
		return 4
	}
	return 1
}

// FLOPs is two per neighbour.
func (o Resize) FLOPs(in [][]int, out []int) float64 {
	n := 2 * fproduct(out)
	for d := range out {
		if o.Changes(d, in[0][d], out[d]) {
			n *= float64(o.Taps())
		}
	}
	return n
}

// Changes reports whether an axis is interpolated.
func (o Resize) Changes(d, in, out int) bool {
	return in != out || o.Scales != nil && o.Scales[d] != 1
}

// tap is a neighbour: its offset in the input and its weight.
type tap struct {
	off    int
	weight float64
}

// Eval is the reference kernel.
func (o Resize) Eval(out *Array, in []*Array, h halt.Func) error {
	x, rank := in[0], len(out.Shape)
	if out.Len() == 0 {
		return nil
	}
	if x.Len() == 0 {
		return shapeErr("resize of %v to %v", x.Shape, out.Shape)
	}
	var axes [][]tap // of each position of the axes that change: taps of them
	var changed []int
	for d := range rank {
		if o.Changes(d, x.Shape[d], out.Shape[d]) {
			changed = append(changed, d)
			axes = append(axes, nil)
		}
	}
	from := slices.Clone(x.Strides)
	for _, d := range changed {
		from[d] = 0
	}
	fx, y, idx := x.F32(), out.F32(), make([]int, rank)
	work := 1
	for range changed {
		work *= o.Taps()
	}
	ask := h.Counter()
	return walk(out.Shape, &ask, work, func(p []int) {
		for i, d := range changed {
			axes[i] = o.neighbours(axes[i][:0], d, idx[d], x.Shape[d], out.Shape[d], x.Strides[d])
		}
		y[p[0]] = float32(interpolate(fx, p[1], axes))
		next(idx, out.Shape)
	}, out.Strides, from)
}

// interpolate sums the products of the neighbours along each axis.
func interpolate(x []float32, off int, axes [][]tap) (sum float64) {
	if len(axes) == 0 {
		return float64(x[off])
	}
	for _, t := range axes[0] {
		sum += t.weight * interpolate(x, off+t.off, axes[1:])
	}
	return sum
}

// Neighbours is the neighbours of position i of an axis, [Resize.Taps] of them: their
// offsets in an axis of size n with a stride, and their weights.
func (o Resize) Neighbours(offs []int, weights []float32, axis, i, n, out, stride int) {
	var room [4]tap
	for k, t := range o.neighbours(room[:0], axis, i, n, out, stride) {
		offs[k], weights[k] = t.off, float32(t.weight)
	}
}

// neighbours appends the neighbours of position i of an axis of size out, in
// one of size n with a stride.
func (o Resize) neighbours(dst []tap, axis, i, n, out, stride int) []tap {
	at := min(max(o.position(axis, i, n, out), -2), float64(n)+2) // further away all are the edge
	if o.Mode == "nearest" {
		return append(dst, tap{clamped(o.round(at), n) * stride, 1})
	}
	floor := math.Floor(at)
	first, t := int(floor), at-floor
	if o.Mode == "linear" {
		return append(dst, tap{clamped(first, n) * stride, 1 - t}, tap{clamped(first+1, n) * stride, t})
	}
	for k := -1; k <= 2; k++ {
		dst = append(dst, tap{clamped(first+k, n) * stride, o.kernel(math.Abs(float64(k) - t))})
	}
	return dst
}

func clamped(i, n int) int { return min(max(i, 0), n-1) }

// position is where position i of the output is in the input.
func (o Resize) position(axis, i, n, out int) float64 {
	scale := float64(out) / float64(n)
	if o.Scales != nil {
		scale = o.Scales[axis]
	}
	x := float64(i)
	switch o.Coords {
	case "asymmetric":
		return x / scale
	case "align_corners":
		if out == 1 {
			return 0
		}
		return x * float64(n-1) / float64(out-1)
	case "pytorch_half_pixel":
		if out == 1 {
			return 0
		}
	case "half_pixel_symmetric":
		adjustment := float64(out) / (scale * float64(n))
		centre := float64(n) / 2
		return centre*(1-adjustment) + (x+0.5)/scale - 0.5
	}
	return (x+0.5)/scale - 0.5
}

// round is the neighbour of a position.
func (o Resize) round(at float64) int {
	switch o.Nearest {
	case "floor":
		return int(math.Floor(at))
	case "ceil":
		return int(math.Ceil(at))
	case "round_prefer_ceil":
		return int(math.Floor(at + 0.5))
	}
	return int(math.Ceil(at - 0.5))
}

// kernel is the weight of a neighbour at a distance: Keys, 1981.
func (o Resize) kernel(d float64) float64 {
	a := o.Cubic
	switch {
	case d <= 1:
		return ((a+2)*d-(a+3))*d*d + 1
	case d < 2:
		return ((a*d-5*a)*d+8*a)*d - 4*a
	}
	return 0
}

// bound replaces the symbols of the shape.
func (o Resize) bound(b plan.Bindings) (Op, error) {
	s, err := o.Shape.Eval(b)
	if err != nil {
		return nil, err
	}
	o.Shape = Static(s)
	return o, nil
}
