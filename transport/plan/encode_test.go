package plan

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/benchname"
)

// randomPlan makes a valid plan that uses every field.
func randomPlan(r *rand.Rand) *Plan {
	dims := []Dim{C(r.IntN(9) + 1), Sym("batch"), Sym("seq"), Sym("past").Add(Sym("seq")), Sym("seq").Scale(3).Sub(C(1))}
	dim := func() Dim { return dims[r.IntN(len(dims))] }
	p := &Plan{
		Version: Version, Name: "rand", Phase: "llm_decode", Policy: "full", Buffers: r.IntN(2),
		Values: []Value{}, Steps: []Step{}, Inputs: []Port{}, Outputs: []Output{}, States: []State{},
	}
	add := func(v Value) int {
		v.Name = fmt.Sprintf("v%d", len(p.Values))
		p.Values = append(p.Values, v)
		return len(p.Values) - 1
	}
	for range r.IntN(3) + 1 {
		in := add(Value{Kind: KindInput, Buffer: NoBuffer, Spec: Spec{F32, Shape{dim(), dim()}}})
		p.Inputs = append(p.Inputs, Port{fmt.Sprint("in", in), in})
	}
	add(Value{Kind: KindWeight, Buffer: NoBuffer, Spec: Spec{F32, Shape{C(4)}}, Storage: BF16, Hash: Hash{byte(r.Uint32()), 1}})
	add(Value{Kind: KindConst, Buffer: NoBuffer, Spec: Spec{I32, Shape{C(2)}}, Const: []byte{1, 2, 3, 4, 5, 6, 7, 8}})
	add(Value{Kind: KindConst, Buffer: NoBuffer, Spec: Spec{DType: Bool}, Const: []byte{1}})
	st := add(Value{Kind: KindState, Buffer: NoBuffer, Spec: Spec{F32, Shape{Sym("past"), C(3)}}})
	for i := range r.IntN(20) + 1 {
		s := Step{Op: fmt.Sprint("op", r.IntN(4)), In: []int{}, Device: r.IntN(3), Branch: r.IntN(3)}
		for range r.IntN(4) {
			s.In = append(s.In, r.IntN(len(p.Values)))
		}
		all := Attrs{
			Dims("a", dim(), dim()), Float("b", math.Copysign(r.Float64(), -float64(r.IntN(2)))), Int("c", r.IntN(100)-50),
			Ints("d", []int{r.IntN(9) - 4, 7}), Str("e", "x"), Float("f", math.Copysign(0, -1)), Int("g", math.MinInt64),
		}
		if n := r.IntN(len(all)); n > 0 {
			s.Attrs = all[:n]
		}
		s.Out = add(Value{Kind: KindTemp, Buffer: r.IntN(p.Buffers+1) - 1, Spec: Spec{F32, Shape{dim(), C(3)}}})
		p.Steps = append(p.Steps, s)
		if i == 0 {
			p.Outputs = append(p.Outputs, Output{"out", s.Out, Retain, CauseLogits})
			p.States = append(p.States, State{"kv", StateAppend, st, s.Out, 1})
		}
	}
	return p
}

func TestEncodeRoundTrip(t *testing.T) {
	for seed := range uint64(300) {
		p := randomPlan(rand.New(rand.NewPCG(seed, 1)))
		b, err := p.Encode()
		require.NoError(t, err)
		q, err := Decode(b)
		require.NoError(t, err, "seed %d", seed)
		require.Equal(t, p, q, "seed %d", seed)
		require.Equal(t, p.Hash(), q.Hash())
		require.Equal(t, HashEncoded(b), q.Hash())
	}
}

func TestHashTellsPlansApart(t *testing.T) {
	base := func() *Plan { return randomPlan(rand.New(rand.NewPCG(7, 1))) }
	again := base().Hash()
	require.Equal(t, base().Hash(), again)
	changes := map[string]func(p *Plan){
		"name":       func(p *Plan) { p.Name += "x" },
		"phase":      func(p *Plan) { p.Phase += "x" },
		"policy":     func(p *Plan) { p.Policy += "x" },
		"value name": func(p *Plan) { p.Values[0].Name = "other" },
		"dimension":  func(p *Plan) { p.Values[0].Spec.Shape = Shape{C(1), Sym("other")} },
		"dtype":      func(p *Plan) { p.Values[0].Spec.DType = I32 },
		"operator":   func(p *Plan) { p.Steps[0].Op = "other" },
		"attribute":  func(p *Plan) { p.Steps[0].Attrs = Attrs{Float("x", math.Copysign(0, -1))} },
		"place":      func(p *Plan) { p.Outputs[0].Place = Download },
		"cause":      func(p *Plan) { p.Outputs[0].Cause = CauseToken },
		"state mode": func(p *Plan) { p.States[0].Mode = StateReplace },
		"device":     func(p *Plan) { p.Steps[0].Device++ },
	}
	seen := map[Hash]string{base().Hash(): "base"}
	for name, change := range changes {
		p := base()
		change(p)
		h := p.Hash()
		require.NotZero(t, h, name)
		require.NotContains(t, seen, h, name)
		seen[h] = name
	}
}

func TestDecodeRefuses(t *testing.T) {
	p := randomPlan(rand.New(rand.NewPCG(3, 1)))
	good, err := p.Encode()
	require.NoError(t, err)
	cases := map[string][]byte{
		"empty":           nil,
		"unknown field":   append(bytes.Clone(good), 0xf8, 0x07, 1),
		"field twice":     append(bytes.Clone(good), 0x08, 1),
		"truncated":       good[:len(good)-1],
		"not protobuf":    []byte("GET / HTTP/1.1\r\n\r\n"),
		"too many values": bytes.Repeat([]byte{0x2a, 0}, MaxValues+1),
		"too many steps":  bytes.Repeat([]byte{0x32, 0}, MaxSteps+1),
		"huge":            make([]byte, MaxPlanBytes+1),
		"default spelled": append([]byte{0x50, 0}, good...),
	}
	for name, b := range cases {
		_, err := Decode(b)
		require.ErrorIs(t, err, ErrInvalid, name)
	}
	for n := range good {
		if q, err := Decode(good[:n]); err == nil {
			again, err := q.Encode()
			require.NoError(t, err)
			require.Equal(t, good[:n], again)
		}
	}
}

func TestEncodeRefusesInvalid(t *testing.T) {
	p := randomPlan(rand.New(rand.NewPCG(3, 1)))
	p.Name = "\xff"
	_, err := p.Encode()
	require.ErrorIs(t, err, ErrInvalid)
	require.Zero(t, p.Hash())
}

func FuzzDecode(f *testing.F) {
	for seed := range uint64(4) {
		b, err := randomPlan(rand.New(rand.NewPCG(seed, 2))).Encode()
		require.NoError(f, err)
		f.Add(b)
	}
	f.Add([]byte{0x08, 1})
	f.Add(bytes.Repeat([]byte{0x2a, 0}, 100))
	f.Fuzz(func(t *testing.T, b []byte) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		p, err := Decode(b)
		runtime.ReadMemStats(&after)
		// An element of a list is two bytes at least, and no more than a Value and
		// its message in memory.
		require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(64<<10+1024*len(b)), "memory for %d bytes", len(b))
		if err != nil {
			require.ErrorIs(t, err, ErrInvalid)
			return
		}
		again, err := p.Encode()
		require.NoError(t, err)
		require.Equal(t, b, again)
	})
}

func BenchmarkHash(b *testing.B) {
	p := randomPlan(rand.New(rand.NewPCG(1, 2)))
	b.Run(benchname.Of("plan-hash", "genie"), func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			p.Hash()
		}
	})
}
