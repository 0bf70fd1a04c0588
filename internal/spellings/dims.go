package spellings

import "github.com/genie-sdk/go/transport/plan"

// shape is a list of dimensions.
func (b *builder) shape(ns []node) (plan.Shape, error) {
	out := make(plan.Shape, len(ns))
	for i, n := range ns {
		d, err := b.dim(n)
		if err != nil {
			return nil, err
		}
		out[i] = d
	}
	return out, nil
}

// dim is an expression over sizes: whole numbers, the concept's dimensions,
// sums, products, whole quotients, and dim(x, axis).
func (b *builder) dim(n node) (plan.Dim, error) {
	switch {
	case n.kind == number && n.num == float64(int(n.num)):
		return plan.C(int(n.num)), nil
	case n.kind == name:
		if d, ok := b.dims[n.name]; ok {
			return d, nil
		}
		if v, ok := b.numbers[n.name]; ok && v == float64(int(v)) {
			return plan.C(int(v)), nil
		}
		return plan.Sym(n.name), nil
	case n.kind == call && n.name == "dim" && len(n.args) == 2:
		t, err := b.tensor(n.args[0])
		if err != nil {
			return plan.Dim{}, err
		}
		axis, err := b.axis(n.args[1], len(t.Shape()))
		if err != nil {
			return plan.Dim{}, err
		}
		return t.Dim(axis), nil
	case n.kind == infix:
		return b.dimArith(n)
	}
	return plan.Dim{}, n.at.errorf("this is not a size")
}

func (b *builder) dimArith(n node) (plan.Dim, error) {
	in, err := b.shape(n.args)
	if err != nil {
		return plan.Dim{}, err
	}
	var d plan.Dim
	ok := true
	switch {
	case len(in) == 1:
		d = plan.C(0).Sub(in[0])
	case n.name == "+":
		d = in[0].Add(in[1])
	case n.name == "-":
		d = in[0].Sub(in[1])
	case n.name == "*":
		d = in[0].Mul(in[1])
	case n.name == "/":
		d, ok = in[0].Div(in[1])
	default:
		ok = false
	}
	if !ok || d.Err() != nil {
		return plan.Dim{}, n.at.errorf("%v %s %v is not a size", in[0], n.name, in[len(in)-1])
	}
	return d, nil
}

// whole is a constant whole number.
func (b *builder) whole(n node) (int, error) {
	d, err := b.dim(n)
	if err != nil {
		return 0, err
	}
	v, ok := d.Const()
	if !ok {
		return 0, n.at.errorf("%v is not constant", d)
	}
	return v, nil
}

// axis counts from the last one if it is negative.
func (b *builder) axis(n node, rank int) (int, error) {
	v, err := b.whole(n)
	if err != nil {
		return 0, err
	}
	if v < 0 {
		v += rank
	}
	if v < 0 || v >= rank {
		return 0, n.at.errorf("axis %d of rank %d", v, rank)
	}
	return v, nil
}

// axes is one axis or a list.
func (b *builder) axes(n node, rank int) ([]int, error) {
	ns := []node{n}
	if n.kind == list {
		ns = n.args
	}
	out := make([]int, len(ns))
	for i, n := range ns {
		var err error
		if out[i], err = b.axis(n, rank); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func constants(s plan.Shape, at pos) ([]int, error) {
	out := make([]int, len(s))
	for i, d := range s {
		var ok bool
		if out[i], ok = d.Const(); !ok {
			return nil, at.errorf("%v is not constant", d)
		}
	}
	return out, nil
}
