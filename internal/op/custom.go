package op

import (
	"slices"
	"strings"

	"github.com/genie-sdk/go/internal/halt"
	"github.com/genie-sdk/go/transport/custom"
	"github.com/genie-sdk/go/transport/plan"
)

// Custom is an operator of a user, with its attributes sorted by key.
type Custom struct {
	of    *custom.Operator
	attrs plan.Attrs
}

// NewCustom makes a user's operator with attributes.
func NewCustom(o *custom.Operator, attrs plan.Attrs) (Custom, error) {
	return Custom{o, slices.Clone(sorted(attrs))}, o.Valid()
}

// As is the operator of the same name and attributes as t defines it.
func (o Custom) As(t *custom.Operator) Custom { return Custom{t, o.attrs} }

// Definition is the operator.
func (o Custom) Definition() *custom.Operator { return o.of }

// Name is the operator's in plans.
func (o Custom) Name() string { return custom.Prefix + o.of.Name }

// Traits are those of an operator of which nothing is known.
func (Custom) Traits() Traits { return Traits{Class: ClassElementwise} }

// Attrs are the user's.
func (o Custom) Attrs() plan.Attrs { return o.attrs }

// Infer calls the user's rule.
func (o Custom) Infer(in []plan.Spec) (plan.Spec, error) {
	if err := arity(in, 1, plan.MaxOpInputs); err != nil {
		return plan.Spec{}, err
	}
	return o.of.InferShape(o.attrs, slices.Clone(in))
}

// FLOPs is the user's number.
func (o Custom) FLOPs(in [][]int, out []int) float64 { return o.of.Work(o.attrs, in, out) }

// Eval calls the user's kernel, with copies of inputs that are not row-major.
// [Custom.Copied] is their size.
func (o Custom) Eval(out *Array, in []*Array, h halt.Func) error {
	target := out
	if !out.Contiguous() {
		target = NewArray(out.DType, out.Shape...)
	}
	c := custom.Call{Attrs: o.attrs, Out: dense(target), Stop: h.Now}
	for _, a := range in {
		if !a.Contiguous() {
			copied := NewArray(a.DType, a.Shape...)
			if err := copyArray(copied, a, h); err != nil {
				return err
			}
			a = copied
		}
		c.In = append(c.In, dense(a))
	}
	err := o.of.Compute(c)
	switch {
	case h.Now(): // what it returned means nothing
		return ErrHalted
	case err != nil || target == out:
		return err
	}
	return copyArray(out, target, h)
}

// Copied is the memory that an evaluation takes on the heap.
func (Custom) Copied(out *Array, in []*Array) (n int64) {
	for _, a := range append(slices.Clone(in), out) {
		if !a.Contiguous() {
			n += int64(a.Len()) * int64(a.DType.Size())
		}
	}
	return n
}

// dense is a row-major array without the memory after its elements.
func dense(a *Array) custom.Array {
	n := a.Len() * a.DType.Size()
	return custom.Array{DType: a.DType, Shape: slices.Clone(a.Shape), Data: a.Data[:n:n]}
}

// NewFrom is [New] for plans that may name operators of a user's table.
func NewFrom(t *custom.Table, name string, attrs plan.Attrs) (Op, error) {
	if !strings.HasPrefix(name, custom.Prefix) {
		return New(name, attrs)
	}
	o, err := t.Find(name)
	if err != nil {
		return nil, err
	}
	keys := map[string]bool{}
	for _, a := range attrs {
		if keys[a.Key] || len(keys) >= plan.MaxAttrs {
			return nil, shapeErr("operator %q with attribute %.80q twice, or more than %d", name, a.Key, plan.MaxAttrs)
		}
		keys[a.Key] = true
	}
	return NewCustom(o, attrs)
}
