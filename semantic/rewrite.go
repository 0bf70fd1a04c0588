package semantic

import (
	"fmt"

	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport/plan"
)

// Rewriter is the program that an executor will compute, while [Rules.Rewrite]
// changes it. It is valid only during that call.
type Rewriter struct {
	l      *lowering
	values map[*irNode]*Value
}

// Value is a value of a program that is being rewritten: of a captured tensor, or of
// an operator that a rewrite has inserted.
type Value struct {
	n *irNode
	r *Rewriter
}

// Op is the operator that computes v, nil for a leaf.
func (v *Value) Op() lazy.Operator {
	if v.n.op == nil {
		return nil
	}
	return v.n.op
}

// Traits are those of v's operator, none for a leaf.
func (v *Value) Traits() Traits {
	if v.n.op == nil {
		return Traits{}
	}
	return traitsOf(v.n.op)
}

// In lists what the operator reads.
func (v *Value) In() []*Value {
	out := make([]*Value, len(v.n.in))
	for i, n := range v.n.in {
		out[i] = v.r.value(n)
	}
	return out
}

// Spec is the element type and the shape.
func (v *Value) Spec() plan.Spec { return v.n.spec }

// Tensor is the captured tensor with this value, nil for a value that was
// inserted. Its index in [SRG.Nodes] is its ID. Its operator may be another than
// v's, which computes several captured operators at once.
func (v *Value) Tensor() *lazy.Tensor { return v.r.l.s.capturedOf(v.n.src) }

func (r *Rewriter) value(n *irNode) *Value {
	if r.values[n] == nil {
		r.values[n] = &Value{n, r}
	}
	return r.values[n]
}

// SRG is the analysis of the captured program.
func (r *Rewriter) SRG() *SRG { return r.l.s.face() }

// Request is the request for the plan.
func (r *Rewriter) Request() Request { return r.l.request }

// Values lists the computed values and the leaves that are read, each after its
// inputs. It omits values that nothing reads any more.
func (r *Rewriter) Values() []*Value {
	var out []*Value
	seen := map[*irNode]bool{}
	var visit func(n *irNode)
	visit = func(n *irNode) {
		if seen[n] {
			return
		}
		seen[n] = true
		for _, in := range n.in {
			visit(in)
		}
		out = append(out, r.value(n))
	}
	for _, n := range r.l.main.targets {
		visit(n)
	}
	for _, c := range r.l.s.Graph.Carries() {
		visit(r.l.main.current(c.In))
		visit(r.l.main.current(c.Out))
	}
	return out
}

// Insert applies an operator, given by name and attributes, to other values.
// The result is computed once something reads it: see [Rewriter.Replace]. An
// unknown operator, and attributes or inputs that it does not accept, are
// [ErrPolicy].
func (r *Rewriter) Insert(operator string, attrs plan.Attrs, in ...*Value) (*Value, error) {
	o, err := op.New(operator, attrs)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPolicy, err)
	}
	if o.Traits().Overwrites {
		return nil, planErr("%s writes over state; updates of state are made of the carried pairs", operator)
	}
	n := r.l.main.node(0)
	n.kind, n.op = lazy.KindOp, o
	specs, nodes := make([]plan.Spec, len(in)), make([]*irNode, len(in))
	for i, v := range in {
		if err := r.owns(v); err != nil {
			return nil, err
		}
		specs[i], nodes[i] = v.n.spec, v.n
		n.key = max(n.key, v.n.key)
	}
	if n.spec, err = o.Infer(specs); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrPolicy, operator, err)
	}
	r.l.main.reads(n, nodes)
	return r.value(n), nil
}

func (r *Rewriter) owns(v *Value) error {
	if v == nil || v.r != r {
		return planErr("a value of another program")
	}
	return nil
}

// Replace makes all readers of old, and the outputs and carried pairs that have
// its value, read by instead; the inputs of by keep old. To drop an operator,
// replace it by its input; to insert one after it, replace it by the inserted
// value.
//
// A replacement has the shape and the values of what it replaces. Replace
// computes both with the reference kernels, from random values of their inputs,
// and compares them to float32 accuracy. If they differ, or cannot be computed
// cheaply, it replaces nothing and returns [ErrPolicy]. Leaves are not
// replaced.
func (r *Rewriter) Replace(old, by *Value) error {
	for _, v := range []*Value{old, by} {
		if err := r.owns(v); err != nil {
			return err
		}
	}
	if old == by {
		return nil
	}
	if old.n.op == nil {
		return planErr("%q is a leaf", old.n.src.Name())
	}
	if a, b := old.n.spec, by.n.spec; a.DType != b.DType || !a.Shape.Equal(b.Shape) {
		return planErr("%s of %v is replaced by %v", old.n.op.Name(), a, b)
	}
	if err := equivalent(old.n, by.n); err != nil {
		return err
	}
	r.l.main.substitute(old.n, by.n)
	return nil
}

// substitute is replace, except for the readers from which n itself is
// computed.
func (g *irGraph) substitute(old, n *irNode) {
	above := map[*irNode]bool{}
	stack := []*irNode{n}
	for len(stack) > 0 {
		x := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if !above[x] {
			above[x] = true
			stack = append(stack, x.in...)
		}
	}
	var keep, move []*irNode
	for _, u := range g.users[old] {
		if above[u] {
			keep = append(keep, u)
		} else {
			move = append(move, u)
		}
	}
	g.users[old] = move
	g.replace(old, n, g.users)
	if len(keep) > 0 {
		g.users[old] = keep
	}
}
