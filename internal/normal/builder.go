package normal

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// fuelPerTensor bounds the rule applications for one captured tensor. Each rule
// lowers a measure; fuel is what a wrong one costs.
const fuelPerTensor = 512

// maxNesting bounds how deep rules make what other rules match.
const maxNesting = 64

// builder makes values in normal form.
type builder struct {
	interned map[string]*node // by [builder.key]: the value in normal form
	nodes    []*node          // in order of making
	key      []byte
	specs    []plan.Spec
	byRoot   map[string][]*rule // see [builder.rulesOf]
	notes    []Note
	at       *lazy.Tensor // the captured tensor at hand
	fuel     int
	depth    int
	folded   int  // bytes of constants made by folding
	rewrote  bool // a rule or folding applied to a captured tensor, or two were equal
	faults   []error

	linear map[*node]linearResult     // of positionsOf
	bands  map[*node]bandResult       // of bandOf
	varies map[*node]bool             // of dependsOnInput
	halves map[leafHalves]partsResult // of leafParts
	weight func(plan.Hash) (transport.Weight, error)

	carried map[*lazy.Tensor]bool // inputs that are carried into
}

// bad is the result of make for what cannot be made. What is made of it is bad
// too, and a rule whose result is bad is not applied.
var bad = &node{seq: -1}

func newBuilder() *builder {
	return &builder{interned: map[string]*node{}, byRoot: map[string][]*rule{}}
}

// rulesOf are the rules whose root may be an operator.
func (b *builder) rulesOf(name string) []*rule {
	of, ok := b.byRoot[name]
	if !ok {
		for i := range rules {
			if slices.Contains(rules[i].roots, name) || slices.Contains(rules[i].roots, anyOperator) {
				of = append(of, &rules[i])
			}
		}
		b.byRoot[name] = of
	}
	return of
}

// make is the value of an operator in normal form. Inputs that the operator
// does not accept give bad.
func (b *builder) make(o op.Op, in ...*node) *node {
	if slices.Contains(in, bad) {
		return bad
	}
	b.specs = b.specs[:0]
	for _, x := range in {
		b.specs = append(b.specs, x.spec)
	}
	spec, err := o.Infer(b.specs)
	if err == nil && len(spec.Shape) > plan.MaxRank {
		err = fmt.Errorf("%w: rank %d", op.ErrShape, len(spec.Shape))
	}
	for _, d := range spec.Shape {
		if err == nil {
			err = d.Err()
		}
	}
	if err != nil {
		b.faults = append(b.faults, fmt.Errorf("%s: %w", o.Name(), err))
		return bad
	}
	return b.normal(o, spec, in)
}

// normal is make of an operator whose type and shape are known.
func (b *builder) normal(o op.Op, spec plan.Spec, in []*node) *node {
	if o.Traits().Commutative && len(in) == 2 && in[0].constant && !in[1].constant {
		in = []*node{in[1], in[0]}
		b.rewrote = true
	}
	key := b.keyOf(o, in)
	if n, ok := b.interned[key]; ok {
		return n
	}
	c := &node{op: o, in: in, spec: spec, at: b.at}
	n, changed := b.rewrite(c)
	if !changed {
		b.store(c)
		n = c
	}
	b.interned[key] = n
	return n
}

// rewrite folds the candidate or applies the first rule that matches it.
func (b *builder) rewrite(c *node) (*node, bool) {
	if n, ok := b.fold(c); ok {
		b.rewrote = true
		return n, true
	}
	if b.depth++; b.depth > maxNesting {
		b.fuel = 0
	}
	defer func() { b.depth-- }()
	for _, r := range b.rulesOf(c.op.Name()) {
		if b.fuel <= 0 {
			return nil, false
		}
		n, ok := r.apply(b, c)
		if !ok || n == nil || n == bad {
			continue
		}
		if !sameSpec(n.spec, c.spec) {
			b.faults = append(b.faults, fmt.Errorf("rule %s: %v for %v", r.name, n.spec, c.spec))
			continue
		}
		b.fuel--
		b.rewrote = true
		return n, true
	}
	return nil, false
}

func (b *builder) store(n *node) {
	n.seq, n.same = len(b.nodes), len(b.nodes)
	b.nodes = append(b.nodes, n)
}

// keyOf identifies an operator on inputs: name, attributes, and the inputs, in
// any order if it commutes.
func (b *builder) keyOf(o op.Op, in []*node) string {
	k := b.key[:0]
	k = append(k, o.Name()...)
	k = append(k, '{')
	k = append(k, o.Attrs().Key()...)
	k = append(k, '}')
	if len(in) == 2 && in[0].same > in[1].same && o.Traits().Commutative {
		in = []*node{in[1], in[0]}
	}
	for _, x := range in {
		k = strconv.AppendInt(append(k, ' '), int64(x.same), 10)
	}
	b.key = k
	return string(k)
}

// leaf is the value of a captured leaf.
func (b *builder) leaf(t *lazy.Tensor) *node {
	n := &node{leaf: t, spec: t.Spec(), at: t}
	b.store(n)
	if t.Kind() == lazy.KindConst {
		n.data, n.constant = t.ConstData(), true
		n.findUniform()
		// Equal constants stay apart, as parts of what reads them, and are the
		// same operand.
		key := constKey(n.spec, n.data)
		if x, ok := b.interned[key]; ok {
			n.same = x.same
		}
		b.interned[key] = n
	}
	return n
}

// constBytes is a constant, given its content in row-major order, little-endian.
func (b *builder) constBytes(dt plan.DType, data []byte, shape ...int) *node {
	spec := plan.Spec{DType: dt, Shape: op.Static(shape)}
	key := constKey(spec, data)
	if n, ok := b.interned[key]; ok {
		return n
	}
	n := &node{spec: spec, data: data, constant: true, at: b.at}
	n.findUniform()
	b.store(n)
	b.interned[key] = n
	return n
}

func constKey(spec plan.Spec, data []byte) string {
	return "=" + spec.String() + string(data)
}

// constF32 is a constant of float32 values.
func (b *builder) constF32(v []float32, shape ...int) *node {
	data := make([]byte, 0, 4*len(v))
	for _, x := range v {
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(x))
	}
	return b.constBytes(plan.F32, data, shape...)
}

// scale is x times c in the form that [node.scaled] takes apart; x itself for
// c = 1.
func (b *builder) scale(x *node, c float32) *node {
	if x == bad {
		return bad
	}
	if c == 1 {
		return x
	}
	if x.rank() == 0 {
		return b.make(op.Mul(), x, b.constF32([]float32{c}))
	}
	return b.make(op.Mul(), x, b.constF32([]float32{c}, 1))
}

// reshape is x with another shape.
func (b *builder) reshape(x *node, shape ...plan.Dim) *node {
	return b.make(op.Reshape{Shape: shape}, x)
}

// transpose is x with its axes permuted.
func (b *builder) transpose(x *node, perm ...int) *node {
	return b.make(op.Transpose{Perm: perm}, x)
}

// wanted reports whether somebody reads n by name: an output, a carried value,
// a value with a hint. A rule does not absorb it if its work would be done twice.
func (b *builder) wanted(n *node) bool { return n.wanted }

// refuse records why a pattern that nearly matched was not taken, at the
// captured tensor at hand. It returns what a rule returns then.
func (b *builder) refuse(rule, reason string, args ...any) (*node, bool) {
	n := Note{Rule: rule, At: b.at, Reason: fmt.Sprintf(reason, args...)}
	if len(b.notes) == 0 || b.notes[len(b.notes)-1] != n {
		b.notes = append(b.notes, n)
	}
	return nil, false
}
