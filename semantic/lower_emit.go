package semantic

import (
	"fmt"

	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport/plan"
)

// emit writes the two graphs as plans.
func (l *lowering) emit() error {
	p, ids, err := l.executorPlan()
	if err != nil {
		return err
	}
	l.out.Plan, l.out.Origins = p, l.origins(p, ids)
	if len(l.client.targets) > 0 {
		if err := l.emitClient(); err != nil {
			return err
		}
	}
	l.locate()
	return nil
}

// origins are the captured tensors of the values of a plan.
func (l *lowering) origins(p *plan.Plan, ids map[*irNode]int) []*lazy.Tensor {
	captured := l.s.face().Graph.Tensors()
	out := make([]*lazy.Tensor, len(p.Values))
	for n, v := range ids {
		if at := l.s.ownerOf(n.key); at >= 0 {
			out[v] = captured[at]
		}
	}
	return out
}

// executorPlan writes the executor's part. It returns the value of each node
// beside the plan.
func (l *lowering) executorPlan() (*plan.Plan, map[*irNode]int, error) {
	p, ids, err := l.plan(l.main, "")
	if err != nil {
		return nil, nil, err
	}
	for _, o := range l.mainOuts {
		place := plan.Download
		if l.retained(o) {
			place = plan.Retain
		}
		n := o.copied
		if n == nil {
			n = l.main.current(o.src)
		}
		p.Outputs = append(p.Outputs, plan.Output{Name: o.name, Value: ids[n], Place: place, Cause: o.cause})
	}
	for _, st := range l.states {
		p.States = append(p.States, plan.State{
			Name: l.stateName(st.in.src), Mode: st.mode, In: ids[st.in], Out: ids[st.out], Axis: st.axis,
		})
	}
	return p, ids, l.finish(p)
}

// current is the node that has a captured tensor's value after rewriting.
func (g *irGraph) current(t *lazy.Tensor) *irNode { return g.nodes[t.ID()] }

func (l *lowering) emitClient() error {
	p, ids, err := l.plan(l.client, "client")
	if err != nil {
		return err
	}
	for _, o := range l.r.Outputs {
		if l.onSide[o.Tensor.ID()] {
			p.Outputs = append(p.Outputs, plan.Output{Name: o.Name, Value: ids[l.client.current(o.Tensor)], Place: plan.Download, Cause: plan.CauseToken})
		}
	}
	if err := l.finish(p); err != nil {
		return err
	}
	l.out.Client = p
	return nil
}

func (l *lowering) finish(p *plan.Plan) error {
	if err := p.Validate(); err != nil {
		return fmt.Errorf("%w: %w", ErrPolicy, err)
	}
	operators, err := l.s.Graph.CustomOperators()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrPolicy, err)
	}
	if err := assignBuffers(p, operators); err != nil {
		return fmt.Errorf("%w: %w", ErrPolicy, err)
	}
	return nil
}

// locate records where each requested output is found.
func (l *lowering) locate() {
	atClient := 0
	for _, o := range l.r.Outputs {
		if l.onSide[o.Tensor.ID()] {
			l.out.Results = append(l.out.Results, Result{Client: true, Output: atClient})
			atClient++
			continue
		}
		l.out.Results = append(l.out.Results, Result{Output: l.outAt[o.Tensor]})
	}
}

// plan writes values and steps of one graph.
func (l *lowering) plan(g *irGraph, side string) (*plan.Plan, map[*irNode]int, error) {
	order, ok := g.order()
	if !ok {
		return nil, nil, planErr("the steps of %q depend on each other in a circle", l.s.Graph.Name())
	}
	p := &plan.Plan{Version: plan.Version, Name: clip(l.s.Graph.Name()), Phase: l.r.Profile.String(), Policy: clip(l.f.Label + side)}
	ids := make(map[*irNode]int, len(order))
	for _, n := range order {
		v := plan.Value{Spec: n.spec, Buffer: plan.NoBuffer}
		if n.op == nil {
			l.leaf(p, g, n, &v, len(p.Values))
		} else {
			v.Kind = plan.KindTemp
			s := plan.Step{Op: n.op.Name(), Attrs: n.op.Attrs(), Out: len(p.Values)}
			for _, in := range n.in {
				s.In = append(s.In, ids[in])
			}
			if n.src != nil {
				s.Branch = l.s.Nodes[n.src.ID()].Branch
			}
			p.Steps = append(p.Steps, s)
		}
		ids[n] = len(p.Values)
		p.Values = append(p.Values, v)
	}
	p.Version = p.Needs()
	return p, ids, nil
}

// clip shortens a label to the limit of a plan.
func clip(s string) string { return s[:min(len(s), plan.MaxNameLen)] }

// leaf records the source of a leaf's bytes.
func (l *lowering) leaf(p *plan.Plan, g *irGraph, n *irNode, v *plan.Value, id int) {
	t := n.src
	v.Name = t.Name()
	client := g == l.client
	src := Source{Kind: FromFeed, Tensor: l.s.capturedOf(t)}
	name := t.Name()
	switch n.kind {
	case lazy.KindConst:
		v.Kind, v.Const = plan.KindConst, t.ConstData()
		return
	case lazy.KindWeight:
		if client || l.staysWeight(t) {
			v.Kind = plan.KindWeight
			v.Hash, v.Storage = t.WeightRef()
			return
		}
		src.Kind, src.Cause, name = FromWeight, plan.CauseWeights, "weight:"+name
	case lazy.KindInput:
		src.Cause = l.inputCause(t)
		if i, ok := l.carried[t.ID()]; ok {
			if l.stays(i) && !client {
				v.Kind = plan.KindState
				return
			}
			src.Kind = FromCarry
		}
	case lazy.KindOp: // computed by the executor, read by the client
		src.Kind, src.Cause, name = FromOutput, l.outputCause(t), fmt.Sprintf("cut:%d", t.ID())
		src.Output = l.outAt[t]
	}
	v.Kind = plan.KindInput
	p.Inputs = append(p.Inputs, plan.Port{Name: clip(name), Value: id})
	if client {
		l.out.ClientInputs = append(l.out.ClientInputs, src)
	} else {
		l.out.Inputs = append(l.out.Inputs, src)
	}
}
