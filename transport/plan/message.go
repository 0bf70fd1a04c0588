package plan

import (
	"fmt"
	"math"

	"github.com/genie-sdk/go/transport/plan/internal/planpb"
)

// message is the protobuf form of a valid plan.
func (p *Plan) message() *planpb.Plan {
	m := &planpb.Plan{
		Version: p.Version, Name: p.Name, Phase: p.Phase, Policy: p.Policy,
		Buffers: uint32(p.Buffers),
		Values:  make([]*planpb.Value, len(p.Values)),
		Steps:   make([]*planpb.Step, len(p.Steps)),
		Inputs:  make([]*planpb.Port, len(p.Inputs)),
		Outputs: make([]*planpb.Output, len(p.Outputs)),
		States:  make([]*planpb.State, len(p.States)),
	}
	for i := range p.Values {
		m.Values[i] = p.Values[i].message()
	}
	for i := range p.Steps {
		m.Steps[i] = p.Steps[i].message()
	}
	for i, in := range p.Inputs {
		m.Inputs[i] = &planpb.Port{Name: in.Name, Value: uint32(in.Value)}
	}
	for i, o := range p.Outputs {
		m.Outputs[i] = &planpb.Output{
			Name: o.Name, Value: uint32(o.Value), Place: uint32(o.Place), Cause: uint32(o.Cause),
		}
	}
	for i, s := range p.States {
		m.States[i] = &planpb.State{
			Name: s.Name, Mode: uint32(s.Mode), In: uint32(s.In), Out: uint32(s.Out), Axis: uint32(s.Axis),
		}
	}
	return m
}

func (v *Value) message() *planpb.Value {
	m := &planpb.Value{
		Kind: uint32(v.Kind), Name: v.Name, Dtype: uint32(v.Spec.DType),
		Shape: dimTexts(v.Spec.Shape), Buffer: uint32(v.Buffer + 1),
		Storage: uint32(v.Storage), Content: v.Const,
	}
	if v.Hash != (Hash{}) {
		m.Hash = v.Hash[:]
	}
	return m
}

func (s *Step) message() *planpb.Step {
	m := &planpb.Step{
		Op: s.Op, Out: uint32(s.Out), Device: uint32(s.Device), Branch: uint32(s.Branch),
		Attrs: make([]*planpb.Attr, len(s.Attrs)), In: make([]uint32, len(s.In)),
	}
	for i, in := range s.In {
		m.In[i] = uint32(in)
	}
	for i, a := range s.Attrs {
		m.Attrs[i] = &planpb.Attr{
			Key: a.Key, Kind: uint32(a.Kind), Int: a.Int, F64: a.F64, Str: a.Str,
			Ints: a.Ints, Dims: dimTexts(a.Dims),
		}
	}
	return m
}

func dimTexts(s []Dim) []string {
	t := make([]string, len(s))
	for i, d := range s {
		t[i] = d.String()
	}
	return t
}

// fromMessage builds the plan. It reports values that do not fit their fields;
// [Plan.Validate] checks the rest.
func fromMessage(m *planpb.Plan) (*Plan, error) {
	r := reader{read: map[string]Dim{}}
	p := &Plan{
		Version: m.GetVersion(), Name: m.GetName(), Phase: m.GetPhase(), Policy: m.GetPolicy(),
		Buffers: r.index(m.GetBuffers()),
		Values:  make([]Value, len(m.GetValues())),
		Steps:   make([]Step, len(m.GetSteps())),
		Inputs:  make([]Port, len(m.GetInputs())),
		Outputs: make([]Output, len(m.GetOutputs())),
		States:  make([]State, len(m.GetStates())),
	}
	for i, v := range m.GetValues() {
		p.Values[i] = r.value(v)
	}
	for i, s := range m.GetSteps() {
		p.Steps[i] = r.step(s)
	}
	for i, in := range m.GetInputs() {
		p.Inputs[i] = Port{Name: in.GetName(), Value: r.index(in.GetValue())}
	}
	for i, o := range m.GetOutputs() {
		p.Outputs[i] = Output{
			Name: o.GetName(), Value: r.index(o.GetValue()),
			Place: Place(r.small(o.GetPlace())), Cause: Cause(r.small(o.GetCause())),
		}
	}
	for i, s := range m.GetStates() {
		p.States[i] = State{
			Name: s.GetName(), Mode: StateMode(r.small(s.GetMode())),
			In: r.index(s.GetIn()), Out: r.index(s.GetOut()), Axis: r.index(s.GetAxis()),
		}
	}
	return p, r.err
}

// reader converts fields and remembers the first error.
type reader struct {
	err  error
	read map[string]Dim // most dimensions of a plan are the same
}

func (r *reader) failf(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf("%w: "+format, append([]any{ErrInvalid}, args...)...)
	}
}

func (r *reader) small(n uint32) uint8 {
	if n > math.MaxUint8 {
		r.failf("unknown number %d", n)
	}
	return uint8(n)
}

func (r *reader) index(n uint32) int {
	if n > math.MaxInt32 {
		r.failf("index %d", n)
		return 0
	}
	return int(n)
}

func (r *reader) dims(texts []string) []Dim {
	if len(texts) == 0 {
		return nil
	}
	dims := make([]Dim, len(texts))
	for i, t := range texts {
		d, ok := r.read[t]
		if !ok {
			var err error
			if d, err = ParseDim(t); err != nil && r.err == nil {
				r.err = err
			}
			r.read[t] = d
		}
		dims[i] = d
	}
	return dims
}

func (r *reader) value(m *planpb.Value) Value {
	v := Value{
		Kind: Kind(r.small(m.GetKind())), Name: m.GetName(),
		Spec:    Spec{DType: DType(r.small(m.GetDtype())), Shape: r.dims(m.GetShape())},
		Buffer:  r.index(m.GetBuffer()) - 1,
		Storage: DType(r.small(m.GetStorage())),
		Const:   m.GetContent(),
	}
	switch h := m.GetHash(); len(h) {
	case 0:
	case len(v.Hash):
		copy(v.Hash[:], h)
	default:
		r.failf("value %.80q has a hash of %d bytes", v.Name, len(h))
	}
	return v
}

func (r *reader) step(m *planpb.Step) Step {
	s := Step{
		Op: m.GetOp(), Out: r.index(m.GetOut()), Device: r.index(m.GetDevice()), Branch: r.index(m.GetBranch()),
		In: make([]int, len(m.GetIn())),
	}
	for i, in := range m.GetIn() {
		s.In[i] = r.index(in)
	}
	if len(m.GetAttrs()) > 0 {
		s.Attrs = make(Attrs, len(m.GetAttrs()))
	}
	for i, a := range m.GetAttrs() {
		s.Attrs[i] = Attr{
			Key: a.GetKey(), Kind: AttrKind(r.small(a.GetKind())), Int: a.GetInt(), F64: a.GetF64(), Str: a.GetStr(),
			Ints: a.GetInts(), Dims: r.dims(a.GetDims()),
		}
	}
	return s
}
