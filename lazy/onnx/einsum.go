package onnx

import (
	"slices"
	"strings"

	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport/plan"
)

// labelled is a tensor whose axes have labels, one each.
type labelled struct {
	t      *lazy.Tensor
	labels []rune
}

// einsum is a product of tensors in index notation, made of transposes and matrix
// products of two operands at a time, from the left.
func einsum(c *call) *lazy.Tensor {
	xs := c.all()
	equation := strings.ReplaceAll(c.attrString("equation", ""), " ", "")
	if c.err != nil {
		return nil
	}
	terms, out := c.terms(equation, xs)
	if c.err != nil {
		return nil
	}
	for i, t := range terms {
		terms[i] = c.diagonal(t)
	}
	acc := terms[0]
	for i := 1; i < len(terms) && c.err == nil; i++ {
		needed := slices.Clone(out)
		for _, later := range terms[i+1:] {
			needed = append(needed, later.labels...)
		}
		acc = c.contract(acc, terms[i], needed)
	}
	if c.err != nil {
		return nil
	}
	acc = summed(acc, out)
	if acc.t.Err() != nil {
		return acc.t
	}
	perm := make([]int, len(out))
	for i, l := range out {
		if perm[i] = slices.Index(acc.labels, l); perm[i] < 0 {
			c.failf("%w: equation %.80q: no operand has the axis %q", ErrMalformed, equation, l)
			return nil
		}
	}
	return transposed(acc.t, perm)
}

// transposed permutes axes, if there is something to permute.
func transposed(x *lazy.Tensor, perm []int) *lazy.Tensor {
	if slices.IsSorted(perm) {
		return x
	}
	return lazy.Transpose(x, perm...)
}

// terms labels the axes of the operands and of the result. The axes of an ellipsis
// get labels from the last one on.
func (c *call) terms(equation string, xs []*lazy.Tensor) ([]labelled, []rune) {
	left, right, explicit := strings.Cut(equation, "->")
	inputs := strings.Split(left, ",")
	if len(inputs) != len(xs) || len(equation) > 1<<10 {
		c.failf("%w: equation %.80q of %d operands", ErrMalformed, equation, len(xs))
		return nil, nil
	}
	const dots = rune(1 << 16) // beyond every letter
	widest := 0
	var all []labelled
	counts := map[rune]int{}
	for i, term := range inputs {
		before, after, has := strings.Cut(term, "...")
		n := len(xs[i].Shape()) - len([]rune(before+after))
		if n < 0 || n > 0 && !has {
			c.failf("%w: equation %.80q: %q for %v", ErrMalformed, equation, term, xs[i].Shape())
			return nil, nil
		}
		widest = max(widest, n)
		labels := []rune(before)
		for k := range n {
			labels = append(labels, dots-rune(n-k))
		}
		labels = append(labels, []rune(after)...)
		for _, l := range []rune(before + after) {
			if l < 'A' || l > 'z' {
				c.failf("%w: equation %.80q", ErrMalformed, equation)
			}
			counts[l]++
		}
		all = append(all, labelled{xs[i], labels})
	}
	var every []rune
	for k := range widest {
		every = append(every, dots-rune(widest-k))
	}
	if !explicit {
		out := every
		for l := 'A'; l <= 'z'; l++ {
			if counts[l] == 1 {
				out = append(out, l)
			}
		}
		return all, out
	}
	before, after, has := strings.Cut(right, "...")
	out := []rune(before)
	if has {
		out = append(out, every...)
	}
	return all, append(out, []rune(after)...)
}

// diagonal takes the diagonal of axes that share a label.
func (c *call) diagonal(x labelled) labelled {
	for i := 0; i < len(x.labels) && c.err == nil; i++ {
		j := slices.Index(x.labels[i+1:], x.labels[i])
		if j < 0 {
			continue
		}
		j += i + 1
		n, ok := x.t.Dim(i).Const()
		if !ok || !x.t.Dim(j).Is(n) {
			c.failf("the diagonal of %v", x.t.Shape())
			return x
		}
		perm := slices.Delete(slices.Delete(from(0, len(x.labels)), j, j+1), i, i+1)
		labels := slices.Delete(slices.Delete(slices.Clone(x.labels), j, j+1), i, i+1)
		t := lazy.Transpose(x.t, append(perm, i, j)...)
		if t.Err() != nil {
			return labelled{t, labels}
		}
		rest := t.Shape()[:len(perm)]
		t = reshapeTo(t, append(slices.Clone(rest), plan.C(n*n)))
		x = labelled{c.strided(t, len(perm), 0, n, n+1), append(labels, x.labels[i])}
		i = -1
	}
	return x
}

// summed adds over the axes that are not needed.
func summed(x labelled, needed []rune) labelled {
	var axes []int
	var labels []rune
	for i, l := range x.labels {
		if slices.Contains(needed, l) {
			labels = append(labels, l)
		} else {
			axes = append(axes, i)
		}
	}
	if len(axes) == 0 || x.t.Err() != nil {
		return x
	}
	return labelled{lazy.Sum(x.t, axes...), labels}
}

// contract multiplies two operands and adds over the axes of both that nothing needs.
func (c *call) contract(a, b labelled, needed []rune) labelled {
	a, b = summed(a, append(slices.Clone(needed), b.labels...)), summed(b, append(slices.Clone(needed), a.labels...))
	if a.t.Err() != nil || b.t.Err() != nil {
		c.fail(cause(errOf(a.t, b.t)))
		return a
	}
	var batch, inner, rows, columns []rune
	for _, l := range a.labels {
		switch {
		case !slices.Contains(b.labels, l):
			rows = append(rows, l)
		case slices.Contains(needed, l):
			batch = append(batch, l)
		default:
			inner = append(inner, l)
		}
	}
	for _, l := range b.labels {
		if !slices.Contains(a.labels, l) {
			columns = append(columns, l)
		}
	}
	x, xs := grouped3(a, batch, rows, inner)
	y, ys := grouped3(b, batch, inner, columns)
	t := lazy.MatMul(x, y)
	if t.Err() != nil {
		c.fail(cause(t.Err()))
		return a
	}
	shape := slices.Concat(t.Shape()[:len(batch)], xs[len(batch):len(batch)+len(rows)], ys[len(batch)+len(inner):])
	return labelled{reshapeTo(t, shape), slices.Concat(batch, rows, columns)}
}

func errOf(ts ...*lazy.Tensor) error {
	for _, t := range ts {
		if t.Err() != nil {
			return t.Err() //nolint:wrapcheck // a [lazy.CaptureError]
		}
	}
	return nil
}

// grouped3 brings axes into an order and joins those of the second and of the third
// list; the shape is that before they are joined.
func grouped3(x labelled, batch, second, third []rune) (*lazy.Tensor, plan.Shape) {
	perm := make([]int, 0, len(x.labels))
	for _, l := range slices.Concat(batch, second, third) {
		perm = append(perm, slices.Index(x.labels, l))
	}
	t := transposed(x.t, perm)
	s := t.Shape()
	if t.Err() != nil {
		return t, s
	}
	n, m := len(batch), len(batch)+len(second)
	return reshapeTo(t, append(slices.Clone(s[:n]), s[n:m].Elements(), s[m:].Elements())), s
}
