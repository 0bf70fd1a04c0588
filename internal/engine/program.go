package engine

import (
	"fmt"

	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// Program is a compiled plan: operators made, layouts resolved, dimensions
// turned into code over the numbers of symbols. It is immutable and shared by
// sessions.
type Program struct {
	plan    *plan.Plan
	hash    plan.Hash
	res     *op.Resolved
	symbols []string
	values  []value
	exec    []int           // steps that do something, in order
	kernels []kernel        // by step
	weights []plan.Value    // the plan's weights, in order
	layout  map[int]packing // by weight value
}

// Plan is the plan as it was compiled.
func (p *Program) Plan() *plan.Plan { return p.plan }

// Hash is the content hash of the plan.
func (p *Program) Hash() plan.Hash { return p.hash }

// Symbols lists the symbols in the order of a call's bindings.
func (p *Program) Symbols() []string { return p.symbols }

// value is one value with its dimensions compiled.
type value struct {
	shape, strides []poly
	offset         poly
	mask           uint64 // symbols that the above depend on
}

// poly is a compiled plan.Dim.
type poly struct {
	c     int64
	terms []monomial
}

type monomial struct {
	coeff int64
	syms  []uint8
}

const maxSymbols = 64

func compile(p *plan.Plan) (*Program, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	res, err := op.Resolve(p)
	if err != nil {
		return nil, err
	}
	if err := res.CheckBuffers(); err != nil {
		return nil, err
	}
	prog := &Program{plan: p, res: res, symbols: p.Symbols(), layout: map[int]packing{}}
	all := append([]string(nil), prog.symbols...)
	for i := range p.States {
		all = append(all, op.CapSymbol(i))
	}
	// The capacities share one bit of the mask.
	if len(prog.symbols) > maxSymbols-1 || len(all) > 255 {
		return nil, fmt.Errorf("%w: %d symbols and %d states", plan.ErrInvalid, len(prog.symbols), len(p.States))
	}
	index := make(map[string]uint8, len(all))
	for i, s := range all {
		index[s] = uint8(i)
	}
	prog.values = make([]value, len(p.Values))
	for v := range p.Values {
		l := res.Layouts[v]
		x := &prog.values[v]
		x.shape = make([]poly, len(l.Strides))
		x.strides = make([]poly, len(l.Strides))
		for i := range l.Strides {
			x.shape[i] = prog.poly(p.Values[v].Spec.Shape[i], index, &x.mask)
			x.strides[i] = prog.poly(l.Strides[i], index, &x.mask)
		}
		x.offset = prog.poly(l.Offset, index, &x.mask)
	}
	prog.packings()
	prog.kernels = make([]kernel, len(p.Steps))
	for i := range p.Steps {
		if !res.View[i] {
			prog.exec = append(prog.exec, i)
			prog.kernels[i] = kernelFor(res.Ops[i])
		}
	}
	return prog, nil
}

func (p *Program) poly(d plan.Dim, index map[string]uint8, mask *uint64) poly {
	var r poly
	d.Terms(func(coeff int64, syms []string) {
		if len(syms) == 0 {
			r.c = coeff
			return
		}
		m := monomial{coeff: coeff}
		for _, s := range syms {
			i := index[s]
			m.syms = append(m.syms, i)
			*mask |= 1 << min(int(i), len(p.symbols))
		}
		r.terms = append(r.terms, m)
	})
	return r
}

// eval is the value of d; false when it is negative or too large.
func (d *poly) eval(sizes []int64) (int, bool) {
	sum := d.c
	for i := range d.terms {
		t := &d.terms[i]
		v := t.coeff
		for _, s := range t.syms {
			var ok bool
			if v, ok = plan.MulChecked(v, sizes[s]); !ok {
				return 0, false
			}
		}
		if sum += v; sum > plan.MaxDimSize || sum < -plan.MaxDimSize {
			return 0, false
		}
	}
	return int(sum), sum >= 0 && sum <= plan.MaxDimSize
}
