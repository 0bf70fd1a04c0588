package gorgonia

import (
	"errors"
	"fmt"
	"slices"

	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport/plan"
)

// errAmbiguous is the cause of errors about shapes in which the place of a named
// dimension cannot be told.
var errAmbiguous = errors.New("the place of a named dimension is ambiguous; give it a size in the Gorgonia graph that occurs nowhere else")

// reshape gives x the shape that a node has in the Gorgonia graph, with the named
// dimensions of x where they belong.
func (im *importer) reshape(x *lazy.Tensor, to []int) (*lazy.Tensor, error) {
	if x.Err() != nil {
		return x, x.Err()
	}
	shape, err := im.named(x.Shape(), to)
	if err != nil {
		return nil, err
	}
	return lazy.Reshape(x, sizesOf(shape)...), nil
}

// named is the shape to, of numbers, with the named dimensions of a tensor of
// the shape from. Axes are grouped from the left so that each group has as many
// elements on both sides: a named dimension stays in its group, and in the axis
// of it that alone can have it.
func (im *importer) named(from plan.Shape, to []int) (plan.Shape, error) {
	numbers, err := from.Eval(im.sizes)
	if err != nil {
		return nil, err
	}
	if product(numbers) != product(to) {
		return nil, fmt.Errorf("%w: reshape of %v to %v", lazy.ErrShape, numbers, to)
	}
	out := make(plan.Shape, 0, len(to))
	for _, n := range to {
		out = append(out, plan.C(n))
	}
	if !slices.ContainsFunc(from, isNamed) {
		return out, nil
	}
	if product(to) == 0 {
		return nil, fmt.Errorf("%w: %v to %v", errAmbiguous, from, to)
	}
	for i, j := 0, 0; i < len(from); {
		ni, nj := i+1, j
		p, q := numbers[i], 1
		if nj < len(to) {
			q, nj = to[j], j+1
		}
		for p != q {
			switch {
			case p < q && ni < len(from):
				p, ni = p*numbers[ni], ni+1
			case nj < len(to):
				q, nj = q*to[nj], nj+1
			default:
				return nil, fmt.Errorf("%w: %v to %v", errAmbiguous, from, to)
			}
		}
		if err := im.nameGroup(from[i:ni], out[j:nj], to[j:nj], p, ones(numbers) == ones(to)); err != nil {
			return nil, fmt.Errorf("%w: %v to %v", err, from, to)
		}
		i, j = ni, nj
	}
	return out, nil
}

// nameGroup names the dimension of one group.
func (im *importer) nameGroup(from, out plan.Shape, to []int, size int, onesAgree bool) error {
	if !slices.ContainsFunc(from, isNamed) {
		return nil
	}
	if size == 1 && !onesAgree {
		return errAmbiguous
	}
	total := from.Elements()
	found := -1
	for j, n := range to {
		d, ok := total.Div(plan.C(size / n))
		if !ok {
			continue
		}
		if v, err := d.Eval(im.sizes); err != nil || v != n {
			continue
		}
		if found >= 0 {
			return errAmbiguous
		}
		found, out[j] = j, d
	}
	if found < 0 {
		return errAmbiguous
	}
	return nil
}

func isNamed(d plan.Dim) bool {
	_, number := d.Const()
	return !number
}

func product(s []int) int {
	p := 1
	for _, n := range s {
		p *= n
	}
	return p
}

func ones(s []int) (n int) {
	for _, v := range s {
		if v == 1 {
			n++
		}
	}
	return n
}
