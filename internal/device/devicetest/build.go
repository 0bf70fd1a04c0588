package devicetest

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/planmaker"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// builder makes a plan by hand.
type builder struct {
	*planmaker.Maker
	f       *fixture
	weights transport.Weights
}

func (f *fixture) plan(name string) *builder {
	b := &builder{Maker: planmaker.New(nil), f: f, weights: transport.Weights{}}
	b.Plan().Name = name
	return b
}

func spec(t plan.DType, dims ...any) plan.Spec {
	s := plan.Spec{DType: t, Shape: plan.Shape{}}
	for _, d := range dims {
		switch d := d.(type) {
		case int:
			s.Shape = append(s.Shape, plan.C(d))
		case string:
			s.Shape = append(s.Shape, plan.Sym(d))
		case plan.Dim:
			s.Shape = append(s.Shape, d)
		}
	}
	return s
}

func (b *builder) in(t plan.DType, dims ...any) int { return b.Input(spec(t, dims...)) }

func (b *builder) leaf(v plan.Value) int {
	p := b.Plan()
	v.Buffer, v.Name = plan.NoBuffer, fmt.Sprintf("v%d", len(p.Values))
	p.Values = append(p.Values, v)
	return len(p.Values) - 1
}

// weight adds a weight with content.
func (b *builder) weight(storage plan.DType, content []byte, dims ...int) int {
	compute := plan.F32
	if storage != plan.F16 && storage != plan.BF16 {
		compute = storage
	}
	h := transport.HashWeight(storage, dims, content)
	b.weights[h] = transport.Weight{Hash: h, Storage: storage, Shape: dims, Data: content}
	shape := plan.Shape{}
	for _, d := range dims {
		shape = append(shape, plan.C(d))
	}
	return b.leaf(plan.Value{Kind: plan.KindWeight, Spec: plan.Spec{DType: compute, Shape: shape}, Hash: h, Storage: storage})
}

func (b *builder) constant(t plan.DType, content []byte, dims ...any) int {
	return b.leaf(plan.Value{Kind: plan.KindConst, Spec: spec(t, dims...), Const: content})
}

func (b *builder) state(dims ...any) int {
	return b.leaf(plan.Value{Kind: plan.KindState, Spec: spec(plan.F32, dims...)})
}

// carry declares what becomes of a state.
func (b *builder) carry(mode plan.StateMode, in, out, axis int) {
	p := b.Plan()
	p.States = append(p.States, plan.State{Name: fmt.Sprint("s", len(p.States)), Mode: mode, In: in, Out: out, Axis: axis})
}

func (b *builder) step(name string, attrs plan.Attrs, in ...int) int {
	b.f.Helper()
	v, ok := b.Apply(name, attrs, in...)
	require.True(b.f, ok, "%s of %v", name, in)
	return v
}

func (b *builder) append(axis, state, rows int) int {
	b.f.Helper()
	out := b.step("append", plan.Attrs{plan.Int("axis", axis)}, state, rows)
	b.carry(plan.StateAppend, state, out, axis)
	return out
}

func matmul(a, b bool) plan.Attrs {
	return plan.Attrs{plan.BoolAttr("trans_a", a), plan.BoolAttr("trans_b", b)}
}

func perm(p ...int) plan.Attrs { return plan.Attrs{plan.Ints("perm", p)} }

func (b *builder) out(place plan.Place, values ...int) *builder {
	p := b.Plan()
	for _, v := range values {
		p.Outputs = append(p.Outputs, plan.Output{Name: fmt.Sprint("o", len(p.Outputs)), Value: v, Place: place, Cause: plan.CauseActivation})
	}
	return b
}

// done is the plan, decoded as if received.
func (b *builder) done() *plan.Plan {
	b.f.Helper()
	b.Assign()
	encoded, err := b.Plan().Encode()
	require.NoError(b.f, err)
	p, err := plan.Decode(encoded)
	require.NoError(b.f, err)
	return p
}

// numbers are content of a type: distinct floats, or indices below most.
func numbers(t plan.DType, n, most int, seed uint64) []byte {
	rng := rand.New(rand.NewPCG(seed, uint64(n))) //nolint:gosec // a test
	out := make([]byte, 0, n*t.Size())
	for range n {
		x := float32(rng.NormFloat64())
		switch t {
		case plan.F32:
			out = binary.LittleEndian.AppendUint32(out, math.Float32bits(x))
		case plan.BF16:
			out = binary.LittleEndian.AppendUint16(out, uint16(math.Float32bits(x)>>16))
		case plan.F16: // below 2, including subnormal numbers
			out = binary.LittleEndian.AppendUint16(out, uint16(rng.IntN(1<<15))&0x3fff|uint16(rng.IntN(2)<<15))
		case plan.I32:
			out = binary.LittleEndian.AppendUint32(out, uint32(rng.IntN(max(most, 1))))
		case plan.I64:
			out = binary.LittleEndian.AppendUint64(out, uint64(rng.IntN(max(most, 1))))
		default:
			out = append(out, byte(rng.IntN(2)))
		}
	}
	return out
}

func floats(n int, seed uint64) []byte { return numbers(plan.F32, n, 0, seed) }
