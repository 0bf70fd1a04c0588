package engine

import (
	"encoding/binary"
	"math"
	"sync"

	"github.com/genie-sdk/go/internal/kernels"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// packing is the form in which a weight is held: the only copy, which all its
// readers read.
type packing struct {
	form form
	// conv is the geometry of a convolution as far as it decides how filters
	// are held, and fold the batch normalisation that they have taken up.
	conv op.Conv2D
	fold plan.Hash
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
	data  []byte
	form  form
	shape []int
	k, n  int // of the matrix in panels

	once sync.Once // filters are packed when they are first used, see [store.filters]
	err  error
	bias []float32 // filters: what is added after them
}

// packings chooses the form of each weight. A matrix that matrix products read
// on their right side, and otherwise at most embeddings, is held in panels: as
// it is, or transposed where all products transpose it.
func (p *Program) packings() {
	wants := map[int]packing{}
	want := func(v int, l packing) {
		base := p.res.Base[v]
		had, seen := wants[base]
		switch {
		case p.plan.Values[base].Kind != plan.KindWeight:
		case base != v, seen && had != l && had.form != anyForm && l.form != anyForm:
			wants[base] = packing{}
		case !seen || had.form == anyForm:
			wants[v] = l
		}
	}
	for i := range p.groups {
		g := &p.groups[i]
		for k, step := range g.steps {
			for j, v := range p.plan.Steps[step].In {
				l := packing{}
				switch o := p.res.Ops[step].(type) {
				case op.MatMul:
					if g.kind == linear && j == 1 && !o.TransB {
						l.form = panels
					} else if g.kind == linear && j == 1 {
						l.form = columns
					}
				case op.Conv2D:
					if g.kind == convolve && k == 0 && j == 1 {
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
	for _, o := range p.plan.Outputs {
		want(o.Value, packing{})
	}
	for v := range p.plan.Values {
		if p.plan.Values[v].Kind != plan.KindWeight {
			continue
		}
		p.layout[v] = packing{}
		if l := wants[v]; l.form != anyForm {
			p.layout[v] = l
		}
	}
}

// filters is how the filters of a convolution are held.
func (p *Program) filters(g *group) packing {
	l := packing{form: filters, conv: g.conv.geometry}
	l.conv.Pad = [2]int{}
	var parts []plan.Hash
	if g.conv.bias >= 0 {
		parts = append(parts, p.plan.Values[g.conv.bias].Hash)
	}
	if n := g.conv.norm; n >= 0 {
		eps := math.Float64bits(p.res.Ops[n].(op.BatchNorm).Eps)
		parts = append(parts, plan.Hash(binary.LittleEndian.AppendUint64(make([]byte, 24), eps)))
		for _, v := range p.plan.Steps[n].In[1:] {
			parts = append(parts, p.plan.Values[v].Hash)
		}
	}
	if parts != nil {
		var all []byte
		for _, h := range parts {
			all = append(all, h[:]...)
		}
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
	}
	return 0, 0
}

// f32 is the content as float32.
func (w *weight) f32() []float32 { return (&op.Array{Data: w.data}).F32() }

// product computes panels p0 to p1 of C [m, n] = A [m, k] x the matrix.
func (w *weight) product(c []float32, ldc int, a []float32, lda, m, n, k, p0, p1 int) {
	kernels.GemmPacked(c, ldc, a, lda, w.f32(), m, n, k, p0, p1)
}

// row writes row r of the content to dst.
func (w *weight) row(dst []float32, r int) {
	const width = kernels.PanelWidth
	f := w.f32()
	if w.form == columns {
		from := f[r/width*w.k*width+r%width:]
		for i := range dst {
			dst[i] = from[i*width]
		}
		return
	}
	for c := 0; c < w.n; c += width {
		copy(dst[c:min(c+width, w.n)], f[(c/width*w.k+r)*width:])
	}
}
