package spellings

import (
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport/plan"
)

// results are the values of an expression: several for split.
func (b *builder) results(n node) ([]*lazy.Tensor, error) {
	if n.kind == call && n.name == "split" {
		return b.split(n)
	}
	t, err := b.tensor(n)
	if err != nil {
		return nil, err
	}
	return []*lazy.Tensor{t}, nil
}

// tensor is the value of an expression as a tensor. Numbers are constants of
// rank 0; arithmetic over numbers alone is one number.
func (b *builder) tensor(n node) (*lazy.Tensor, error) {
	if v, err := formula(n, b.numbersAlone(n)); err == nil {
		return b.check(b.g.Const([]float32{float32(v)}), n.at)
	}
	switch n.kind {
	case name:
		return b.lookUp(n.name, n.at)
	case list:
		v := make([]float32, len(n.args))
		for i, a := range n.args {
			x, err := formula(a, b.numbers)
			if err != nil {
				return nil, err
			}
			v[i] = float32(x)
		}
		return b.check(b.g.Const(v, len(v)), n.at)
	case infix:
		return b.apply(node{kind: call, name: infixOps[function{n.name, len(n.args)}], args: n.args, at: n.at})
	case call:
		if f := shorthand(n.name); f != nil {
			t, err := f(b, n)
			if err != nil {
				return nil, err
			}
			return b.check(t, n.at)
		}
		return b.apply(n)
	default:
		return nil, n.at.errorf("this is not a tensor")
	}
}

// numbersAlone are the numbers that a formula may use, none where n is a call:
// exp(2) is an operator, not a number.
func (b *builder) numbersAlone(n node) map[string]float64 {
	if n.kind == call || hasCall(n) || n.kind == name && b.values[n.name] != nil {
		return nil
	}
	return b.numbers
}

func hasCall(n node) bool {
	if n.kind == call {
		return true
	}
	for _, a := range n.args {
		if hasCall(a) {
			return true
		}
	}
	return false
}

// infixOps are the operators that signs stand for.
var infixOps = map[function]string{
	{"+", 2}: "add", {"-", 2}: "sub", {"*", 2}: "mul", {"/", 2}: "div", {"^", 2}: "pow", {"-", 1}: "neg",
	{"<", 2}: "less", {"<=", 2}: "less_equal", {">", 2}: "greater", {">=", 2}: "greater_equal", {"==", 2}: "equal",
}

func (b *builder) check(t *lazy.Tensor, at pos) (*lazy.Tensor, error) {
	if t.Err() != nil {
		return nil, at.errorf("%w", t.Err())
	}
	return t, nil
}

func (b *builder) tensors(ns []node) ([]*lazy.Tensor, error) {
	out := make([]*lazy.Tensor, len(ns))
	for i, n := range ns {
		var err error
		if out[i], err = b.tensor(n); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// apply is an operator of the table, with its inputs and attributes.
func (b *builder) apply(n node) (*lazy.Tensor, error) {
	in, err := b.tensors(n.args)
	if err != nil {
		return nil, err
	}
	o, err := b.operator(n)
	if err != nil {
		return nil, err
	}
	if r, ok := o.(op.Range); ok {
		return b.check(b.g.Range(r.DType, r.Start, r.Step, r.Length), n.at)
	}
	return b.check(lazy.Apply(o, in...), n.at)
}

// one is the only argument of a shorthand.
func (b *builder) one(n node) (*lazy.Tensor, error) {
	if len(n.args) != 1 {
		return nil, n.at.errorf("%s of %d values, want one", n.name, len(n.args))
	}
	return b.tensor(n.args[0])
}

// attr is an attribute of a shorthand.
func (n node) attr(key string) (node, bool) {
	for _, a := range n.attrs {
		if a.key == key {
			return a.value, true
		}
	}
	return node{at: n.at}, false
}

func (n node) shapeAttr(key string) []node {
	v, _ := n.attr(key)
	return v.args
}

func (n node) dtypeAttr() (plan.DType, error) {
	v, ok := n.attr("dtype")
	if !ok {
		return plan.F32, nil
	}
	return plan.ParseDType(v.name)
}
