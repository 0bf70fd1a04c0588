package normal

import (
	"encoding/binary"
	"math"

	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport/plan"
)

// node is a value while a program is rewritten: of an operator, a captured leaf
// or a constant. Nodes are immutable once stored; equal ones are one node.
type node struct {
	op   op.Op   // nil for a leaf and for a constant
	in   []*node // of op
	spec plan.Spec
	leaf *lazy.Tensor // captured input, weight or constant
	data []byte       // content of a constant, little-endian; see isConst

	seq      int          // order of making; inputs come first
	same     int          // seq of the first node with this value
	at       *lazy.Tensor // captured tensor for which it was made
	wanted   bool         // an output, a carried value, or a value that somebody asks for
	taken    bool         // it is the value of a captured tensor
	alone    bool         // of one that shares no value
	constant bool
	uniform  bool // all elements of an f32 constant are value
	value    float32
	out      *lazy.Tensor // of the normal form, once emitted
}

// is reports whether the operator with this name computes n.
func (n *node) is(name string) bool { return n.op != nil && n.op.Name() == name }

// isConst reports whether n's content is known: a constant, not a weight.
func (n *node) isConst() bool { return n.constant }

// isWeight reports whether n is a weight leaf.
func (n *node) isWeight() bool { return n.leaf != nil && n.leaf.Kind() == lazy.KindWeight }

// isInput reports whether n is an input leaf.
func (n *node) isInput() bool { return n.leaf != nil && n.leaf.Kind() == lazy.KindInput }

// rank is the number of axes.
func (n *node) rank() int { return len(n.spec.Shape) }

// dim is the size of axis i; negative axes count from the last. A missing axis
// has size 0.
func (n *node) dim(i int) plan.Dim {
	if i < 0 {
		i += len(n.spec.Shape)
	}
	if i < 0 || i >= len(n.spec.Shape) {
		return plan.Dim{}
	}
	return n.spec.Shape[i]
}

// scalar is the value of an f32 constant whose elements are all the same,
// whatever its shape. It looks through views of one.
func (n *node) scalar() (float32, bool) {
	for n.op != nil && (n.is("reshape") || n.is("expand") || n.is("transpose") || n.is("slice")) {
		n = n.in[0]
	}
	return n.value, n.uniform
}

// floats is the content of an f32 constant in row-major order, nil for anything
// else.
func (n *node) floats() []float32 {
	if !n.constant || n.spec.DType != plan.F32 {
		return nil
	}
	out := make([]float32, len(n.data)/4)
	for i := range out {
		out[i] = math.Float32frombits(binary.LittleEndian.Uint32(n.data[4*i:]))
	}
	return out
}

// ints is the content of an i32, i64 or bool constant, nil for anything else.
func (n *node) ints() []int64 {
	if !n.constant {
		return nil
	}
	var out []int64
	switch n.spec.DType {
	case plan.I32:
		for at := 0; at < len(n.data); at += 4 {
			out = append(out, int64(int32(binary.LittleEndian.Uint32(n.data[at:]))))
		}
	case plan.I64:
		for at := 0; at < len(n.data); at += 8 {
			out = append(out, int64(binary.LittleEndian.Uint64(n.data[at:])))
		}
	case plan.Bool:
		for _, b := range n.data {
			out = append(out, int64(b))
		}
	default:
	}
	return out
}

// findUniform records whether a constant has one value.
func (n *node) findUniform() {
	if n.spec.DType != plan.F32 || len(n.data) < 4 {
		return
	}
	first := binary.LittleEndian.Uint32(n.data)
	for d := n.data[4:]; len(d) >= 4; d = d[4:] {
		if binary.LittleEndian.Uint32(d) != first {
			return
		}
	}
	n.uniform, n.value = true, math.Float32frombits(first)
}

// scaled takes a scale by a constant apart: n is x times c.
func (n *node) scaled() (x *node, c float32, ok bool) {
	if !n.is("mul") {
		return nil, 0, false
	}
	c, ok = n.in[1].scalar()
	if !ok || !n.in[0].spec.Shape.Equal(n.spec.Shape) {
		return nil, 0, false
	}
	return n.in[0], c, true
}

// static is a shape without symbols as sizes.
func static(s plan.Shape) ([]int, bool) {
	out := make([]int, len(s))
	for i, d := range s {
		n, ok := d.Const()
		if !ok {
			return nil, false
		}
		out[i] = n
	}
	return out, true
}

// sameSpec reports whether two values have one type and shape.
func sameSpec(a, b plan.Spec) bool { return a.DType == b.DType && a.Shape.Equal(b.Shape) }
