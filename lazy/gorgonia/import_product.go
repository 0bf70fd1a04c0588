package gorgonia

import (
	"fmt"
	"slices"

	"gorgonia.org/gorgonia"

	"github.com/genie-sdk/go/internal/lazygraph"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport/plan"
)

// Gorgonia's products by their number, which a test holds.
const (
	matMul = iota
	matVecMul
	vecDot
	outerProduct
	batchedMatMul
)

// product captures the products of linear algebra. A matrix times a vector is the
// vector times the transposed matrix, which needs no copy of the matrix.
func (im *importer) product(_ *gorgonia.Node, kids []*gorgonia.Node, f *fields) (*lazy.Tensor, error) {
	kind, transA, transB := f.byte(linAlgField), f.bool("transA"), f.bool("transB")
	if f.err != nil {
		return nil, f.err
	}
	a, b := im.operand(kids[0]), im.operand(kids[1])
	switch kind {
	case matMul, batchedMatMul:
		a, transA = untransposed(a, transA)
		b, transB = untransposed(b, transB)
		return lazy.MatMul(a, b, transposed(transA, transB)), nil
	case matVecMul:
		a, transA = untransposed(a, transA)
		row := lazy.Reshape(b, 1, b.Shape().Elements())
		return flat(lazy.MatMul(row, a, transposed(false, !transA))), nil
	case vecDot:
		return lazy.Sum(lazy.Mul(flat(a), flat(b))), nil
	case outerProduct:
		return lazy.MatMul(lazy.Reshape(a, a.Shape().Elements(), 1), lazy.Reshape(b, 1, b.Shape().Elements())), nil
	}
	return nil, fmt.Errorf("%w: product %d", errLayout, kind)
}

func transposed(a, b bool) (f lazy.Flag) {
	if a {
		f |= lazy.TransA
	}
	if b {
		f |= lazy.TransB
	}
	return f
}

// untransposed is the operand of a product without a transposition of its last
// two axes, which the product's flag takes over.
func untransposed(x *lazy.Tensor, flag bool) (*lazy.Tensor, bool) {
	if x.Err() != nil {
		return x, flag
	}
	o, ok := lazygraph.Op(x).(op.Transpose)
	last := len(o.Perm) - 1
	if !ok || last < 1 || o.Perm[last] != last-1 || o.Perm[last-1] != last {
		return x, flag
	}
	for i, p := range o.Perm[:last-1] {
		if p != i {
			return x, flag
		}
	}
	return x.In()[0], !flag
}

// flat is x as a vector.
func flat(x *lazy.Tensor) *lazy.Tensor { return lazy.Reshape(x, x.Shape().Elements()) }

// tensordot contracts axes of a with axes of b: the free axes of a, then those of
// b, are left.
func (im *importer) tensordot(_ *gorgonia.Node, kids []*gorgonia.Node, f *fields) (*lazy.Tensor, error) {
	aAxes, bAxes := f.ints("aAxes"), f.ints("bAxes")
	if f.err != nil {
		return nil, f.err
	}
	a, b := im.operand(kids[0]), im.operand(kids[1])
	freeA, freeB := others(a, aAxes), others(b, bAxes)
	for _, axes := range [][]int{append(slices.Clone(freeA), aAxes...), append(slices.Clone(bAxes), freeB...)} {
		for i, p := range slices.Sorted(slices.Values(axes)) {
			if p != i {
				return nil, fmt.Errorf("%w: contraction of %v with %v over %v and %v", lazy.ErrShape, a.Shape(), b.Shape(), aAxes, bAxes)
			}
		}
	}
	dims := func(x *lazy.Tensor, axes []int) (out plan.Shape) {
		for _, i := range axes {
			out = append(out, x.Shape()[i])
		}
		return out
	}
	outer, inner, last := dims(a, freeA), dims(a, aAxes), dims(b, freeB)
	left := lazy.Reshape(permuted(a, append(slices.Clone(freeA), aAxes...)), outer.Elements(), inner.Elements())
	right := lazy.Reshape(permuted(b, append(slices.Clone(bAxes), freeB...)), inner.Elements(), last.Elements())
	return lazy.Reshape(lazy.MatMul(left, right), sizesOf(append(outer, last...))...), nil
}

// others are the axes of x that are not in the list.
func others(x *lazy.Tensor, axes []int) (out []int) {
	for i := range x.Shape() {
		if !slices.Contains(axes, i) {
			out = append(out, i)
		}
	}
	return out
}

// permuted is x with its axes in another order.
func permuted(x *lazy.Tensor, perm []int) *lazy.Tensor {
	if slices.IsSorted(perm) {
		return x
	}
	return lazy.Transpose(x, perm...)
}

// sizesOf are the arguments of a reshape.
func sizesOf(s plan.Shape) []any {
	out := make([]any, len(s))
	for i, d := range s {
		out[i] = d
	}
	return out
}
