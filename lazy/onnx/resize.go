package onnx

import (
	"math"
	"slices"

	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport/plan"
)

// resizing is a Resize with its sizes: what each axis becomes, and the scale by
// which its positions map.
type resizing struct {
	shape   plan.Shape
	scales  []float64 // by axis, nil for the ratios of the sizes
	mode    lazy.ResizeMode
	exclude bool
	anti    bool
	crop    []float64 // starts, then ends, by axis; nil for none
	outside float64
}

// resize interpolates. Operator set 10 had no attribute but the mode, and Upsample only
// scales.
func resize(c *call) *lazy.Tensor {
	x := c.t(0)
	if c.err != nil {
		return nil
	}
	r := c.resizing(x.Shape())
	if c.err != nil {
		return nil
	}
	if r.exclude || r.anti || r.crop != nil || r.uneven(x.Shape()) {
		return c.resizedByTables(x, r)
	}
	dims := make([]any, len(r.shape))
	for i, d := range r.shape {
		dims[i] = d
	}
	r.mode.Scales = r.scales
	return lazy.Resize(x, r.mode, dims...)
}

// uneven reports whether corners are aligned with those of an image that is not a whole
// number of pixels wide, as scales can give.
func (r *resizing) uneven(s plan.Shape) bool {
	if r.scales == nil || r.mode.Coords != "align_corners" && r.mode.Coords != "pytorch_half_pixel" {
		return false
	}
	for i, d := range s {
		n, ok := d.Const()
		if r.scales[i] != math.Trunc(r.scales[i]) && (!ok || r.scales[i]*float64(n) != math.Trunc(r.scales[i]*float64(n))) {
			return true
		}
	}
	return false
}

func (c *call) resizing(s plan.Shape) resizing {
	r := resizing{shape: slices.Clone(s), outside: c.attrFloat("extrapolation_value", 0)}
	r.mode = lazy.ResizeMode{Mode: c.attrString("mode", "nearest"), Cubic: c.attrFloat("cubic_coeff_a", -0.75)}
	if r.mode.Mode == "bilinear" {
		r.mode.Mode = "linear"
	}
	scales, sizes := -1, -1
	switch {
	case c.n.OpType == "Upsample" || c.opset < 11:
		r.mode.Coords, r.mode.Nearest, scales = "asymmetric", "floor", 1
	default:
		r.mode.Coords, r.mode.Nearest = c.attrString("coordinate_transformation_mode", "half_pixel"), c.attrString("nearest_mode", "round_prefer_floor")
		scales, sizes = 2, 3
	}
	r.exclude, r.anti = c.attrBool("exclude_outside", false), c.attrBool("antialias", false)
	axes := from(0, len(s))
	if list := c.attrInts("axes"); list != nil {
		axes = c.axes(list, len(s))
	}
	if c.err != nil {
		return r
	}
	switch {
	case c.hasAttr("scales"):
		c.scaled(&r, s, axes, c.attrFloats("scales"))
	case c.has(scales) && !c.emptyInput(scales):
		c.scaled(&r, s, axes, c.floats(scales))
	case sizes >= 0 && c.has(sizes):
		c.sized(&r, s, axes, c.dims(sizes))
	default:
		c.failf("%w: neither scales nor sizes", ErrMalformed)
	}
	if c.err == nil && r.mode.Coords == "tf_crop_and_resize" {
		c.cropped(&r, axes)
	}
	return r
}

// emptyInput reports whether an input is there but has no element, as exporters
// write what they leave out.
func (c *call) emptyInput(i int) bool {
	s := c.shape(i)
	return len(s) == 1 && s[0].Is(0)
}

func (c *call) scaled(r *resizing, s plan.Shape, axes []int, scales []float64) {
	if c.err == nil && len(scales) != len(axes) {
		c.failf("%w: %d scales of %d axes", ErrMalformed, len(scales), len(axes))
	}
	if c.err != nil {
		return
	}
	r.scales = slices.Repeat([]float64{1}, len(s))
	for i, a := range axes {
		r.scales[a] = scales[i]
		n, ok := scaledDim(s[a], scales[i])
		if !ok {
			c.failf("axis %d of size %v by %v", a, s[a], scales[i])
			return
		}
		r.shape[a] = n
	}
}

// scaledDim is floor(d*scale). A size with symbols is multiplied and divided by whole
// numbers, if the scale is a quotient of such.
func scaledDim(d plan.Dim, scale float64) (plan.Dim, bool) {
	if !(scale > 0) || math.IsInf(scale, 0) {
		return plan.Dim{}, false
	}
	if n, ok := d.Const(); ok {
		f := math.Floor(float64(n) * scale)
		return plan.C(int(min(f, plan.MaxDimSize))), f <= plan.MaxDimSize
	}
	for q := 1; q <= 64; q++ {
		p := math.Round(scale * float64(q))
		if p >= 1 && p < 1<<20 && float32(p/float64(q)) == float32(scale) {
			return d.Scale(int(p)).FloorDiv(q), true
		}
	}
	return plan.Dim{}, false
}

func (c *call) sized(r *resizing, s plan.Shape, axes []int, sizes []plan.Dim) {
	if c.err == nil && len(sizes) != len(axes) {
		c.failf("%w: %d sizes of %d axes", ErrMalformed, len(sizes), len(axes))
	}
	if c.err != nil {
		return
	}
	for i, a := range axes {
		r.shape[a] = sizes[i]
	}
	policy := c.attrString("keep_aspect_ratio_policy", "stretch")
	if policy == "stretch" {
		return
	}
	scale := 0.0
	for i, a := range axes {
		n, ok1 := sizes[i].Const()
		m, ok2 := s[a].Const()
		if !ok1 || !ok2 || m == 0 {
			c.failf("keep_aspect_ratio_policy of axis %d of size %v", a, s[a])
			return
		}
		f := float64(n) / float64(m)
		switch {
		case i == 0, policy == "not_larger" && f < scale, policy == "not_smaller" && f > scale:
			scale = f
		}
	}
	r.scales = slices.Repeat([]float64{1}, len(s))
	for _, a := range axes {
		m, _ := s[a].Const()
		r.scales[a], r.shape[a] = scale, plan.C(int(math.Floor(scale*float64(m)+0.5)))
	}
}

// cropped reads the region, in parts of the axes.
func (c *call) cropped(r *resizing, axes []int) {
	roi := c.floats(1)
	if c.err == nil && len(roi) != 2*len(axes) {
		c.failf("%w: a region of %d numbers for %d axes", ErrMalformed, len(roi), len(axes))
	}
	if c.err != nil {
		return
	}
	n := len(r.shape)
	r.crop = append(make([]float64, n), slices.Repeat([]float64{1}, n)...)
	for i, a := range axes {
		r.crop[a], r.crop[n+a] = roi[i], roi[len(axes)+i]
	}
}

// resizedByTables multiplies each axis that changes with a matrix of weights, which is
// computed while the model is read.
func (c *call) resizedByTables(x *lazy.Tensor, r resizing) *lazy.Tensor {
	for axis := range r.shape {
		in, ok1 := x.Dim(axis).Const()
		out, ok2 := r.shape[axis].Const()
		if !ok1 || !ok2 || in == 0 || out > maxTable/in {
			if r.shape[axis].Equal(x.Dim(axis)) && r.crop == nil && (r.scales == nil || r.scales[axis] == 1) {
				continue
			}
			c.failf("axis %d of size %v to %v with exclude_outside, antialias or a region", axis, x.Dim(axis), r.shape[axis])
			return nil
		}
		scale := float64(out) / float64(in)
		if r.scales != nil {
			scale = r.scales[axis]
		}
		if scale == 1 && in == out && (r.crop == nil || r.crop[axis] == 0 && r.crop[len(r.shape)+axis] == 1) {
			continue
		}
		x = c.resizedAxis(x, axis, r, in, out, scale)
		if c.err != nil || x.Err() != nil {
			return x
		}
	}
	return x
}

func (c *call) resizedAxis(x *lazy.Tensor, axis int, r resizing, in, out int, scale float64) *lazy.Tensor {
	weights := make([]float64, in*out)
	outside := make([]float64, out)
	for y := range out {
		at, beyond := r.position(axis, y, in, out, scale)
		if beyond {
			outside[y] = 1
			continue
		}
		for i, w := range r.weights(at, in, scale) {
			weights[i*out+y] += w
		}
	}
	table := c.table(func(i int) float64 { return weights[i] }, in, out)
	mask := c.table(func(i int) float64 { return outside[i] * r.outside }, out)
	if c.err != nil {
		return nil
	}
	rank := len(r.shape)
	perm := from(0, rank)
	perm[axis], perm[rank-1] = perm[rank-1], perm[axis]
	y := lazy.MatMul(transposed(x, perm), table)
	if r.crop != nil {
		y = lazy.Add(y, mask)
	}
	if y.Err() != nil {
		return y
	}
	return transposed(y, perm)
}

// position maps a position of the output to one of the input; beyond says that it is
// outside of a region's image.
func (r *resizing) position(axis, y, in, out int, scale float64) (at float64, beyond bool) {
	width, p := scale*float64(in), float64(y)
	switch r.mode.Coords {
	case "align_corners":
		if width != 1 {
			at = p * float64(in-1) / (width - 1)
		}
	case "asymmetric":
		at = p / scale
	case "tf_crop_and_resize":
		from, to := r.crop[axis], r.crop[len(r.shape)+axis]
		at = (to - from) * float64(in-1) / 2
		if width != 1 {
			at = p * (to - from) * float64(in-1) / (width - 1)
		}
		at += from * float64(in-1)
		return at, at < 0 || at > float64(in-1)
	case "pytorch_half_pixel":
		if at = -0.5; width != 1 {
			at = (p+0.5)/scale - 0.5
		}
	case "half_pixel_symmetric":
		at = float64(in)/2*(1-float64(out)/width) + (p+0.5)/scale - 0.5
	default:
		at = (p+0.5)/scale - 0.5
	}
	return at, false
}

// weights are what the elements of an axis weigh at a position, by index.
func (r *resizing) weights(at float64, n int, scale float64) map[int]float64 {
	kernel, reach := r.kernel()
	stretch := 1.0
	if r.anti && r.mode.Mode != "nearest" {
		stretch = min(scale, 1)
	}
	first, last := int(math.Ceil(at-reach/stretch)), int(math.Floor(at+reach/stretch))
	if r.mode.Mode == "nearest" {
		first = r.nearest(at)
		last = first
	}
	out := map[int]float64{}
	sum := 0.0
	for i := first; i <= last; i++ {
		w := kernel((at - float64(i)) * stretch)
		inside := min(max(i, 0), n-1)
		if r.exclude && inside != i || w == 0 {
			continue
		}
		out[inside] += w
		sum += w
	}
	if (r.exclude || stretch != 1) && sum != 0 {
		for i := range out {
			out[i] /= sum
		}
	}
	return out
}

// kernel is the weight by distance, and the distance from which it is zero.
func (r *resizing) kernel() (f func(d float64) float64, reach float64) {
	a := r.mode.Cubic
	switch r.mode.Mode {
	case "linear":
		return func(d float64) float64 { return max(1-math.Abs(d), 0) }, 1
	case "cubic":
		return func(d float64) float64 {
			switch d = math.Abs(d); {
			case d <= 1:
				return ((a+2)*d-(a+3))*d*d + 1
			case d < 2:
				return ((a*d-5*a)*d+8*a)*d - 4*a
			}
			return 0
		}, 2
	}
	return func(float64) float64 { return 1 }, 1
}

func (r *resizing) nearest(at float64) int {
	switch r.mode.Nearest {
	case "floor":
		return int(math.Floor(at))
	case "ceil":
		return int(math.Ceil(at))
	case "round_prefer_ceil":
		return int(math.Floor(at + 0.5))
	}
	return int(math.Ceil(at - 0.5))
}
