package onnx

import (
	"math"
	"slices"

	"github.com/genie-sdk/go/internal/onnxfile"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport/plan"
)

// maxTable bounds the tables that are computed while a model is read: windows, and
// the matrices of Fourier transforms.
const (
	maxTable  = 1 << 22
	maxTables = 1 << 25 // of all
)

// cosines is a window that is a sum of cosines.
func cosines(a ...float64) func(c *call) *lazy.Tensor {
	return func(c *call) *lazy.Tensor {
		n := int(c.scalar(0))
		if to := c.attrInt("output_datatype", int(onnxfile.Float)); c.err == nil && onnxfile.DataType(to) != onnxfile.Float {
			c.fail(refusedf("element type %v", onnxfile.DataType(to)))
		}
		if c.err == nil && (n < 0 || n > maxTable) {
			c.failf("a window of %d", n)
		}
		if c.err != nil {
			return nil
		}
		period := float64(n)
		if !c.attrBool("periodic", true) {
			period = float64(n - 1)
		}
		return c.table(func(i int) float64 {
			sum := 0.0
			for k, f := range a {
				sum += f * math.Cos(2*math.Pi*float64(k)*float64(i)/period)
			}
			return sum
		}, n)
	}
}

// table is a constant, or a weight if it is large, of computed elements.
func (c *call) table(f func(i int) float64, shape ...int) *lazy.Tensor {
	n := count(shape)
	if n > maxTable {
		c.failf("a table of %d numbers, the limit is %d", n, maxTable)
		return nil
	}
	if c.im.tables += n; c.im.tables > maxTables {
		c.failf("tables of more than %d numbers", maxTables)
		return nil
	}
	data := make([]float32, n)
	for i := range data {
		data[i] = float32(f(i))
	}
	if n > maxConst {
		return c.im.g.WeightF32(c.im.leafName(c.s.path+nodeName(c.n)), data, shape...)
	}
	return c.im.g.Const(data, shape...)
}

// fourier is a matrix [in, out] of cosines or sines of a transform of length n.
func (c *call) fourier(in, out, n int, sine bool) *lazy.Tensor {
	return c.table(func(i int) float64 {
		angle := 2 * math.Pi * float64(i/out*(i%out)%n) / float64(n)
		if sine {
			return math.Sin(angle)
		}
		return math.Cos(angle)
	}, in, out)
}

// dftParams are the axis of a transform, its length, and how many parts, real and
// imaginary, x has.
func (c *call) dftParams(x *lazy.Tensor) (axis, n, parts int) {
	rank := c.rank()
	axis = c.attrInt("axis", 1)
	if c.opset >= 20 {
		axis = -2
		if c.has(2) {
			axis = int(c.scalar(2))
		}
	}
	axis = c.axis(axis, rank)
	if c.err != nil {
		return 0, 0, 0
	}
	parts, _ = x.Dim(rank - 1).Const()
	n, ok := x.Dim(axis).Const()
	if !ok || axis == rank-1 || parts != 1 && parts != 2 {
		c.failf("the transform along axis %d of %v", axis, x.Shape())
		return 0, 0, 0
	}
	if c.has(1) {
		n = int(c.scalar(1))
	}
	if c.err == nil && (n < 1 || n > maxTable) {
		c.failf("a transform of length %d", n)
	}
	return axis, n, parts
}

// dft is a Fourier transform along an axis of x [..., 1 or 2], as a product with the
// matrix of the transform.
func dft(c *call) *lazy.Tensor {
	x := c.t(0)
	if c.err != nil {
		return nil
	}
	axis, n, parts := c.dftParams(x)
	inverse, oneSided := c.attrBool("inverse", false), c.attrBool("onesided", false)
	if c.err == nil && oneSided && inverse {
		c.failf("an inverse transform of one side")
	}
	if c.err != nil {
		return nil
	}
	rank := len(x.Shape())
	switch size, _ := x.Dim(axis).Const(); {
	case n < size:
		x = lazy.SliceN(x, axis, 0, n)
	case n > size:
		x = c.padAxis(x, axis, 0, n-size, 0)
	}
	// The axis last, and the parts apart.
	perm := append(slices.Delete(from(0, rank-1), axis, axis+1), axis, rank-1)
	re, im := partsOf(lazy.Transpose(x, perm...), parts)
	out := n
	if oneSided {
		out = n/2 + 1
	}
	re, im = c.transform(re, im, n, n, out, inverse)
	if c.err != nil {
		return nil
	}
	y := lazy.Concat(rank-1, column(re), column(im))
	back := make([]int, rank)
	for i, p := range perm {
		back[p] = i
	}
	return lazy.Transpose(y, back...)
}

// partsOf are the real part and, if there are two, the imaginary part of x [..., parts].
func partsOf(x *lazy.Tensor, parts int) (re, im *lazy.Tensor) {
	if x.Err() != nil {
		return x, nil
	}
	s := x.Shape()
	part := func(i int) *lazy.Tensor {
		return reshapeTo(lazy.SliceN(x, len(s)-1, i, i+1), s[:len(s)-1])
	}
	if parts == 2 {
		im = part(1)
	}
	return part(0), im
}

// column puts a last axis of size one.
func column(x *lazy.Tensor) *lazy.Tensor {
	return reshapeTo(x, append(slices.Clone(x.Shape()), plan.C(1)))
}

// transform is the Fourier transform of the last axis of a real and, if there is one,
// an imaginary part.
func (c *call) transform(re, im *lazy.Tensor, in, n, out int, inverse bool) (r, i *lazy.Tensor) {
	cos, sin := c.fourier(in, out, n, false), c.fourier(in, out, n, true)
	if c.err != nil {
		return nil, nil
	}
	sign := -1.0 // e^(-i angle)
	if inverse {
		sign = 1
	}
	r, i = lazy.MatMul(re, cos), lazy.Mul(lazy.MatMul(re, sin), c.num(sign))
	if im != nil {
		r = lazy.Add(r, lazy.Mul(lazy.MatMul(im, sin), c.num(-sign)))
		i = lazy.Add(i, lazy.MatMul(im, cos))
	}
	if inverse {
		r, i = lazy.Mul(r, c.num(1/float64(n))), lazy.Mul(i, c.num(1/float64(n)))
	}
	return r, i
}

// stftParams are the number of frames of a signal [batch, length, parts], their length
// and how far they are apart; the window is nil for none.
func (c *call) stftParams(s plan.Shape) (frames, frame, step int, window *lazy.Tensor) {
	step = int(c.scalar(1))
	if window = c.opt(2); window != nil && len(window.Shape()) == 1 {
		frame, _ = window.Dim(0).Const()
	}
	if c.has(3) {
		frame = int(c.scalar(3))
	}
	if c.err != nil {
		return 0, 0, 0, nil
	}
	length, ok := s[1].Const()
	if !ok || step < 1 || frame < 1 || frame > length {
		c.failf("frames of %d, %d apart, of %v", frame, step, s)
		return 0, 0, 0, nil
	}
	frames = (length-frame)/step + 1
	if frames > maxTable/frame {
		c.failf("%d frames of %d", frames, frame)
	}
	return frames, frame, step, window
}

// stft is the Fourier transform of windows of a signal [batch, length, 1 or 2], a
// step apart.
func stft(c *call) *lazy.Tensor {
	x := c.t(0)
	if c.err != nil {
		return nil
	}
	if len(x.Shape()) == 2 {
		x = column(x)
	}
	s := x.Shape()
	if len(s) != 3 {
		c.failf("%w: a signal of %v", ErrMalformed, s)
		return nil
	}
	parts, ok := s[2].Const()
	oneSided := c.attrBool("onesided", true)
	if !ok || parts < 1 || parts > 2 || oneSided && parts == 2 {
		c.failf("the transform of %v, one side: %t", s, oneSided)
		return nil
	}
	frames, frame, step, window := c.stftParams(s)
	if c.err != nil {
		return nil
	}
	// Position k of frame i is i*step+k of the signal.
	first := reshapeTo(c.im.g.Range(plan.I64, 0, step, frames), plan.Shape{plan.C(frames), plan.C(1)})
	framed := lazy.Gather(x, lazy.Add(first, c.im.g.Range(plan.I64, 0, 1, frame)), 1) // [batch, frames, frame, parts]
	re, im := partsOf(framed, parts)
	if window != nil {
		re = lazy.Mul(re, window)
		if im != nil {
			im = lazy.Mul(im, window)
		}
	}
	out := frame
	if oneSided {
		out = frame/2 + 1
	}
	re, im = c.transform(re, im, frame, frame, out, false)
	if c.err != nil {
		return nil
	}
	return lazy.Concat(3, column(re), column(im))
}

// melWeights is MelWeightMatrix: triangles over the bins of a spectrum, of known
// parameters.
func melWeights(c *call) *lazy.Tensor {
	bins, length, rate := int(c.scalar(0)), int(c.scalar(1)), c.scalar(2)
	lo, hi := c.scalar(3), c.scalar(4)
	if c.err != nil {
		return nil
	}
	spectrum := length/2 + 1
	if bins < 1 || length < 1 || bins > maxTable || spectrum > maxTable/bins || rate <= 0 {
		c.failf("%w: %d bins of %d", ErrMalformed, bins, length)
		return nil
	}
	mel := func(hz float64) float64 { return 2595 * math.Log10(1+hz/700) }
	edges := make([]int, bins+2)
	for i := range edges {
		m := float64(i)*(mel(hi)-mel(lo))/float64(bins+2) + mel(lo)
		hz := 700 * (math.Pow(10, m/2595) - 1)
		edges[i] = int(math.Floor(float64(length+1) * hz / rate))
	}
	w := make([]float64, spectrum*bins)
	for b := range bins {
		left, centre, right := edges[b], edges[b+1], edges[b+2]
		set := func(j int, v float64) {
			if j >= 0 && j < spectrum {
				w[j*bins+b] = v
			}
		}
		if centre == left {
			set(centre, 1)
		}
		for j := max(left, 0); centre != left && j < min(centre+1, spectrum); j++ {
			set(j, float64(j-left)/float64(centre-left))
		}
		for j := max(centre, 0); right != centre && j < min(right, spectrum); j++ {
			set(j, float64(right-j)/float64(right-centre))
		}
	}
	return c.table(func(i int) float64 { return w[i] }, spectrum, bins)
}
