package semantic

import "github.com/genie-sdk/go/lazy"

// newLowering begins with a request about the captured program, and asks the same
// of its normal form.
func newLowering(f Rules, face *SRG, r Request) (*lowering, error) {
	s := face.core()
	l := &lowering{
		f: f, s: s, r: r, request: r, main: newIR(), client: newIR(), onSide: map[int]bool{},
		carried: map[int]int{}, out: &Schedule{},
		outAt: map[*lazy.Tensor]int{}, logits: map[*lazy.Tensor]bool{}, chosen: map[*lazy.Tensor]bool{},
	}
	l.findSampling()
	for i, c := range s.Graph.Carries() {
		l.carried[c.In.ID()] = i
	}
	if len(r.Outputs) == 0 {
		l.r.Outputs = s.Graph.Outputs()
		l.request.Outputs = s.face().Graph.Outputs()
		return l, nil
	}
	l.r.Outputs = make([]lazy.Named, len(r.Outputs))
	for i, o := range r.Outputs {
		if o.Tensor == nil || o.Tensor.Graph() != face.Graph || o.Tensor.Err() != nil {
			return nil, planErr("output %q is no tensor of the graph %q", o.Name, face.Graph.Name())
		}
		l.r.Outputs[i] = lazy.Named{Name: o.Name, Tensor: face.normalOf(o.Tensor)}
	}
	return l, nil
}

// asked is the captured tensor with the value of one of the normal form: the
// requested one, if it is requested.
func (l *lowering) asked(t *lazy.Tensor) *lazy.Tensor {
	for i, o := range l.r.Outputs {
		if o.Tensor == t {
			return l.request.Outputs[i].Tensor
		}
	}
	return l.s.capturedOf(t)
}
