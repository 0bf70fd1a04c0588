package normal

import (
	"slices"

	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// sliceOfStack takes from a stack of values, whose axis a reshape splits, those
// that a slice of the inner axis is of: fewer operands of a concat. It is a column
// of a matrix that is written as its elements.
func sliceOfStack(b *builder, n *node) (*node, bool) {
	o, v := n.op.(op.Slice), n.in[0]
	if !v.is("reshape") || !v.in[0].is("concat") || v.rank() < 2 || wrap(o.Axis, n) != n.rank()-1 {
		return nil, false
	}
	c := v.in[0]
	inner, known := v.dim(-1).Const()
	start, fixed := o.Start.Const()
	if !known || !fixed || !n.dim(-1).Is(1) || wrap(c.op.(op.Concat).Axis, c) != c.rank()-1 || !c.dim(-1).Is(len(c.in)) {
		return nil, false
	}
	if at, ok := mergedAxis(v.spec.Shape, c.spec.Shape, v.rank()-2); !ok || at != c.rank()-1 {
		return nil, false
	}
	var column []*node
	for i := start; i < len(c.in); i += inner {
		column = append(column, c.in[i])
	}
	return b.reshape(b.make(c.op, column...), n.spec.Shape...), true
}

// ropeOfMatrix makes the product of pairs with matrices (cos, -sin; sin, cos),
// written as a sum of columns times elements, a rotation: freqs_cis[..., 0] * x0 +
// freqs_cis[..., 1] * x1.
func ropeOfMatrix(b *builder, n *node) (*node, bool) {
	sumNode := n.in[0]
	if n.spec.DType != plan.F32 || !sumNode.is("add") || sumNode.rank() < 2 || !sumNode.dim(-1).Is(2) {
		return nil, false
	}
	if at, ok := mergedAxis(sumNode.spec.Shape, n.spec.Shape, sumNode.rank()-2); !ok || at != n.rank()-1 {
		return nil, false
	}
	var columns [2][]*node // by element of the pair: its cosines and sines
	var first, second piece
	for _, t := range sumNode.in {
		p, column, ok := b.columnTimes(t)
		if !ok || p.p != interleaved {
			return nil, false
		}
		if p.second {
			second, columns[1] = p, column
		} else {
			first, columns[0] = p, column
		}
	}
	if columns[0] == nil || columns[1] == nil || !first.before(second) {
		return nil, false
	}
	minus, sign := b.peelReshaped(columns[1][0])
	sin, plus := b.peelReshaped(columns[0][1])
	if columns[0][0] != columns[1][1] || minus != sin || sign != -plus {
		return b.refuse("rope", "the matrices are not rotations")
	}
	y, ok := b.rotary(first.x, interleaved, first.half, columns[0][0], columns[0][1])
	if !ok {
		return nil, false
	}
	return b.reshape(y, n.spec.Shape...), true
}

// columnTimes is n as a piece of pairs times two values joined along the last
// axis.
func (b *builder) columnTimes(n *node) (p piece, column []*node, ok bool) {
	if !n.is("mul") {
		return p, nil, false
	}
	for i, x := range n.in {
		c := n.in[1-i]
		for c.is("reshape") && c.dim(-1).Is(2) && c.in[0].is("concat") {
			c = c.in[0]
		}
		if !c.is("concat") || wrap(c.op.(op.Concat).Axis, c) != c.rank()-1 || len(c.in) != 2 || !c.dim(-1).Is(2) {
			continue
		}
		if p, ok = b.pieceOf(x); !ok {
			continue
		}
		shape := n.in[1-i].spec.Shape
		shape = slices.Clone(shape[:len(shape)-1])
		return p, []*node{b.reshape(c.in[0], shape...), b.reshape(c.in[1], shape...)}, true
	}
	return p, nil, false
}
