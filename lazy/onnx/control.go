package onnx

import (
	"fmt"
	"strconv"

	"github.com/genie-sdk/go/internal/onnxfile"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport/plan"
)

// maxUnrolled bounds the passes of a loop whose number is known.
const maxUnrolled = 1 << 10

// ifNode is the branch that a known condition takes. The other is not looked at.
func ifNode(c *call) []*value {
	e := c.elems(0)
	if c.err != nil {
		return nil
	}
	n, ok := int64(0), len(e.v) == 1
	if ok {
		n, ok = e.v[0].int()
	}
	if !ok {
		c.failf("%w: its condition", ErrDataDependent)
		return nil
	}
	name := "else_branch"
	if n != 0 {
		name = "then_branch"
	}
	g := c.attrGraph(name)
	if c.err != nil {
		return nil
	}
	return c.body(g, name, nil)
}

// body imports a graph of an attribute, which sees the values around it.
func (c *call) body(g *onnxfile.Graph, label string, inputs []*value) []*value {
	if len(inputs) != len(g.Inputs) {
		c.fail(fmt.Errorf("%w: %d values for %d inputs of %s", ErrMalformed, len(inputs), len(g.Inputs), label))
		return nil
	}
	s := &scope{
		parent: c.s, values: map[string]*value{}, opsets: c.s.opsets, attrs: c.s.attrs, depth: c.s.depth,
		path: c.s.below(c.n, "."+label),
	}
	for i, in := range g.Inputs {
		if inputs[i] == nil {
			c.fail(fmt.Errorf("%w: input %q of %s is left out", ErrMalformed, in.Name, label))
			return nil
		}
		v := *inputs[i]
		s.values[in.Name] = &v
	}
	if g.Sparse > 0 {
		c.fail(refusedf("a sparse initialiser"))
		return nil
	}
	for _, t := range g.Initializers {
		s.values[t.Name] = &value{name: s.path + t.Name, raw: t}
	}
	before := len(c.im.refused)
	if err := c.im.graph(s, g.Nodes); err != nil {
		c.fail(fatalError{err})
		return nil
	}
	names := make([]string, len(g.Outputs))
	for i, o := range g.Outputs {
		names[i] = o.Name
	}
	out, err := c.im.resultsOf(s, names, before)
	if err != nil {
		c.fail(err)
	}
	return out
}

// loop unrolls a Loop whose number of passes is known: a trip count, and a condition
// that the body computes without data.
func loop(c *call) []*value {
	g := c.attrGraph("body")
	if c.err != nil {
		return nil
	}
	trips := maxUnrolled + 1
	if c.has(0) {
		trips = int(c.scalar(0))
	}
	going := true
	if c.has(1) {
		going = c.scalar(1) != 0
	}
	carried := append([]*value{}, c.in[min(2, len(c.in)):]...)
	var scanned [][]*lazy.Tensor
	for i := 0; i < trips && going && c.err == nil; i++ {
		if i == maxUnrolled {
			c.failf("a loop of more than %d passes", maxUnrolled)
			return nil
		}
		in := append([]*value{
			{elems: &elems{dt: onnxfile.Int64, v: []scalar{whole(int64(i))}}},
			{elems: &elems{dt: onnxfile.Bool, v: []scalar{truth(true)}}},
		}, carried...)
		out := c.body(g, "body."+strconv.Itoa(i), in)
		if c.err != nil {
			return nil
		}
		if len(out) < 1+len(carried) {
			c.fail(fmt.Errorf("%w: a body of %d outputs for %d carried values", ErrMalformed, len(out), len(carried)))
			return nil
		}
		going = c.known(out[0])
		carried = out[1 : 1+len(carried)]
		scanned = append(scanned, c.tensors(out[1+len(carried):]))
	}
	return c.scans(carried, scanned, len(g.Outputs)-1-len(carried), nil, nil)
}

// known is a condition that does not depend on data.
func (c *call) known(v *value) bool {
	e, err := c.im.elements(v)
	if err != nil {
		c.fail(err)
		return false
	}
	n, ok := int64(0), len(e.v) == 1
	if ok {
		n, ok = e.v[0].int()
	}
	if !ok {
		c.failf("%w: its condition", ErrDataDependent)
	}
	return n != 0
}

func (c *call) tensors(vs []*value) []*lazy.Tensor {
	out := make([]*lazy.Tensor, len(vs))
	for i, v := range vs {
		if v == nil {
			c.fail(fmt.Errorf("%w: an input is left out", ErrMalformed))
			return out
		}
		t, err := c.im.tensor(v)
		if err != nil {
			c.fail(err)
			return out
		}
		out[i] = t
	}
	return out
}

// scans are the outputs of a loop: the carried values, and what its passes gave, one
// after the other along an axis of its own.
func (c *call) scans(carried []*value, passes [][]*lazy.Tensor, n int, axes []int, backward []bool) []*value {
	if c.err != nil {
		return nil
	}
	out := append([]*value{}, carried...)
	for k := range n {
		if len(passes) == 0 {
			c.failf("a loop without a pass, which gives no shape")
			return nil
		}
		axis, parts := 0, []*lazy.Tensor(nil)
		if len(axes) > k {
			axis = axes[k]
		}
		for _, p := range passes {
			s := p[k].Shape()
			axis = c.axis(axis, len(s)+1)
			if c.err != nil {
				return nil
			}
			wide := append(append(append(plan.Shape{}, s[:axis]...), plan.C(1)), s[axis:]...)
			part := reshapeTo(p[k], wide)
			if len(backward) > k && backward[k] {
				parts = append([]*lazy.Tensor{part}, parts...)
			} else {
				parts = append(parts, part)
			}
		}
		out = append(out, &value{t: concatAll(axis, parts)})
	}
	return out
}

// concatAll joins any number of tensors.
func concatAll(axis int, xs []*lazy.Tensor) *lazy.Tensor {
	for len(xs) > 1 {
		var next []*lazy.Tensor
		for i := 0; i < len(xs); i += plan.MaxOpInputs {
			part := xs[i:min(i+plan.MaxOpInputs, len(xs))]
			if len(part) == 1 {
				next = append(next, part[0])
				continue
			}
			next = append(next, lazy.Concat(axis, part...))
		}
		xs = next
	}
	return xs[0]
}

// scan unrolls a Scan over axes of known size.
func scan(c *call) []*value {
	g := c.attrGraph("body")
	n := c.attrInt("num_scan_inputs", 0)
	if c.err == nil && (c.opset < 9 || n < 1 || n > len(c.in)) {
		c.failf("a scan of %d inputs, of operator set %d", n, c.opset)
	}
	if c.err != nil {
		return nil
	}
	states := len(c.in) - n
	axes, dirs := c.attrInts("scan_input_axes"), c.attrInts("scan_input_directions")
	carried := append([]*value{}, c.in[:states]...)
	xs := c.tensors(c.in[states:])
	if c.err != nil {
		return nil
	}
	length := -1
	for i, x := range xs {
		if axes == nil || len(axes) <= i {
			axes = append(axes, 0)
		}
		axes[i] = c.axis(axes[i], len(x.Shape()))
		size, ok := x.Dim(axes[i]).Const()
		if !ok || length >= 0 && size != length || size > maxUnrolled {
			c.failf("a scan over axis %d of %v", axes[i], x.Shape())
			return nil
		}
		length = size
	}
	var passes [][]*lazy.Tensor
	for i := range length {
		in := append([]*value{}, carried...)
		for k, x := range xs {
			at := i
			if len(dirs) > k && dirs[k] == 1 {
				at = length - 1 - i
			}
			one := lazy.SliceN(x, axes[k], at, at+1)
			in = append(in, &value{t: reshapeTo(one, without(x.Shape(), axes[k:k+1]))})
		}
		out := c.body(g, "body."+strconv.Itoa(i), in)
		if c.err != nil || len(out) < states {
			c.fail(fmt.Errorf("%w: a body of %d outputs for %d states", ErrMalformed, len(out), states))
			return nil
		}
		carried = out[:states]
		passes = append(passes, c.tensors(out[states:]))
	}
	var backward []bool
	for _, d := range c.attrInts("scan_output_directions") {
		backward = append(backward, d == 1)
	}
	return c.scans(carried, passes, len(g.Outputs)-states, c.attrInts("scan_output_axes"), backward)
}
