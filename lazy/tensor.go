package lazy

import (
	"fmt"

	"github.com/genie-sdk/go/internal/lazygraph"
	"github.com/genie-sdk/go/transport/plan"
)

// Tensor is a lazy tensor: a handle on a node of a captured program. The nil
// tensor is an error, not a panic.
type Tensor struct {
	node

	g       *Graph
	id      int
	kind    Kind
	name    string // leaves
	spec    plan.Spec
	in      []*Tensor
	hash    plan.Hash  // KindWeight
	storage plan.DType // KindWeight
	data    []byte     // KindConst
	err     error
	callers capturedFrom
}

var errNil = fmt.Errorf("%w: nil tensor", ErrCapture)

// none replaces the nil tensor.
var none = &Tensor{id: -1, err: errNil}

func (t *Tensor) orZero() *Tensor {
	if t == nil {
		return none
	}
	return t
}

// Err is the error that sticks to t, or nil.
func (t *Tensor) Err() error {
	if t == nil {
		return errNil
	}
	return t.err
}

// Graph is the program that t belongs to.
func (t *Tensor) Graph() *Graph { return t.orZero().g }

// ID is t's position in [Graph.Tensors]; -1 for a tensor with an error.
func (t *Tensor) ID() int { return t.orZero().id }

// Kind reports whether t is a leaf, and of which kind.
func (t *Tensor) Kind() Kind { return t.orZero().kind }

// Name is the name of a leaf, empty for results of operators.
func (t *Tensor) Name() string { return t.orZero().name }

// Spec is the element type and shape.
func (t *Tensor) Spec() plan.Spec { return t.orZero().spec }

// DType is the element type.
func (t *Tensor) DType() plan.DType { return t.orZero().spec.DType }

// Shape is the shape, outermost dimension first.
func (t *Tensor) Shape() plan.Shape { return t.orZero().spec.Shape }

// Dim is the size of axis i; negative axes count from the last. A missing axis
// has size 0.
func (t *Tensor) Dim(i int) plan.Dim {
	if t == nil {
		return plan.Dim{}
	}
	if i < 0 {
		i += len(t.spec.Shape)
	}
	if i < 0 || i >= len(t.spec.Shape) {
		return plan.Dim{}
	}
	return t.spec.Shape[i]
}

// Op is the operator that computes t, nil for a leaf.
func (t *Tensor) Op() Operator { return lazygraph.Op(t.orZero()) }

// In lists the operator's inputs.
func (t *Tensor) In() []*Tensor { return t.orZero().in }

// WeightRef is the content hash and the storage type of a weight.
func (t *Tensor) WeightRef() (plan.Hash, plan.DType) {
	t = t.orZero()
	return t.hash, t.storage
}

// ConstData is the content of a constant, little-endian.
func (t *Tensor) ConstData() []byte { return t.orZero().data }

// String describes the tensor for people.
func (t *Tensor) String() string {
	switch {
	case t == nil:
		return "<nil tensor>"
	case t.err != nil:
		return "<" + t.err.Error() + ">"
	}
	if o := t.Op(); o != nil {
		return fmt.Sprintf("%%%d %s %v", t.id, o.Name(), t.spec)
	}
	return fmt.Sprintf("%%%d %q %v", t.id, t.name, t.spec)
}

func specs(in []*Tensor) []plan.Spec {
	s := make([]plan.Spec, len(in))
	for i, t := range in {
		if t != nil {
			s[i] = t.spec
		}
	}
	return s
}

func check(g *Graph, t *Tensor) error {
	switch {
	case t == nil:
		return errNil
	case t.err != nil:
		return t.err
	case t.g != g:
		return fmt.Errorf("%w: tensors of two graphs", ErrCapture)
	}
	return nil
}
