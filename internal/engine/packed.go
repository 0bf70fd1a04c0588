package engine

import (
	"github.com/genie-sdk/go/internal/kernels"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// packing is the form in which a weight is held: the only copy, which all its
// readers read.
type packing uint8

const (
	dense   packing = iota // f32 or index elements, row-major
	panels                 // a matrix [k, n] in the panels of kernels.GemmPacked
	columns                // a matrix [n, k] whose transpose is in such panels
)

// weight is content in the form that kernels read, off the Go heap.
type weight struct {
	data []byte
	form packing
	k, n int // of the matrix in panels
}

// packings chooses the form of each weight. A matrix that matrix products read
// on their right side, and otherwise at most embeddings, is held in panels: as
// it is, or transposed where all products transpose it.
func (p *Program) packings() {
	wants := map[int]packing{}
	want := func(v int, form packing) {
		if p.plan.Values[p.res.Base[v]].Kind != plan.KindWeight {
			return
		}
		had, seen := wants[p.res.Base[v]]
		switch {
		case form == anyForm && p.res.Base[v] == v && seen:
		case p.res.Base[v] != v, seen && had != form && had != anyForm:
			wants[p.res.Base[v]] = dense
		default:
			wants[v] = form
		}
	}
	for i, s := range p.plan.Steps {
		for j, v := range s.In {
			form := dense
			switch o := p.res.Ops[i].(type) {
			case op.MatMul:
				if j == 1 && !o.TransA && len(p.plan.Values[v].Spec.Shape) == 2 {
					form = panels
					if o.TransB {
						form = columns
					}
				}
			case op.Embedding:
				if j == 0 {
					form = anyForm
				}
			}
			want(v, form)
		}
	}
	for _, o := range p.plan.Outputs {
		want(o.Value, dense)
	}
	for v := range p.plan.Values {
		if p.plan.Values[v].Kind != plan.KindWeight {
			continue
		}
		p.layout[v] = dense
		if form := wants[v]; form != anyForm {
			p.layout[v] = form
		}
	}
}

// anyForm is the wish of a reader that can do with every form.
const anyForm packing = 0xff

// matrix is the [k, n] of a weight of this shape in form l.
func (l packing) matrix(shape []int) (k, n int) {
	switch l {
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
