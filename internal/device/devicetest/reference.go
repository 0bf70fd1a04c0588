package devicetest

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// reference interprets a plan: step by step, each value in its own memory, by
// the operators' references.
type reference struct {
	plan    *plan.Plan
	weights transport.Weights
	ops     []op.Op
	states  []*op.Array // nil before the first run
}

func newReference(p *plan.Plan, weights transport.Weights) (*reference, error) {
	r := &reference{plan: p, weights: weights, states: make([]*op.Array, len(p.States))}
	for _, s := range p.Steps {
		o, err := op.New(s.Op, s.Attrs)
		if err != nil {
			return nil, err
		}
		r.ops = append(r.ops, o)
	}
	return r, nil
}

// run returns the outputs. It does not compute values without elements,
// whatever an operator would require of its inputs. After an error the states
// are unchanged.
func (r *reference) run(sizes plan.Bindings, inputs [][]byte) ([]*op.Array, error) {
	if len(inputs) != len(r.plan.Inputs) {
		return nil, fmt.Errorf("%w: %d inputs", transport.ErrUnknownInput, len(inputs))
	}
	values := make([]*op.Array, len(r.plan.Values))
	for v := range r.plan.Values {
		x := &r.plan.Values[v]
		if x.Kind == plan.KindTemp {
			continue
		}
		a, err := empty(x, sizes)
		if err != nil {
			return nil, err
		}
		if values[v] = a; x.Kind == plan.KindConst {
			a.Data = x.Const
		} else if x.Kind == plan.KindWeight {
			a.Data = widened(r.weights[x.Hash], x.Spec.DType)
		}
	}
	for i, in := range r.plan.Inputs {
		values[in.Value].Data = inputs[i] //nolint:gosec // there are as many
	}
	for i, st := range r.plan.States {
		if r.states[i] != nil {
			if !slices.Equal(r.states[i].Shape, values[st.In].Shape) {
				return nil, fmt.Errorf("%w: state %q", transport.ErrState, st.Name)
			}
			values[st.In] = r.states[i]
		}
	}
	if err := r.conditions(sizes); err != nil {
		return nil, err
	}
	for k, s := range r.plan.Steps {
		out, err := empty(&r.plan.Values[s.Out], sizes)
		if err != nil {
			return nil, err
		}
		in := make([]*op.Array, len(s.In))
		for i, v := range s.In {
			in[i] = values[v]
		}
		if values[s.Out] = out; out.Len() == 0 {
			continue
		}
		if err := bound(r.ops[k], sizes).Eval(out, in, nil); err != nil {
			return nil, err
		}
	}
	for i, st := range r.plan.States {
		r.states[i] = values[st.Out]
	}
	var outs []*op.Array
	for _, o := range r.plan.Outputs {
		outs = append(outs, values[o.Value])
	}
	return outs, nil
}

// conditions are the operators' conditions on sizes.
func (r *reference) conditions(sizes plan.Bindings) error {
	for k, s := range r.plan.Steps {
		if _, err := empty(&r.plan.Values[s.Out], sizes); err != nil {
			return err
		}
		c, ok := r.ops[k].(op.Conditional)
		if !ok {
			continue
		}
		dims, what := c.Conditions(r.specs(s.In))
		for _, d := range dims {
			if n, err := d.Eval(sizes); err != nil || n < 0 {
				return fmt.Errorf("%w: %s", transport.ErrShape, what)
			}
		}
	}
	return nil
}

func (r *reference) specs(values []int) []plan.Spec {
	in := make([]plan.Spec, len(values))
	for i, v := range values {
		in[i] = r.plan.Values[v].Spec
	}
	return in
}

// empty is a value of zeros.
func empty(v *plan.Value, sizes plan.Bindings) (*op.Array, error) {
	shape, err := v.Spec.Shape.Eval(sizes)
	if err != nil {
		return nil, fmt.Errorf("%w: %v", transport.ErrShape, err) //nolint:errorlint // one cause
	}
	return op.NewArray(v.Spec.DType, shape...), nil
}

// widened is a weight's content in its compute type.
func widened(w transport.Weight, t plan.DType) []byte {
	if w.Storage == t {
		return w.Data
	}
	wide := op.NewArray(plan.F32, len(w.Data)/2)
	for i := range wide.F32() {
		wide.F32()[i] = op.Widen(w.Storage, binary.LittleEndian.Uint16(w.Data[2*i:]))
	}
	return wide.Data
}

// bound is an operator whose attributes are numbers.
func bound(o op.Op, sizes plan.Bindings) op.Op {
	if s, ok := o.(op.Slice); ok {
		from, _ := s.Start.Eval(sizes)
		to, _ := s.Stop.Eval(sizes)
		return op.Slice{Axis: s.Axis, Start: plan.C(from), Stop: plan.C(to)}
	}
	return o
}
