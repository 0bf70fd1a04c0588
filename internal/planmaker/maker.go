// Package planmaker generates plans from bytes, and corrupts them: for fuzz
// tests of code that takes plans of others. Most of them are valid, with the
// shapes, buffers and states that their steps need.
//
//	p, weights, rest := planmaker.Make(data)
package planmaker

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// Draws hands out a fuzzer's bytes; when they are used up it returns zeros.
type Draws []byte

// Byte is the next byte.
func (d *Draws) Byte() int {
	if len(*d) == 0 {
		return 0
	}
	b := (*d)[0]
	*d = (*d)[1:]
	return int(b)
}

// Below is a number below n, which is at most 256.
func (d *Draws) Below(n int) int { return d.Byte() % n }

// Maker builds a mostly valid plan from a fuzzer's bytes: shapes are inferred,
// buffers belong to their values, states grow as declared. The checks should
// find what it corrupts at the end.
type Maker struct {
	Draws
	p       plan.Plan
	weights transport.Weights
}

// Make returns the plan of data, its weights and the rest of data. The plan may
// be invalid: then it does not encode.
func Make(data []byte) (*plan.Plan, transport.Weights, *Draws) {
	m := New(data)
	for range 1 + m.Below(3) {
		m.Input(plan.Spec{DType: m.dtype(), Shape: m.shape(false)})
	}
	for range m.Below(3) {
		m.weight()
	}
	for range m.Below(3) {
		m.constant()
	}
	for range m.Below(3) {
		m.state()
	}
	for range 1 + m.Below(14) {
		m.step()
	}
	m.outputs()
	m.Assign()
	m.spoil()
	return &m.p, m.weights, &m.Draws
}

// New makes a maker without values, which draws from data.
func New(data []byte) *Maker {
	m := &Maker{Draws: data, weights: transport.Weights{}}
	m.p = plan.Plan{
		Version: plan.Version, Name: "fuzz", Values: []plan.Value{}, Steps: []plan.Step{},
		Inputs: []plan.Port{}, Outputs: []plan.Output{}, States: []plan.State{},
	}
	return m
}

// Plan is the plan so far.
func (m *Maker) Plan() *plan.Plan { return &m.p }

// Input adds an input.
func (m *Maker) Input(spec plan.Spec) int {
	v := m.leaf(plan.Value{Kind: plan.KindInput, Spec: spec})
	m.p.Inputs = append(m.p.Inputs, plan.Port{Name: m.p.Values[v].Name, Value: v})
	return v
}

func (m *Maker) leaf(v plan.Value) int {
	v.Buffer, v.Name = plan.NoBuffer, fmt.Sprintf("v%d", len(m.p.Values))
	m.p.Values = append(m.p.Values, v)
	return len(m.p.Values) - 1
}

func (m *Maker) dtype() plan.DType {
	return []plan.DType{plan.F32, plan.F32, plan.F32, plan.I32, plan.I64, plan.Bool}[m.Below(6)]
}

func (m *Maker) dim(fixed bool) plan.Dim {
	b := m.Byte()
	if fixed || b < 160 {
		return plan.C([]int{1, 2, 3, 4, 5, 6, 8, 16, 17, 0}[b%10])
	}
	return []plan.Dim{
		plan.Sym("a"), plan.Sym("b"), plan.Sym("a").Add(plan.Sym("b")), plan.Sym("a").Scale(2), plan.Sym("a").Mul(plan.Sym("b")), plan.Sym("a").Sub(plan.C(1)),
		plan.Sym("a").FloorDiv(2), plan.Sym("a").Add(plan.Sym("b")).FloorDiv(3),
	}[b%8]
}

func (m *Maker) shape(fixed bool) plan.Shape {
	var s plan.Shape
	for range m.Below(5) {
		s = append(s, m.dim(fixed))
	}
	return s
}

func elements(s plan.Shape) int {
	n, _ := s.Elements().Const()
	return n
}

// content is n small numbers.
func content(n, seed int) []float32 {
	out := make([]float32, n)
	for i := range out {
		out[i] = float32((seed+i*7)%11-5) / 4
	}
	return out
}

func (m *Maker) weight() {
	spec := plan.Spec{DType: plan.F32, Shape: m.shape(true)}
	if elements(spec.Shape) > 4096 {
		return
	}
	storage := []plan.DType{plan.F32, plan.BF16, plan.F16}[m.Below(3)]
	var data []byte
	for _, x := range content(elements(spec.Shape), m.Byte()) {
		switch bits := math.Float32bits(x); storage {
		case plan.F32:
			data = binary.LittleEndian.AppendUint32(data, bits)
		case plan.BF16:
			data = binary.LittleEndian.AppendUint16(data, uint16(bits>>16))
		default:
			data = binary.LittleEndian.AppendUint16(data, uint16(bits>>16)&0x3bff) // any finite half
		}
	}
	shape, _ := spec.Shape.Eval(nil)
	h := transport.HashWeight(storage, shape, data)
	m.weights[h] = transport.Weight{Hash: h, Storage: storage, Shape: shape, Data: data}
	m.leaf(plan.Value{Kind: plan.KindWeight, Spec: spec, Hash: h, Storage: storage})
}

func (m *Maker) constant() {
	spec := plan.Spec{DType: m.dtype(), Shape: m.shape(true)}
	if elements(spec.Shape) > 4096 {
		return
	}
	m.leaf(plan.Value{Kind: plan.KindConst, Spec: spec, Const: Elements(spec.DType, elements(spec.Shape), m.Byte())})
}

// Elements is n elements of a type, indices mostly in range of small tables.
func Elements(t plan.DType, n, seed int) []byte {
	out := make([]byte, 0, n*t.Size())
	for i, x := range content(n, seed) {
		switch t {
		case plan.F32:
			out = binary.LittleEndian.AppendUint32(out, math.Float32bits(x))
		case plan.I32:
			out = binary.LittleEndian.AppendUint32(out, uint32(int32(x+1.25)))
		case plan.I64:
			out = binary.LittleEndian.AppendUint64(out, uint64(int64(x+1.25)))
		default:
			out = append(out, byte(i&1))
		}
	}
	return out
}

// state is carried state with the step that updates it, if it is updated in
// place.
func (m *Maker) state() {
	name := fmt.Sprintf("s%d", len(m.p.States))
	shape := m.shape(true)
	mode := plan.StateMode(1 + m.Below(3))
	if mode == plan.StateReplace || len(shape) == 0 {
		st := m.leaf(plan.Value{Kind: plan.KindState, Spec: plan.Spec{DType: plan.F32, Shape: shape}})
		m.p.States = append(m.p.States, plan.State{Name: name, Mode: plan.StateReplace, In: st, Out: st})
		return
	}
	axis := m.Below(len(shape))
	if mode == plan.StateAppend {
		rows := slices.Clone(shape)
		rows[axis] = m.dim(false)
		in := m.Input(plan.Spec{DType: plan.F32, Shape: rows})
		shape[axis] = plan.Sym("past" + name)
		st := m.leaf(plan.Value{Kind: plan.KindState, Spec: plan.Spec{DType: plan.F32, Shape: shape}})
		if out, ok := m.Apply("append", plan.Attrs{plan.Int("axis", axis)}, st, in); ok {
			m.p.States = append(m.p.States, plan.State{Name: name, Mode: mode, In: st, Out: out, Axis: axis})
		}
		return
	}
	st := m.leaf(plan.Value{Kind: plan.KindState, Spec: plan.Spec{DType: plan.F32, Shape: shape}})
	s := plan.State{Name: name, Mode: plan.StateReplace, In: st, Out: st}
	for range 3 { // rows and positions among the existing ones
		if out, ok := m.Apply("write_rows", plan.Attrs{plan.Int("axis", axis)}, st, m.value(), m.value()); ok {
			s.Mode, s.Out = mode, out
			break
		}
	}
	m.p.States = append(m.p.States, s)
}

// value is an existing value, usually a late one.
func (m *Maker) value() int {
	n, b := len(m.p.Values), m.Byte()
	if b < 128 {
		return n - 1 - b%min(n, 4)
	}
	return b % n
}

func (m *Maker) step() {
	name, attrs, inputs := m.operator()
	in := make([]int, inputs)
	for i := range in {
		in[i] = m.value()
	}
	var shape plan.Shape
	if len(in) > 0 {
		shape = m.p.Values[in[0]].Spec.Shape
	}
	switch name {
	case "transpose":
		perm := make([]int, len(shape))
		for i := range perm {
			perm[i] = i
		}
		for i := range perm {
			j := m.Below(len(perm))
			perm[i], perm[j] = perm[j], perm[i]
		}
		attrs = plan.Attrs{plan.Ints("perm", perm)}
	case "reshape":
		attrs = plan.Attrs{plan.Dims("shape", m.reshaped(shape)...)}
	}
	m.Apply(name, attrs, in...)
}

// reshaped joins or splits dimensions.
func (m *Maker) reshaped(s plan.Shape) plan.Shape {
	if len(s) == 0 || m.Below(4) == 3 {
		return plan.Shape{s.Elements()}
	}
	i := m.Below(len(s))
	out := slices.Clone(s)
	if i+1 < len(s) && m.Below(2) == 0 {
		out[i] = out[i].Mul(out[i+1])
		return slices.Delete(out, i+1, i+2)
	}
	by := plan.C(1 + m.Below(4))
	if d, ok := out[i].Div(by); ok {
		out[i] = d
		return slices.Insert(out, i, by)
	}
	return append(out, plan.C(1))
}

// Apply adds a step if the operator accepts the inputs.
func (m *Maker) Apply(name string, attrs plan.Attrs, in ...int) (int, bool) {
	o, err := op.New(name, attrs)
	if err != nil {
		return 0, false
	}
	specs := make([]plan.Spec, len(in))
	for i, v := range in {
		specs[i] = m.p.Values[v].Spec
	}
	spec, err := o.Infer(specs)
	if err != nil || len(m.p.Values) > 60 {
		return 0, false
	}
	out := m.leaf(plan.Value{Kind: plan.KindTemp, Spec: spec})
	m.p.Steps = append(m.p.Steps, plan.Step{Op: name, Attrs: o.Attrs(), In: in, Out: out, Branch: m.Below(3)})
	return out, true
}

func (m *Maker) outputs() {
	for i := range 1 + m.Below(3) {
		m.p.Outputs = append(m.p.Outputs, plan.Output{
			Name: fmt.Sprint("o", i), Value: m.value(), Place: plan.Place(1 + m.Below(8)/7), Cause: plan.CauseActivation,
		})
	}
	for i := range m.p.States { // a value like the state becomes the next one
		s := &m.p.States[i]
		if v := m.value(); s.Mode == plan.StateReplace && m.p.Values[v].Spec.String() == m.p.Values[s.In].Spec.String() {
			s.Out = v
		}
	}
}

// Assign gives each root its own buffer, or one by liveness.
func (m *Maker) Assign() {
	m.p.Version = m.p.Needs()
	r, err := op.Resolve(&m.p)
	if err != nil {
		return
	}
	var lives []op.Lifetime
	for v := range m.p.Values {
		if r.InScratch(v) {
			lives = append(lives, op.Lifetime{Value: v, Def: r.Def[v], Last: r.Last[v]})
		}
	}
	buffers, n := op.AssignBuffers(&m.p, lives)
	m.p.Buffers = n
	for i, l := range lives {
		m.p.Values[l.Value].Buffer = buffers[i]
	}
	for v := range m.p.Values {
		if b := r.Base[v]; m.p.Values[v].Kind == plan.KindTemp && r.InScratch(b) {
			m.p.Values[v].Buffer = m.p.Values[b].Buffer
		}
	}
}

// spoil corrupts one thing, or nothing.
func (m *Maker) spoil() {
	if m.Below(3) != 2 {
		return
	}
	v := &m.p.Values[m.value()]
	at, other := m.Byte(), m.value()
	steps, states := max(len(m.p.Steps), 1), max(len(m.p.States), 1)
	switch kind := m.Below(12); {
	case kind == 0:
		v.Buffer = m.Below(6) - 2
	case kind == 1:
		v.Spec.Shape = m.shape(false)
	case kind == 2:
		v.Spec.DType = plan.DType(m.Below(8))
	case kind == 3:
		v.Kind = plan.Kind(m.Below(7))
	case kind == 4:
		m.p.Buffers = m.Below(70)
	case kind == 5:
		m.p.Outputs[at%len(m.p.Outputs)].Value = at
	case kind == 6 && len(m.p.Inputs) > 0:
		m.p.Inputs[at%len(m.p.Inputs)].Value = other
	case len(m.p.Steps) > 0 && kind <= 9:
		s := &m.p.Steps[at%steps]
		switch kind {
		case 7:
			s.Out = other
		case 8:
			s.In = append(s.In, other)
		default:
			if at := m.Below(max(len(s.In), 1)); at < len(s.In) {
				s.In[at] = m.Byte() % (len(m.p.Values) + 2)
			}
		}
	case len(m.p.States) > 0:
		s := &m.p.States[at%states]
		switch m.Below(4) {
		case 0:
			s.Axis = m.Below(10)
		case 1:
			s.Mode = plan.StateMode(m.Below(5))
		case 2:
			s.Out = other
		default:
			s.In = other
		}
	}
}
