package program

import (
	"encoding/binary"
	"math"

	"github.com/genie-sdk/go/transport/plan"
)

// classify finds the distinct shapes, strides and offsets.
func (p *Program) classify() {
	known := map[string]int32{}
	var key []byte
	class := func(dims plan.Shape) int32 {
		key = key[:0]
		for _, d := range dims {
			key = p.appendDim(key, d)
		}
		c, ok := known[string(key)]
		if !ok {
			c = int32(len(p.Classes))
			known[string(key)] = c
			k := Class{Text: dims}
			for _, d := range dims {
				k.Dims = append(k.Dims, p.poly(d, &k.Mask))
			}
			p.Classes = append(p.Classes, k)
		}
		return c
	}
	p.Places = make([]Place, len(p.plan.Values))
	for v, x := range p.plan.Values {
		l := p.Res.Layouts[v]
		p.Places[v] = Place{
			Base: int32(p.Res.Base[v]), State: int32(p.Res.State[v]),
			Shape: class(x.Spec.Shape), Strides: class(l.Strides), Offset: class(plan.Shape{l.Offset}),
			Kind: x.Kind, Size: uint8(x.Spec.DType.Size()),
		}
		p.Classes[p.Places[v].Shape].Size = true
	}
}

// appendDim appends a unique key of a dimension that is shorter than its text.
func (p *Program) appendDim(b []byte, d plan.Dim) []byte {
	b = binary.AppendUvarint(b, uint64(d.NumTerms()))
	d.Terms(func(coeff int64, syms []string) {
		b = append(binary.AppendVarint(b, coeff), byte(len(syms)))
		for _, s := range syms {
			b = binary.AppendUvarint(b, uint64(p.factor(s)))
		}
	})
	return b
}

// mask is the symbols on which a value's place depends.
func (p *Program) mask(v int) uint64 {
	x := &p.Places[v]
	return p.Classes[x.Shape].Mask | p.Classes[x.Strides].Mask | p.Classes[x.Offset].Mask
}

// dependencies fills the lists of what each symbol changes.
func (p *Program) dependencies() {
	p.RootsOf = make([][]int, len(p.symbols)+1)
	p.ViewsOf = make([][]int, len(p.symbols)+1)
	for _, views := range []bool{false, true} {
		for v := range p.Places {
			base := int(p.Places[v].Base)
			if (base != v) != views || !p.stored(v) {
				continue
			}
			p.Order = append(p.Order, v)
			if views {
				p.Views = append(p.Views, v)
				p.note(p.ViewsOf, p.mask(v)|p.mask(base), v)
			}
			if p.Places[base].Kind == plan.KindInput {
				p.OfInput = append(p.OfInput, v)
			}
			if p.Places[base].State >= 0 {
				p.OfState = append(p.OfState, v)
			}
			if p.Res.InScratch(v) {
				p.Roots = append(p.Roots, v)
				p.note(p.RootsOf, p.mask(v), v)
			}
		}
	}
}

// note adds v to the list of every symbol in mask.
func (p *Program) note(lists [][]int, mask uint64, v int) {
	for i := range lists {
		if mask>>i&1 != 0 {
			lists[i] = append(lists[i], v)
		}
	}
}

// factor is the index of the size of a factor of a term. A plan with more
// quotients than an index can count is refused.
func (p *Program) factor(s string) uint16 {
	i, ok := p.factors[s]
	if ok {
		return i
	}
	of, by, _ := plan.Quotient(s) // symbols have been listed
	q := quotient{by: int64(by)}
	q.of = p.poly(of, &q.mask)
	i = uint16(min(len(p.symbols)+len(p.plan.States)+len(p.quotients), math.MaxUint16))
	p.factors[s], p.quotients = i, append(p.quotients, q)
	return i
}

// factorMask is the symbols on which the factor at an index depends.
func (p *Program) factorMask(i int) uint64 {
	if q := i - len(p.symbols) - len(p.plan.States); q >= 0 && q < len(p.quotients) {
		return p.quotients[q].mask
	}
	return 1 << min(i, len(p.symbols))
}

func (p *Program) poly(d plan.Dim, mask *uint64) poly {
	var r poly
	d.Terms(func(coeff int64, syms []string) {
		if len(syms) == 0 {
			r.c = coeff
			return
		}
		m := monomial{coeff: coeff}
		for _, s := range syms {
			i := p.factor(s)
			m.syms = append(m.syms, i)
			*mask |= p.factorMask(int(i))
		}
		if len(m.syms) == 1 && r.coeff == 0 {
			r.coeff, r.sym = coeff, m.syms[0]
			return
		}
		r.terms = append(r.terms, m)
	})
	return r
}
