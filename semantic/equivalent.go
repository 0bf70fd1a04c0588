package semantic

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport/plan"
)

const (
	// maxCheckWork is the maximum work, in operations and elements, of
	// comparing one replacement.
	maxCheckWork = 1 << 26
	// maxCheckDepth is how far behind the inputs of a replacement the
	// comparison searches for values that it shares with the replaced
	// expression.
	maxCheckDepth = 3
)

// equivalent returns an error if two expressions have different values, or if
// it cannot find out. It computes both from the values from which the
// replacement was made, which it takes to be independent: what is equal then is
// always equal. Where the results differ, these values may depend on each
// other, and the comparison starts further back.
func equivalent(old, by *irNode) error {
	var last error
	for depth := range maxCheckDepth + 1 {
		last = compareFrom(frontier(by, depth), old, by)
		if last == nil {
			return nil
		}
	}
	return last
}

// frontier are the captured values from which an expression is computed, or
// those the given number of operators behind them.
func frontier(by *irNode, depth int) map[*irNode]bool {
	type at struct {
		n     *irNode
		depth int
	}
	out, seen := map[*irNode]bool{}, map[at]bool{}
	var visit func(x at)
	visit = func(x at) {
		if seen[x] {
			return
		}
		seen[x] = true
		switch inserted := x.n.src == nil; {
		case x.n.op == nil || !inserted && x.depth == 0:
			out[x.n] = true
		case inserted:
			for _, in := range x.n.in {
				visit(at{in, x.depth})
			}
		default:
			for _, in := range x.n.in {
				visit(at{in, x.depth - 1})
			}
		}
	}
	visit(at{by, depth})
	return out
}

// compareFrom compares two expressions over random values at the given nodes
// and at the leaves, at some sizes of the symbols and at small and large
// values.
func compareFrom(free map[*irNode]bool, old, by *irNode) error {
	bases := []int{2, 3, 17}
	// A window or a limit shows only at sizes beyond it.
	if n := max(largestAttr(old, free), largestAttr(by, free)); n >= 17 {
		bases = append(bases, n+2)
	}
	var unable error
	checked := false
	for at, base := range bases {
		for _, scale := range []float32{2, 24, 1e4} {
			e := &sampler{
				free: free, base: base, scale: scale, rng: rand.New(rand.NewPCG(1, uint64(base))), //nolint:gosec // not secret
				at: map[*irNode]*op.Array{}, bind: plan.Bindings{}, left: maxCheckWork,
			}
			a, err := e.eval(old)
			var b *op.Array
			if err == nil {
				b, err = e.eval(by)
			}
			if err != nil {
				if unable = err; at > 2 {
					checked = false
				}
				break
			}
			if err := sameValues(a, b); err != nil {
				return planErr("%s is replaced by something else: %v", old.op.Name(), err)
			}
			checked = true
		}
	}
	if !checked {
		return fmt.Errorf("%w: a replacement of %s cannot be checked: %w", ErrPolicy, old.op.Name(), unable)
	}
	return nil
}

// largestAttr is the largest integer among the attributes of an expression.
func largestAttr(n *irNode, free map[*irNode]bool) int {
	largest := 0
	seen := map[*irNode]bool{}
	var visit func(n *irNode)
	visit = func(n *irNode) {
		if seen[n] || n.op == nil || free[n] {
			return
		}
		seen[n] = true
		for _, a := range n.op.Attrs() {
			if a.Kind == plan.AttrInt {
				largest = max(largest, int(a.Int))
			}
		}
		for _, in := range n.in {
			visit(in)
		}
	}
	visit(n)
	return largest
}

// sampler computes values of nodes by the reference kernels.
type sampler struct {
	free  map[*irNode]bool
	base  int // of the sizes that symbols have
	scale float32
	rng   *rand.Rand
	at    map[*irNode]*op.Array
	bind  plan.Bindings
	left  float64
}

// array is one of a spec, if enough work is left for it, including that of
// computing it.
func (e *sampler) array(spec plan.Spec, work func(shape []int) float64) (*op.Array, error) {
	for _, d := range spec.Shape {
		for _, name := range d.Symbols(nil) {
			if _, ok := e.bind[name]; !ok {
				e.bind[name] = e.base + len(e.bind)%2
			}
		}
	}
	shape, err := spec.Shape.Eval(e.bind)
	if err != nil {
		return nil, err
	}
	elements := 1.0
	for _, d := range shape {
		if d < 0 {
			return nil, planErr("a size of %d", d)
		}
		elements *= float64(d)
	}
	if e.left -= 4 * elements; e.left >= 0 {
		e.left -= work(shape)
	}
	if !(e.left >= 0) {
		return nil, planErr("it takes more than %d operations", maxCheckWork)
	}
	return op.NewArray(spec.DType, shape...), nil
}

func (e *sampler) eval(n *irNode) (*op.Array, error) {
	if a := e.at[n]; a != nil {
		return a, nil
	}
	a, err := e.compute(n)
	if err == nil {
		e.at[n] = a
	}
	return a, err
}

func (e *sampler) compute(n *irNode) (*op.Array, error) {
	if n.op == nil || e.free[n] {
		a, err := e.array(n.spec, func([]int) float64 { return 0 })
		if err != nil {
			return nil, err
		}
		if n.op == nil && n.kind == lazy.KindConst {
			copy(a.Data, n.src.ConstData())
			return a, nil
		}
		e.fill(a)
		return a, nil
	}
	in, shapes, specs := make([]*op.Array, len(n.in)), make([][]int, len(n.in)), make([]plan.Spec, len(n.in))
	for i, x := range n.in {
		var err error
		if in[i], err = e.eval(x); err != nil {
			return nil, err
		}
		shapes[i], specs[i] = in[i].Shape, plan.Spec{DType: in[i].DType, Shape: op.Static(in[i].Shape)}
	}
	out, err := e.array(n.spec, func(shape []int) float64 { return n.op.FLOPs(shapes, shape) })
	if err != nil {
		return nil, err
	}
	o, err := e.bound(n.op, specs, out)
	if err != nil {
		return nil, err
	}
	return out, o.Eval(out, in, nil)
}

// bound is an operator at the sizes of this sample, if it accepts them.
func (e *sampler) bound(o op.Op, in []plan.Spec, out *op.Array) (op.Op, error) {
	o, err := op.Bind(o, e.bind)
	if err != nil {
		return nil, err
	}
	spec, err := o.Infer(in)
	if err != nil {
		return nil, err
	}
	if !spec.Shape.Equal(op.Static(out.Shape)) {
		return nil, planErr("%s has the shape %v, not %v", o.Name(), spec.Shape, out.Shape)
	}
	if c, ok := o.(op.Conditional); ok {
		dims, what := c.Conditions(in)
		for _, d := range dims {
			if n, ok := d.Const(); !ok || n < 0 {
				return nil, planErr("%s: %s", o.Name(), what)
			}
		}
	}
	return o, nil
}

// fill writes random values: numbers of both signs, and valid indices of a
// table of two rows.
func (e *sampler) fill(a *op.Array) {
	for i := range a.Len() {
		switch a.DType {
		case plan.F32:
			a.F32()[i] = (2*e.rng.Float32() - 1) * e.scale
		case plan.Bool:
			a.Data[i] = byte(e.rng.IntN(2))
		default:
			a.SetInt(i, e.rng.IntN(2))
		}
	}
}

// sameValues compares to float32 accuracy, relative to the largest value.
func sameValues(a, b *op.Array) error {
	if a.DType != plan.F32 {
		for i := range a.Data {
			if a.Data[i] != b.Data[i] {
				return planErr("byte %d differs", i)
			}
		}
		return nil
	}
	top := 0.0
	for _, x := range a.F32() {
		if v := math.Abs(float64(x)); !math.IsInf(v, 0) {
			top = max(top, v)
		}
	}
	for i, x := range a.F32() {
		y := b.F32()[i]
		same := x == y || x != x && y != y || math.Abs(float64(x)-float64(y)) <= 1e-5*top
		if !same {
			return planErr("an element is %g, not %g", y, x)
		}
	}
	return nil
}
