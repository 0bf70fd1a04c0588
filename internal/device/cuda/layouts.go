package cuda

import (
	"slices"

	"github.com/genie-sdk/go/internal/device"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/internal/program"
	"github.com/genie-sdk/go/transport/plan"
)

// newWeights chooses the layout of each weight of a program. A matrix that
// matrix products read on their right side, and otherwise at most embeddings,
// is packed for products: as it is, or transposed where all products transpose
// it.
func newWeights(d *Device, p *program.Program) weights {
	w := weights{d: d, prog: p, layouts: map[int]layout{}}
	w.take(wanted(p))
	return w
}

// wanted is the layouts that the readers of weights request, by value.
func wanted(p *program.Program) map[int]layoutKind {
	wants := map[int]layoutKind{}
	want := func(v int, k layoutKind) {
		base := p.Res.Base[v]
		had, seen := wants[base]
		switch {
		case p.Plan().Values[base].Kind != plan.KindWeight:
		case base != v, seen && had != k && had != anyLayout && k != anyLayout:
			wants[base] = dense
		case !seen || had == anyLayout:
			wants[v] = k
		}
	}
	for i := range p.Groups {
		g := &p.Groups[i]
		for _, step := range g.Steps {
			for j, v := range p.Plan().Steps[step].In {
				k := dense
				switch o := p.Res.Ops[step].(type) {
				case op.MatMul:
					if g.Kind == program.Linear && j == 1 && !o.TransB {
						k = panels
					} else if g.Kind == program.Linear && j == 1 {
						k = columns
					}
				case op.Embedding:
					if j == 0 {
						k = anyLayout
					}
				}
				want(v, k)
			}
		}
	}
	for _, o := range p.Plan().Outputs {
		want(o.Value, dense)
	}
	return wants
}

// maxLayouts bounds the layouts of one content in a program: beyond it, readers
// take the content as it is. Each layout is a copy, and is searched for among
// the others.
const maxLayouts = 16

// take gives weights the layouts that their readers request.
func (w *weights) take(wants map[int]layoutKind) {
	had := map[plan.Hash][]layout{}
	for v := range w.prog.Plan().Values {
		x := &w.prog.Plan().Values[v]
		if x.Kind != plan.KindWeight {
			continue
		}
		l := layout{kind: wants[v], spec: device.SpecOf(x)}
		if l.kind == anyLayout || l.spec.Rank != 2 || l.spec.DType != plan.F32 {
			l.kind = dense
		}
		if l.kind != dense && !slices.Contains(had[x.Hash], l) {
			if len(had[x.Hash]) == maxLayouts {
				l.kind = dense
			} else {
				had[x.Hash] = append(had[x.Hash], l)
			}
		}
		w.layouts[v] = l
	}
}

// Layouts implements [device.Code].
func (w *weights) Layouts() map[int]device.WeightLayout {
	out := make(map[int]device.WeightLayout, len(w.layouts))
	for v, l := range w.layouts {
		out[v] = l
	}
	return out
}

// matrix is the [k, n] of a packed weight.
func (l *layout) matrix() (k, n int) {
	if l.kind == columns {
		return l.spec.Dims[1], l.spec.Dims[0]
	}
	return l.spec.Dims[0], l.spec.Dims[1]
}

// packed reports whether the weight is packed for products.
func (l *layout) packed() bool { return l.kind == panels || l.kind == columns }
