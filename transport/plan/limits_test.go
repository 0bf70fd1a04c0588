package plan

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
)

// limitPlan is an input, a state and a step, which the limits are tried on.
func limitPlan() *Plan {
	spec := Spec{DType: F32, Shape: Shape{C(1)}}
	return &Plan{
		Version: Version, Name: "limits", Buffers: 1,
		Values: []Value{
			{Kind: KindInput, Name: "x", Spec: spec, Buffer: NoBuffer},
			{Kind: KindTemp, Spec: spec, Buffer: 0},
		},
		Steps:   []Step{{Op: "op", In: []int{0}, Out: 1}},
		Inputs:  []Port{{"x", 0}},
		Outputs: []Output{{"y", 1, Download, CauseActivation}},
	}
}

// constants adds n constants of one byte.
func (p *Plan) constants(n int) {
	for range n {
		p.Values = append(p.Values, Value{Kind: KindConst, Spec: Spec{DType: Bool}, Buffer: NoBuffer, Const: []byte{1}})
	}
}

// terms is a dimension of n terms, each a symbol of its own.
func terms(n int) Dim {
	var d Dim
	for i := range n {
		d = d.Add(Sym(fmt.Sprintf("s%d", i)))
	}
	return d
}

// TestLimits goes to each limit of a plan, which is valid and survives encoding,
// and one beyond it, which is refused.
func TestLimits(t *testing.T) {
	repeat := func(n int, d Dim) Shape {
		s := make(Shape, n)
		for i := range s {
			s[i] = d
		}
		return s
	}
	for _, tt := range []struct {
		name   string
		limit  int
		change func(p *Plan, n int)
	}{
		{"MaxValues", MaxValues, func(p *Plan, n int) { p.constants(n - 2) }},
		{"MaxRank", MaxRank, func(p *Plan, n int) { p.Values[0].Spec.Shape = repeat(n, C(1)) }},
		{"MaxOpInputs", MaxOpInputs, func(p *Plan, n int) { p.Steps[0].In = make([]int, n) }},
		{"MaxNameLen of the plan", MaxNameLen, func(p *Plan, n int) { p.Name = strings.Repeat("n", n) }},
		{"MaxNameLen of a value", MaxNameLen, func(p *Plan, n int) { p.Values[0].Name = strings.Repeat("n", n) }},
		{"MaxNameLen of an input", MaxNameLen, func(p *Plan, n int) { p.Inputs[0].Name = strings.Repeat("n", n) }},
		{"MaxNameLen of an operator", MaxNameLen, func(p *Plan, n int) { p.Steps[0].Op = strings.Repeat("n", n) }},
		{"MaxNameLen of an attribute", MaxNameLen, func(p *Plan, n int) { p.Steps[0].Attrs = Attrs{Int(strings.Repeat("n", n), 1)} }},
		{"MaxNameLen of a string attribute", MaxNameLen, func(p *Plan, n int) { p.Steps[0].Attrs = Attrs{Str("a", strings.Repeat("n", n))} }},
		{"MaxAttrs", MaxAttrs, func(p *Plan, n int) {
			for i := range n {
				p.Steps[0].Attrs = append(p.Steps[0].Attrs, Int(fmt.Sprintf("a%02d", i), 1))
			}
		}},
		{"MaxAttrList of integers", MaxAttrList, func(p *Plan, n int) { p.Steps[0].Attrs = Attrs{Ints("a", make([]int, n))} }},
		{"MaxAttrList of dimensions", MaxAttrList, func(p *Plan, n int) { p.Steps[0].Attrs = Attrs{Dims("a", repeat(n, Sym("s"))...)} }},
		{"MaxConstBytes", MaxConstBytes, func(p *Plan, n int) {
			p.Values = append(p.Values, Value{Kind: KindConst, Spec: Spec{DType: Bool, Shape: Shape{C(n)}}, Buffer: NoBuffer, Const: make([]byte, n)})
		}},
		{"MaxStates", MaxStates, func(p *Plan, n int) {
			for i := range n {
				p.Values = append(p.Values, Value{Kind: KindState, Spec: p.Values[1].Spec, Buffer: NoBuffer})
				p.States = append(p.States, State{Name: strconv.Itoa(i), Mode: StateReplace, In: len(p.Values) - 1, Out: 1})
			}
		}},
		{"MaxSymbols", MaxSymbols, func(p *Plan, n int) {
			for i := range n {
				p.Steps[0].Attrs = Attrs{Dims("a", append(p.dims(), Sym(fmt.Sprint("s", i)))...)}
				if len(p.dims()) == MaxAttrList {
					p.shift()
				}
			}
		}},
		{"MaxDimSize", MaxDimSize, func(p *Plan, n int) { p.Steps[0].Attrs = Attrs{Dims("a", Sym("s").Scale(n))} }},
		{"maxSymLen", maxSymLen, func(p *Plan, n int) { p.Values[0].Spec.Shape = Shape{Sym(strings.Repeat("s", n))} }},
		{"maxDimDeg", maxDimDeg, func(p *Plan, n int) {
			d := C(1)
			for range n {
				d = d.Mul(Sym("s"))
			}
			p.Values[0].Spec.Shape = Shape{d}
		}},
		{"maxDimTerms", maxDimTerms + 1, func(p *Plan, n int) { p.Values[0].Spec.Shape = Shape{terms(n)} }},
		{"maxDimText", maxDimText, func(p *Plan, n int) {
			d, left := Dim{}, n
			for i := 0; left > 0; i++ { // terms of up to 64 letters with a sign between
				k := min(maxSymLen, left)
				if rest := left - k - 1; rest == 0 {
					k--
				}
				d = d.Add(Sym(string(rune('a'+i)) + strings.Repeat("s", k-1)))
				left -= k + 1
			}
			if len(d.String()) != n {
				panic(fmt.Sprint(len(d.String()), " of ", n))
			}
			p.Values[0].Spec.Shape = Shape{d}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := limitPlan()
			tt.change(p, tt.limit)
			b, err := p.Encode()
			require.NoError(t, err, "exactly at the limit")
			_, err = Decode(b)
			require.NoError(t, err, "exactly at the limit")
			p = limitPlan()
			tt.change(p, tt.limit+1)
			_, err = p.Encode()
			require.ErrorIs(t, err, ErrInvalid, "one beyond")
		})
	}
}

// dims are the dimensions of the step's last attribute.
func (p *Plan) dims() []Dim {
	if a := p.Steps[0].Attrs; len(a) > 0 {
		return a[0].Dims
	}
	return nil
}

// shift moves the dimensions of the attribute to a value, and starts again.
func (p *Plan) shift() {
	for i := 0; i < len(p.dims()); i += MaxRank {
		p.Values = append(p.Values, Value{Kind: KindInput, Spec: Spec{DType: F32, Shape: p.dims()[i : i+MaxRank]}, Buffer: NoBuffer})
		p.Inputs = append(p.Inputs, Port{fmt.Sprint("i", len(p.Values)), len(p.Values) - 1})
	}
	p.Steps[0].Attrs = nil
}

// TestSteps has as many steps as there may be, which are as many as values.
func TestStepLimit(t *testing.T) {
	p := &Plan{Version: Version}
	for i := range MaxSteps {
		p.Values = append(p.Values, Value{Kind: KindTemp, Spec: Spec{DType: F32}, Buffer: NoBuffer})
		p.Steps = append(p.Steps, Step{Op: "op", Out: i})
	}
	require.NoError(t, p.Validate())
	p.Steps = append(p.Steps, Step{Op: "op"})
	require.ErrorIs(t, p.Validate(), ErrInvalid)
}

// TestPlanElements has more list entries than a decoder will make room for, each
// list by itself within its limit.
func TestPlanElements(t *testing.T) {
	const most = (MaxPlanElements - 9) / (MaxOpInputs + 2) // a value, a step, its inputs
	build := func(lists int) *Plan {
		p := limitPlan()
		p.constants(1)
		for range lists {
			p.Values = append(p.Values, Value{Kind: KindTemp, Spec: Spec{DType: Bool}, Buffer: NoBuffer})
			p.Steps = append(p.Steps, Step{Op: "op", In: make([]int, MaxOpInputs), Out: len(p.Values) - 1})
		}
		for entries := 9 + lists*(MaxOpInputs+2); entries < MaxPlanElements && lists == most; entries++ {
			p.Outputs = append(p.Outputs, Output{strconv.Itoa(entries), 1, Download, CauseActivation})
		}
		return p
	}
	p := build(most) // and outputs up to the limit
	b, err := p.Encode()
	require.NoError(t, err)
	_, err = Decode(b)
	require.NoError(t, err)
	p.Outputs = append(p.Outputs, Output{"one more", 1, Download, CauseActivation})
	_, err = p.Encode()
	require.ErrorIs(t, err, ErrInvalid)
	b, err = proto.Marshal(p.message())
	require.NoError(t, err)
	_, err = Decode(b)
	require.ErrorIs(t, err, ErrInvalid)
	require.ErrorContains(t, err, "too many")
}

// TestOutputLimit has as many outputs as there may be values, and one more.
func TestOutputLimit(t *testing.T) {
	p := limitPlan()
	for len(p.Outputs) < MaxValues {
		p.Outputs = append(p.Outputs, Output{strconv.Itoa(len(p.Outputs)), 1, Download, CauseActivation})
	}
	b, err := p.Encode()
	require.NoError(t, err)
	_, err = Decode(b)
	require.NoError(t, err)
	p.Outputs = append(p.Outputs, Output{"one more", 1, Download, CauseActivation})
	require.ErrorIs(t, p.Validate(), ErrInvalid)
}

// TestPlanBytes fills a plan with constants up to the length of its encoding.
func TestPlanBytes(t *testing.T) {
	build := func(last int) *Plan {
		p := limitPlan()
		for _, n := range []int{MaxConstBytes, MaxConstBytes, MaxConstBytes, last} {
			p.Values = append(p.Values, Value{Kind: KindConst, Spec: Spec{DType: Bool, Shape: Shape{C(n)}}, Buffer: NoBuffer, Const: make([]byte, n)})
		}
		return p
	}
	const guess = MaxConstBytes - 1024
	b, err := build(guess).Encode()
	require.NoError(t, err)
	room := MaxPlanBytes - len(b)
	b, err = build(guess + room).Encode()
	require.NoError(t, err)
	require.Len(t, b, MaxPlanBytes)
	_, err = build(guess + room + 1).Encode()
	require.ErrorIs(t, err, ErrInvalid)
	_, err = Decode(append(b, 0))
	require.ErrorIs(t, err, ErrInvalid)
}

// TestBoundSizes evaluates dimensions at the largest size and beyond it.
func TestBoundSizes(t *testing.T) {
	n, err := Sym("n").Eval(Bindings{"n": MaxDimSize})
	require.NoError(t, err)
	require.Equal(t, MaxDimSize, n)
	for name, d := range map[string]Dim{"sum": Sym("n").Add(C(1)), "product": Sym("n").Mul(Sym("n")), "negative": C(1).Sub(Sym("n"))} {
		_, err := d.Eval(Bindings{"n": MaxDimSize})
		require.ErrorIs(t, err, ErrInvalid, name)
	}
	_, ok := MulChecked(math.MaxInt64, 2)
	require.False(t, ok)
}
