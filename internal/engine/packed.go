package engine

import (
	"container/list"
	"encoding/binary"
	"math"
	"slices"

	"github.com/genie-sdk/go/internal/budget"
	"github.com/genie-sdk/go/internal/halt"
	"github.com/genie-sdk/go/internal/kernels"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/internal/program"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// packing is the form in which a weight is held: the only copy, which all its
// readers read.
type packing struct {
	form form
	// conv is the geometry of a convolution as far as it decides how filters
	// are held, and fold the batch normalisation that they have taken up.
	conv      op.Conv2D
	algorithm kernels.ConvAlgorithm
	fold      plan.Hash
	// spec is what the plan says that the content is. A hash is one of type and
	// shape, too: a plan that says otherwise of content that is here does not get
	// it, and nobody can bring what it asks for.
	spec weightSpec
}

// weightSpec is the type and the shape of a weight.
type weightSpec struct {
	dtype, storage plan.DType
	rank           int
	dims           [plan.MaxRank]int
}

func specOf(v *plan.Value) weightSpec {
	s := weightSpec{dtype: v.Spec.DType, storage: v.Storage, rank: len(v.Spec.Shape)}
	for i, d := range v.Spec.Shape {
		s.dims[i], _ = d.Const() // all are, in a plan that has passed its checks
	}
	return s
}

type form uint8

const (
	dense   form = iota // f32 or index elements, row-major
	panels              // a matrix [k, n] in the panels of kernels.GemmPacked
	columns             // a matrix [n, k] whose transpose is in such panels
	filters             // filters as kernels.PackConvFilters leaves them
	anyForm             // the wish of a reader that can do with all of the above
)

// weight is content in the form that kernels read, off the Go heap.
type weight struct {
	data   []byte
	form   form
	elem   element
	shape  []int
	k, n   int       // of the matrix in panels
	scales []float32 // of its columns, elements of 8 bits

	packing chan struct{} // held by a token: filters are packed when they are first used, see [store.pack]
	packed  bool
	bias    []float32 // filters: what is added after them

	tag *transport.PossessionTag // nil where nobody asks for it

	idle *list.Element // under the store's lock: in the list of weights that nobody uses
}

// kind is what the weight's memory counts as.
func (w *weight) kind() budget.Kind {
	if w.form == panels || w.form == columns || w.packed {
		return budget.Packed
	}
	return budget.Weights
}

// packings chooses the form of each weight. A matrix that matrix products read
// on their right side, and otherwise at most embeddings, is held in panels: as
// it is, or transposed where all products transpose it.
func (p *Program) packings() {
	wants := map[int]packing{}
	want := func(v int, l packing) {
		base := p.Res.Base[v]
		had, seen := wants[base]
		switch {
		case p.Plan().Values[base].Kind != plan.KindWeight:
		case base != v, seen && had != l && had.form != anyForm && l.form != anyForm:
			wants[base] = packing{}
		case !seen || had.form == anyForm:
			wants[v] = l
		}
	}
	for i := range p.Groups {
		g := &p.Groups[i]
		for k, step := range g.Steps {
			for j, v := range p.Plan().Steps[step].In {
				l := packing{}
				switch o := p.Res.Ops[step].(type) {
				case op.MatMul:
					if g.Kind == program.Linear && j == 1 && !o.TransB {
						l.form = panels
					} else if g.Kind == program.Linear && j == 1 {
						l.form = columns
					}
				case op.Conv2D:
					if g.Kind == program.Convolve && k == 0 && j == 1 {
						l = p.filters(g)
					}
				case op.Embedding:
					if j == 0 {
						l.form = anyForm
					}
				}
				want(v, l)
			}
		}
	}
	for _, o := range p.Plan().Outputs {
		want(o.Value, packing{})
	}
	p.takeForms(wants)
}

// takeForms gives weights the forms that their readers want.
func (p *Program) takeForms(wants map[int]packing) {
	forms := map[plan.Hash][]packing{}
	for v := range p.Plan().Values {
		if p.Plan().Values[v].Kind != plan.KindWeight {
			continue
		}
		h, l := p.Plan().Values[v].Hash, wants[v]
		l.spec = specOf(&p.Plan().Values[v])
		asIs := packing{spec: l.spec}
		p.layout[v] = asIs
		if l.form == anyForm || l == asIs {
			continue
		}
		if !slices.Contains(forms[h], l) {
			if len(forms[h]) == maxForms {
				continue
			}
			forms[h] = append(forms[h], l)
		}
		p.layout[v] = l
	}
}

// maxForms bounds the forms in which a program has one content: beyond it,
// readers take the content as it is. Each form is a copy, and is looked for
// among the others.
const maxForms = 16

// filters is how the filters of a convolution are held.
func (p *Program) filters(g *program.Group) packing {
	if !g.Conv.PackedOnce(p.Plan()) {
		return packing{}
	}
	l := packing{form: filters, conv: g.Conv.Geometry}
	shape, err := p.Plan().Values[g.Conv.Filters].Spec.Shape.Eval(nil)
	if err != nil {
		return packing{} // no weight of a plan that has passed its checks
	}
	l.algorithm = filterShape(&g.Conv, shape).Algorithm()
	l.conv.Pad = [2]int{}
	var all []byte
	for _, v := range g.Conv.Folded(p.Plan()) {
		all = append(all, p.Plan().Values[v].Hash[:]...)
	}
	if n := g.Conv.Norm; n >= 0 {
		all = binary.LittleEndian.AppendUint64(all, math.Float64bits(p.Res.Ops[n].(op.BatchNorm).Eps))
	}
	if len(all) > 0 {
		l.fold = plan.HashEncoded(all)
	}
	return l
}

// matrix is the [k, n] of a weight of this shape in form f.
func (f form) matrix(shape []int) (k, n int) {
	switch f {
	case panels:
		return shape[0], shape[1]
	case columns:
		return shape[1], shape[0]
	case dense, filters, anyForm:
	}
	return 0, 0
}

// element is the type of the elements in panels. Products widen them and add in
// float32.
type element uint8

const (
	elemF32 element = iota
	elemF16
	elemBF16
	elemI8 // with a scale for each column
)

func (e element) size() int { return [...]int{elemF32: 4, elemF16: 2, elemBF16: 2, elemI8: 1}[e] }

// int8From is the number of elements from which a matrix is worth rounding to 8
// bits.
const int8From = 1 << 12

// element is the type in which a weight's panels are held: that of the
// checkpoint unless the engine rounds to 8 bits.
func (o Options) element(v *plan.Value, k, n int) element {
	switch {
	case o.Int8Weights && k*n >= int8From:
		return elemI8
	case v.Storage == plan.F16:
		return elemF16
	case v.Storage == plan.BF16:
		return elemBF16
	}
	return elemF32
}

// f32 is the content as float32.
func (w *weight) f32() []float32 { return (&op.Array{Data: w.data}).F32() }

func (w *weight) u16() []uint16 { return (&op.Array{Data: w.data}).U16() }
func (w *weight) i8() []int8    { return (&op.Array{Data: w.data}).I8() }

// product computes panels p0 to p1 of C [m, n] = A [m, k] x the matrix.
func (w *weight) product(c []float32, ldc int, a []float32, lda, m, n, k, p0, p1 int, h halt.Func) {
	switch w.elem {
	case elemF32:
		kernels.GemmPacked(c, ldc, a, lda, w.f32(), m, n, k, p0, p1, h)
	case elemF16:
		kernels.GemmPackedF16(c, ldc, a, lda, w.u16(), m, n, k, p0, p1, h)
	case elemBF16:
		kernels.GemmPackedBF16(c, ldc, a, lda, w.u16(), m, n, k, p0, p1, h)
	case elemI8:
		kernels.GemmPackedI8(c, ldc, a, lda, w.i8(), w.scales, m, n, k, p0, p1, h)
	}
}

// row writes row r of the content to dst, unless h stops it.
func (w *weight) row(dst []float32, r int, h halt.Func) {
	transposed := w.form == columns
	switch {
	case w.elem == elemF32 && transposed:
		kernels.GatherColumnF32(dst, w.f32(), r, w.k, w.n, h)
	case w.elem == elemF32:
		kernels.GatherPackedF32(dst, w.f32(), r, w.k, w.n, h)
	case w.elem == elemF16 && transposed:
		kernels.GatherColumnF16(dst, w.u16(), r, w.k, w.n, h)
	case w.elem == elemF16:
		kernels.GatherPackedF16(dst, w.u16(), r, w.k, w.n, h)
	case w.elem == elemBF16 && transposed:
		kernels.GatherColumnBF16(dst, w.u16(), r, w.k, w.n, h)
	case w.elem == elemBF16:
		kernels.GatherPackedBF16(dst, w.u16(), r, w.k, w.n, h)
	case transposed:
		kernels.GatherColumnI8(dst, w.i8(), w.scales, r, w.k, w.n, h)
	default:
		kernels.GatherPackedI8(dst, w.i8(), w.scales, r, w.k, w.n, h)
	}
}
