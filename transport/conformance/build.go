package conformance

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// builder builds plans; every temporary value has its own buffer.
type builder struct {
	p       plan.Plan
	weights transport.Weights
}

func newBuilder(name string) *builder {
	return &builder{
		p:       plan.Plan{Version: plan.Version, Name: name, Phase: "forward", Policy: "conformance"},
		weights: transport.Weights{},
	}
}

func f32(dims ...plan.Dim) plan.Spec { return plan.Spec{DType: plan.F32, Shape: dims} }
func i32(dims ...plan.Dim) plan.Spec { return plan.Spec{DType: plan.I32, Shape: dims} }

func (b *builder) value(v plan.Value) int {
	if v.Kind != plan.KindTemp {
		v.Buffer = plan.NoBuffer
	}
	b.p.Values = append(b.p.Values, v)
	return len(b.p.Values) - 1
}

func (b *builder) input(name string, s plan.Spec) int {
	v := b.value(plan.Value{Kind: plan.KindInput, Name: name, Spec: s})
	b.p.Inputs = append(b.p.Inputs, plan.Port{Name: name, Value: v})
	return v
}

// weight adds a weight with its content.
func (b *builder) weight(name string, storage plan.DType, data []byte, shape ...int) int {
	s := plan.Spec{DType: plan.F32}
	for _, d := range shape {
		s.Shape = append(s.Shape, plan.C(d))
	}
	h := transport.HashWeight(storage, shape, data)
	b.weights[h] = transport.Weight{Name: name, Hash: h, Storage: storage, Shape: shape, Data: data}
	return b.value(plan.Value{Kind: plan.KindWeight, Name: name, Spec: s, Hash: h, Storage: storage})
}

// step adds a step whose result has its own buffer.
func (b *builder) step(op string, s plan.Spec, attrs plan.Attrs, in ...int) int {
	v := b.value(plan.Value{Kind: plan.KindTemp, Name: fmt.Sprintf("%s%d", op, len(b.p.Values)), Spec: s, Buffer: b.p.Buffers})
	b.p.Buffers++
	b.p.Steps = append(b.p.Steps, plan.Step{Op: op, Attrs: attrs, In: in, Out: v})
	return v
}

func (b *builder) output(name string, v int, place plan.Place, cause plan.Cause) {
	b.p.Outputs = append(b.p.Outputs, plan.Output{Name: name, Value: v, Place: place, Cause: cause})
}

// cache adds carried state that grows along its first axis by rows.
func (b *builder) cache(name string, rows int, s plan.Spec, past plan.Dim) int {
	width := b.p.Values[rows].Spec.Shape[1]
	st := b.value(plan.Value{Kind: plan.KindState, Name: name, Spec: f32(past, width)})
	out := b.value(plan.Value{Kind: plan.KindTemp, Name: name + "_next", Spec: s, Buffer: plan.NoBuffer})
	b.p.Steps = append(b.p.Steps, plan.Step{Op: "append", Attrs: plan.Attrs{plan.Int("axis", 0)}, In: []int{st, rows}, Out: out})
	b.p.States = append(b.p.States, plan.State{Name: name, Mode: plan.StateAppend, In: st, Out: out})
	return out
}

func matmul(transB bool) plan.Attrs {
	return plan.Attrs{plan.BoolAttr("trans_a", false), plan.BoolAttr("trans_b", transB)}
}

// floats is the bytes of float32 elements.
func floats(v ...float32) []byte {
	b := make([]byte, 0, 4*len(v))
	for _, x := range v {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
	}
	return b
}

// ints is the bytes of int32 elements.
func ints(v ...int32) []byte {
	b := make([]byte, 0, 4*len(v))
	for _, x := range v {
		b = binary.LittleEndian.AppendUint32(b, uint32(x))
	}
	return b
}

// halves is the bytes of float32 elements stored as bfloat16.
func halves(v ...float32) []byte {
	b := make([]byte, 0, 2*len(v))
	for _, x := range v {
		b = binary.LittleEndian.AppendUint16(b, uint16(math.Float32bits(x)>>16))
	}
	return b
}

// toFloats is the inverse of floats.
func toFloats(b []byte) []float32 {
	v := make([]float32, len(b)/4)
	for i := range v {
		v[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
	}
	return v
}

// ramp is n numbers that are exact in every float format used here.
func ramp(n int, from float32) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = from + float32(i%16)
	}
	return v
}

func data(c plan.Cause, b []byte) transport.Input { return transport.Input{Data: b, Cause: c} }
