package cpu

import (
	"context"
	"slices"

	"github.com/genie-sdk/go/internal/budget"
	"github.com/genie-sdk/go/internal/device"
	"github.com/genie-sdk/go/internal/halt"
	"github.com/genie-sdk/go/internal/kernels"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/internal/program"
	"github.com/genie-sdk/go/transport/plan"
)

// convShape is the geometry for filters of this shape over images [n, c, h, w].
func convShape(o op.Conv2D, filters, image []int) kernels.ConvShape {
	return kernels.ConvShape{
		N: image[0], C: image[1], H: image[2], W: image[3],
		OutC: filters[0], KH: filters[2], KW: filters[3],
		StrideH: o.Stride[0], StrideW: o.Stride[1], PadH: o.Pad[0], PadW: o.Pad[1],
		DilH: o.Dilation[0], DilW: o.Dilation[1], Groups: o.Groups,
	}
}

// hasConvolution reports whether there are kernels for a convolution with
// filters of this shape, for any number of images.
func hasConvolution(c *program.Convolution, filters []int) bool {
	channels, ok := plan.MulChecked(int64(filters[1]), int64(c.Geometry.Groups))
	return ok && channels > 0 && filterShape(c, filters).Valid()
}

// findFilters packs the filters of convolutions at first use, together with the
// parameters folded into them.
func (r *run) findFilters(ctx context.Context) error {
	p := r.prog
	for i := range p.Groups {
		g := &p.Groups[i]
		if g.Kind != program.Convolve || r.code.layout[g.Conv.Filters].kind != filters {
			continue
		}
		w := r.weights[g.Conv.Filters]
		r.steps[i].packed = w
		fold := newFolding(p, g, func(v int) []float32 { return r.weights[v].f32() })
		if err := r.d.pack(ctx, w, &g.Conv, fold); err != nil {
			return err
		}
	}
	return nil
}

// folding is the parameters folded into filters: an optional bias, and the
// optional parameters of a batch normalisation.
type folding struct {
	bias []float32
	norm [4][]float32 // gamma, beta, mean, variance; nil for none
	eps  float64
}

func newFolding(p *program.Program, g *program.Group, value func(v int) []float32) (f folding) {
	if v := g.Conv.Bias; v >= 0 {
		f.bias = value(v)
	}
	if n := g.Conv.Norm; n >= 0 {
		f.eps = p.Res.Ops[n].(op.BatchNorm).Eps
		for i, v := range p.Plan().Steps[n].In[1:] {
			f.norm[i] = value(v)
		}
	}
	return f
}

// fold returns the factors of the filters and the resulting bias, nil for none.
func (f folding) fold(out int, h halt.Func) (scales []float64, bias []float32) {
	if f.bias == nil && f.norm[0] == nil {
		return nil, nil
	}
	bias = make([]float32, out)
	copy(bias, f.bias)
	if f.norm[0] != nil {
		scales = make([]float64, out)
		kernels.FoldBatchNorm(scales, bias, f.norm[0][:out], f.norm[1][:out], f.norm[2][:out], f.norm[3][:out], f.eps, h)
	}
	return scales, bias
}

// filterShape is the geometry by which filters are packed, for any number of
// images, and for images of any size where that is not known.
func filterShape(c *program.Convolution, filters []int) kernels.ConvShape {
	image, unknown := c.Image, false
	for d, n := range image {
		if n == 0 { // the smallest one that the filters fit
			image[d], unknown = max(1, c.Geometry.Dilation[d]*(filters[2+d]-1)+1-2*c.Geometry.Pad[d]), true
		}
	}
	s := convShape(c.Geometry, filters, []int{1, filters[1] * c.Geometry.Groups, image[0], image[1]})
	s.AnySize = unknown
	return s
}

// pack replaces stored filters by packed ones, unless they are packed already.
// When there is no room, or ctx ends, they stay unchanged.
func (d *Device) pack(ctx context.Context, w *weight, c *program.Convolution, f folding) error {
	select {
	case w.packing <- struct{}{}:
		defer func() { <-w.packing }()
	case <-ctx.Done():
		return device.Stopped(ctx)
	}
	if w.packed {
		return nil
	}
	shape := filterShape(c, w.shape)
	n := 4 * shape.PackedLen()
	if err := d.opts.Budget.Reserve(budget.Packed, int64(n), "packed filters"); err != nil {
		return err
	}
	packed, err := d.weights.Alloc(n)
	if err != nil {
		d.opts.Budget.Release(budget.Packed, int64(n))
		return noMemory(n, err)
	}
	done := false
	defer func() { // a panic or an interruption keeps nothing
		if !done {
			d.weights.Free(packed)
			d.opts.Budget.Release(budget.Packed, int64(n))
		}
	}()
	d.fault("pack")
	h := device.HaltOn(ctx)
	scales, bias := f.fold(w.shape[0], h)
	kernels.PackConvFilters((&op.Array{Data: packed}).F32(), w.f32(), shape, scales, h)
	if ctx.Err() != nil {
		return device.Stopped(ctx)
	}
	done = true
	d.weights.Free(w.data)
	d.opts.Budget.Release(budget.Weights, int64(len(w.data)))
	w.mu.Lock()
	defer w.mu.Unlock()
	w.data, w.packed, w.bias = packed, true, bias
	return nil
}

// packNow packs filters that are not weights, for one run.
func (s *step) packNow() (*weight, error) {
	c := &s.group.Conv
	value := func(v int) []float32 { return s.arrays[v].F32() }
	from := &s.arrays[c.Filters]
	shape := filterShape(c, from.Shape)
	mem, err := s.work.get(4 * shape.PackedLen())
	if err != nil {
		return nil, err
	}
	s.packedNow = nil
	defer func() {
		if s.packedNow == nil { // a panic keeps nothing
			s.work.put(mem)
		}
	}()
	w := &weight{d: s.work.d, data: mem, layout: filters, shape: from.Shape}
	var scales []float64
	scales, w.bias = newFolding(s.prog, s.group, value).fold(from.Shape[0], s.halt)
	kernels.PackConvFilters(w.f32(), value(c.Filters), shape, scales, s.halt)
	s.packedNow = mem
	return w, nil
}

// grainConv is the minimum work of a chunk, in products.
const grainConv = 1 << 17

// runConv computes a convolution with the fused steps, on an image with
// channels last.
func runConv(s *step) error {
	x := s.in[0]
	if s.out.Len() == 0 {
		return nil
	}
	image := x
	defer func() { s.in[0] = x }() // also for the next run, should a kernel panic
	if s.packed == nil {
		w, err := s.packNow()
		if err != nil {
			return err
		}
		s.packed = w
		defer func() {
			s.work.put(s.packedNow)
			s.packed = nil
		}()
	}
	if x.Len() == 0 {
		s.padding()
		return nil
	}
	if !lastChannels(x) {
		mem, err := s.work.get(4 * x.Len())
		if err != nil {
			return err
		}
		defer s.work.put(mem)
		image = s.turn(x, mem)
	}
	s.conv = convShape(s.group.Conv.Geometry, s.packed.shape, x.Shape)
	s.conv.AnySize = slices.Contains(s.group.Conv.Image[:], 0)
	s.in[0] = image
	units := s.conv.Units()
	per := s.out.Len() / units * s.packed.shape[1] * s.conv.KH * s.conv.KW
	each := max(1, grainConv/max(per, 1), units/(8*s.pool.threads))
	s.pool.run(s.job, s, units, each, convChunk)
	return nil
}

// padding is the convolution of an image without pixels, where there is padding
// for a window: it leaves what is added.
func (s *step) padding() {
	channels := s.packed.shape[0]
	s.pool.run(s.job, s, s.out.Len()/channels, rowsPerChunk(channels), paddingChunk)
}

func paddingChunk(s *step, lo, hi int) {
	channels := s.packed.shape[0]
	for p := lo; p < hi; p++ {
		dst := s.out.F32()[p*channels : (p+1)*channels]
		if clear(dst); s.packed.bias != nil {
			copy(dst, s.packed.bias)
		}
		if s.residual != nil {
			kernels.Add(dst, dst, s.residual.F32()[p*channels:(p+1)*channels])
		}
		if s.group.Conv.ReLU {
			kernels.Relu(dst, dst)
		}
	}
}

func convChunk(s *step, lo, hi int) {
	e := kernels.ConvEpilogue{Bias: s.packed.bias, ReLU: s.group.Conv.ReLU}
	if s.residual != nil {
		e.Residual = s.residual.F32()
	}
	kernels.Conv2D(s.out.F32(), s.in[0].F32(), s.packed.f32(), s.conv, e, lo, hi, s.halt)
}

// turn writes an image to mem with channels last.
func (s *step) turn(x *op.Array, mem []byte) *op.Array {
	n, c, h, w := x.Shape[0], x.Shape[1], x.Shape[2], x.Shape[3]
	s.turned = op.Array{DType: x.DType, Shape: x.Shape, Strides: s.turnedStrides[:], Data: mem}
	s.turnedStrides = [4]int{c * h * w, 1, c * w, c}
	if !x.Contiguous() {
		copyStrided(&s.turned, x, s.halt)
		return &s.turned
	}
	s.pool.run(s.job, s, kernels.LayoutUnits(n, h*w), 1, turnChunk)
	return &s.turned
}

func turnChunk(s *step, lo, hi int) {
	x := s.in[0]
	kernels.ChannelsLast(s.turned.F32(), x.F32(), x.Shape[0], x.Shape[1], x.Shape[2]*x.Shape[3], lo, hi, s.halt)
}
