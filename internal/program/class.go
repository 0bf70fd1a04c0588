package program

import "github.com/genie-sdk/go/transport/plan"

// Class is a compiled list of dimensions.
type Class struct {
	Dims []poly
	Mask uint64     // symbols that they depend on
	Size bool       // it is the shape of some value, so its product must be in range
	Text plan.Shape // for error texts
	Why  string     // for dimensions that are conditions: the failure if one is negative
}

// Place is where a value's memory comes from. It is compact, so that a pass
// over many values touches little memory.
type Place struct {
	Base                   int32 // the value whose memory it uses, itself for a root
	Shape, Strides, Offset int32 // classes
	Buffer, State          int32
	Kind                   plan.Kind
	Size                   uint8 // of an element
}

// poly is a compiled plan.Dim. Its first term of one symbol is inline, since
// most dimensions have no other.
type poly struct {
	c     int64
	coeff int64 // of the symbol sym; 0 for none
	terms []monomial
	sym   uint16
}

type monomial struct {
	coeff int64
	syms  []uint16
}

const maxSymbols = 64

// quotient is a compiled factor floor(of/by) of a term, see [plan.Quotient].
type quotient struct {
	of   poly
	by   int64
	mask uint64
}

// maxQuotients bounds the factors of a plan that each call computes.
const maxQuotients = 1 << 12

// Quotients is the number of factors in dimensions that are no symbols.
func (p *Program) Quotients() int { return len(p.quotients) }

// quotients computes those that depend on changed symbols. One that is too
// large makes every dimension with it too large.
func (b *Bound) quotients(changed uint64) {
	at := len(b.sizes) - len(b.prog.quotients)
	for i := range b.prog.quotients {
		q := &b.prog.quotients[i]
		if b.valid && q.mask&changed == 0 {
			continue
		}
		n, ok := q.of.Eval(b.sizes)
		if b.sizes[at+i] = int64(n) / q.by; !ok {
			b.sizes[at+i] = plan.MaxDimSize + 1
		}
	}
}

// Eval is the value of d; false when it is negative or too large.
func (d *poly) Eval(sizes []int64) (int, bool) {
	sum := d.c
	if d.coeff != 0 {
		v, ok := plan.MulChecked(d.coeff, sizes[d.sym])
		if sum += v; !ok || sum > plan.MaxDimSize || sum < -plan.MaxDimSize {
			return 0, false
		}
	}
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
