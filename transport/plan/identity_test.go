package plan

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// choices is a source of random numbers that are the fuzzer's.
type choices struct {
	data []byte
	rest rand.Source
}

func (c *choices) Uint64() uint64 {
	if len(c.data) == 0 {
		return c.rest.Uint64()
	}
	var b [8]byte
	c.data = c.data[copy(b[:], c.data):]
	return binary.LittleEndian.Uint64(b[:])
}

// disturb sets some fields of a valid plan to what a program can put there and
// no peer should: validation decides.
func disturb(r *rand.Rand, p *Plan) {
	text := func() string {
		return []string{"", "x", "a+b", "2*a", "\xff", strings.Repeat("n", MaxNameLen), strings.Repeat("n", MaxNameLen+1), "s s", "ä"}[r.IntN(9)]
	}
	number := func() int {
		return []int{-1, 0, 1, MaxDimSize, MaxDimSize + 1, math.MinInt, math.MaxInt, math.MaxInt32, math.MaxInt32 + 1, 1 << 61, r.IntN(20)}[r.IntN(11)]
	}
	dim := func() Dim {
		d := C(number())
		for range r.IntN(maxDimDeg + 3) {
			x := Sym(text())
			switch r.IntN(5) {
			case 0:
				x = Sym("s").Scale(number())
			case 1:
				x = Sym(strings.Repeat("s", maxSymLen-1+r.IntN(3)))
			case 2:
				x = terms(r.IntN(maxDimTerms + 3))
			}
			switch r.IntN(4) {
			case 0:
				d = d.Mul(x)
			case 1:
				d = d.Sub(x)
			case 2:
				d = d.Scale(number())
			default:
				d = d.Add(x)
			}
		}
		return d
	}
	for range 1 + r.IntN(3) {
		v, s := &p.Values[r.IntN(len(p.Values))], &p.Steps[r.IntN(len(p.Steps))]
		switch r.IntN(16) {
		case 0, 1:
			v.Spec.Shape = append(slices.Clone(v.Spec.Shape), dim())
		case 2, 3:
			s.Attrs = append(slices.Clone(s.Attrs), Dims(text(), dim(), dim()))
		case 4:
			v.Name, s.Op = text(), text()
		case 5:
			v.Buffer, p.Buffers = number(), number()
		case 6:
			s.Device, s.Branch = number(), number()
		case 7:
			s.Attrs = append(slices.Clone(s.Attrs), Attr{
				Key: text(), Kind: AttrKind(r.IntN(8)), Int: int64(number()), F64: math.Float64frombits(r.Uint64()), Str: text(), Ints: []int64{int64(number())},
			})
		case 8:
			v.Const, v.Hash = make([]byte, r.IntN(40)), Hash{byte(r.IntN(2))}
		case 9:
			v.Storage, v.Spec.DType = DType(r.IntN(9)), DType(r.IntN(9))
		case 10:
			p.Name, p.Phase, p.Policy = text(), text(), text()
		case 11:
			p.Outputs = append(p.Outputs, Output{text(), number(), Place(r.IntN(4)), Cause(r.IntN(9))})
		case 12:
			p.States[0].Axis, p.States[0].Mode = number(), StateMode(r.IntN(5))
		case 13:
			s.In = append(s.In, number())
		case 14:
			p.Version = uint32(r.IntN(3))
		default:
			v.Spec.Shape = nil
		}
	}
}

// holdsIdentity checks that a plan that is valid is the one that its encoding
// decodes to, and that one which is not valid cannot be encoded.
func holdsIdentity(t *testing.T, p *Plan) (valid bool) {
	t.Helper()
	if err := p.Validate(); err != nil {
		require.ErrorIs(t, err, ErrInvalid)
		_, err = p.Encode()
		require.ErrorIs(t, err, ErrInvalid)
		return false
	}
	b, err := p.Encode()
	require.NoError(t, err)
	q, err := Decode(b)
	require.NoError(t, err, "valid, and its encoding is refused")
	require.NoError(t, q.Validate())
	if !reflect.DeepEqual(canonical(p), canonical(q)) {
		require.Equal(t, canonical(p), canonical(q))
	}
	return true
}

// canonical is p with empty lists as nil and floats by their bits.
func canonical(p *Plan) *Plan {
	q := *p
	q.Values = slices.Clone(p.Values)
	for i := range q.Values {
		v := &q.Values[i]
		v.Spec.Shape, v.Const = tidy(v.Spec.Shape), tidy(v.Const)
		for j, d := range v.Spec.Shape {
			v.Spec.Shape[j].terms = tidy(d.terms)
		}
	}
	q.Steps = slices.Clone(p.Steps)
	for i := range q.Steps {
		s := &q.Steps[i]
		s.In, s.Attrs = tidy(s.In), tidy(s.Attrs)
		for j := range s.Attrs {
			a := &s.Attrs[j]
			a.Ints, a.Dims = append(tidy(a.Ints), int64(math.Float64bits(a.F64))), tidy(a.Dims)
			a.F64 = 0
			for k, d := range a.Dims {
				a.Dims[k].terms = tidy(d.terms)
			}
		}
	}
	q.Inputs, q.Outputs, q.States = tidy(p.Inputs), tidy(p.Outputs), tidy(p.States)
	return &q
}

func tidy[S ~[]E, E any](s S) S {
	if len(s) == 0 {
		return nil
	}
	return slices.Clone(s)
}

// TestValidIsIdentity disturbs many plans, of which some stay valid.
func TestValidIsIdentity(t *testing.T) {
	valid := 0
	const plans = 4000
	for seed := range uint64(plans) {
		r := rand.New(rand.NewPCG(seed, 3))
		p := randomPlan(r)
		disturb(r, p)
		if holdsIdentity(t, p) {
			valid++
		}
	}
	require.Greater(t, valid, plans/20)
	require.Less(t, valid, plans*19/20)
}

// TestUnwritableDimensions are those that arithmetic gives and no text does.
func TestUnwritableDimensions(t *testing.T) {
	seven := C(1)
	for range maxDimDeg + 1 {
		seven = seven.Mul(Sym("s"))
	}
	for name, d := range map[string]Dim{
		"coefficient":     Sym("s").Scale(MaxDimSize + 1),
		"constant":        Sym("s").Add(C(MaxDimSize + 1)),
		"least":           C(math.MinInt),
		"overflow":        Sym("s").Scale(1 << 62).Scale(4),
		"no symbol":       Sym(""),
		"another meaning": Sym("a+b"),
		"product in name": Sym("2*a"),
		"degree":          seven,
		"terms":           terms(maxDimTerms + 2),
	} {
		t.Run(name, func(t *testing.T) {
			p := limitPlan()
			p.Values[0].Spec.Shape = Shape{d}
			require.False(t, holdsIdentity(t, p), "of a value")
			p = limitPlan()
			p.Steps[0].Attrs = Attrs{Dims("a", d)}
			require.False(t, holdsIdentity(t, p), "of an attribute")
			require.ErrorContains(t, p.Validate(), `"a"`)
		})
	}
}

func FuzzValidate(f *testing.F) {
	for seed := range uint64(8) {
		f.Add(seed, []byte(nil))
	}
	f.Add(uint64(1), []byte{0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8})
	f.Fuzz(func(t *testing.T, seed uint64, data []byte) {
		p := randomPlan(rand.New(rand.NewPCG(seed, 4)))
		disturb(rand.New(&choices{data, rand.NewPCG(seed, 5)}), p)
		holdsIdentity(t, p)
	})
}
