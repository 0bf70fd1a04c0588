package plan

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestFloorDiv holds the canonical forms of quotients.
func TestFloorDiv(t *testing.T) {
	h, w := Sym("h"), Sym("w")
	stride := func(d Dim, kernel, pad, stride int) Dim { return d.Add(C(2*pad - kernel)).FloorDiv(stride).Add(C(1)) }
	for _, c := range []struct {
		d    Dim
		want string
	}{
		{C(7).FloorDiv(2), "3"},
		{C(-7).FloorDiv(2), "-4"},
		{h.FloorDiv(1), "h"},
		{h.Scale(6).FloorDiv(3), "2*h"},
		{h.Scale(6).Add(C(5)).FloorDiv(3), "2*h+1"},
		{h.FloorDiv(2), "floor(h/2)"},
		{h.Add(C(1)).FloorDiv(2), "floor((h+1)/2)"},
		{h.Sub(C(1)).FloorDiv(2), "floor((h+1)/2)-1"},
		{h.Scale(2).Add(C(1)).FloorDiv(4), "floor(h/2)"},
		{h.Scale(7).Add(w).FloorDiv(3), "floor((h+w)/3)+2*h"},
		{h.Mul(w).FloorDiv(2), "floor(h*w/2)"},
		{stride(h, 3, 1, 2), "floor((h+1)/2)"},
		{stride(stride(h, 7, 3, 2), 3, 1, 2), "floor((h+3)/4)"},
		{stride(stride(stride(h, 7, 3, 2), 3, 1, 2), 1, 0, 2), "floor((h+7)/8)"},
		{stride(h, 2, 0, 2).Scale(2), "2*floor(h/2)"},
		{h.FloorDiv(2).Scale(2).FloorDiv(2), "floor(h/2)"},
		{h.FloorDiv(2).Add(w).FloorDiv(3), "floor((floor(h/2)+w)/3)"},
	} {
		require.Equal(t, c.want, c.d.String())
		back, err := ParseDim(c.want)
		require.NoError(t, err)
		require.True(t, back.Equal(c.d), c.want)
	}
	require.Equal(t, []string{"h", "w"}, h.FloorDiv(2).Add(w).FloorDiv(3).Symbols(nil))
	_, ok := h.FloorDiv(2).Symbol()
	require.False(t, ok, "a quotient is no symbol")
	require.Equal(t, "floor((w+1)/2)", h.FloorDiv(2).Subst(map[string]Dim{"h": w.Add(C(1))}).String())
	require.Equal(t, "3", h.FloorDiv(2).Subst(map[string]Dim{"h": C(7)}).String())
	half, ok := h.FloorDiv(2).Mul(w).Div(h.FloorDiv(2))
	require.True(t, ok)
	require.True(t, half.Equal(w))
}

// TestFloorDivLimits divides beyond what can be written.
func TestFloorDivLimits(t *testing.T) {
	h, long := Sym("h"), Dim{}
	for i := range 15 {
		long = long.Add(Sym(fmt.Sprintf("%s%d", strings.Repeat("x", 60), i)))
	}
	deep := h
	for i := range 3 {
		deep = deep.FloorDiv(2).Add(Sym(fmt.Sprint("s", i)))
	}
	for name, d := range map[string]Dim{
		"by zero": h.FloorDiv(0), "by less": h.FloorDiv(-2), "by too much": h.FloorDiv(1 << 40), "a long text": long.FloorDiv(2), "three levels": deep,
		"a name that is none": Sym("a b").FloorDiv(2), "by too much in two steps": h.FloorDiv(1 << 20).FloorDiv(1 << 20),
		"of what is no dimension": Dim{beyond: true}.FloorDiv(2),
	} {
		require.ErrorIs(t, d.Err(), ErrInvalid, name)
	}
	for _, text := range []string{"floor(h/1)", "floor((h+2)/2)", "floor(2*h/4)", "floor((h)/2)", "floor(h/02)", "floor(-h/2)", "floor(3/2)", "floor(floor(h/2)/2)", "h)", "floor(h/2", "floor(h/2)w"} {
		_, err := ParseDim(text)
		require.ErrorIs(t, err, ErrInvalid, "%s is not canonical", text)
	}
	_, err := h.FloorDiv(2).Eval(nil)
	require.ErrorIs(t, err, ErrInvalid)
	_, err = h.FloorDiv(2).Eval(Bindings{"h": 1 << 50})
	require.ErrorIs(t, err, ErrInvalid)
}

// TestFloorDivValues compares random quotients with integers.
func TestFloorDivValues(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 5))
	for range 20000 {
		sizes := Bindings{"a": rng.IntN(40), "b": rng.IntN(40)}
		d, v := Sym("a"), sizes["a"]
		for range 1 + rng.IntN(5) {
			switch k := 1 + rng.IntN(6); rng.IntN(5) {
			case 0:
				d, v = d.Add(C(k-3)), v+k-3
			case 1:
				d, v = d.Scale(k), v*k
			case 2:
				d, v = d.Add(Sym("b")), v+sizes["b"]
			case 3:
				d, v = d.Mul(Sym("b")), v*sizes["b"]
			default:
				q := v / k
				if v%k < 0 {
					q--
				}
				d, v = d.FloorDiv(k), q
			}
		}
		if d.Err() != nil { // three levels
			continue
		}
		got, err := d.Add(C(1 << 30)).Eval(sizes) // some are negative
		require.NoError(t, err, d)
		require.Equal(t, v+1<<30, got, "%v at %v", d, sizes)
		back, err := ParseDim(d.String())
		require.NoError(t, err, d)
		require.True(t, back.Equal(d), d)
		require.Equal(t, textFactors([]byte(d.String())), d.Factors(), d)
		require.Len(t, d.String(), d.textLen())
	}
}

// TestVersionOfQuotients: a plan with a quotient has a version of its own, which
// older builds refuse by its number.
func TestVersionOfQuotients(t *testing.T) {
	p := &Plan{
		Version: Version, Inputs: []Port{{Name: "x"}},
		Values: []Value{{Kind: KindInput, Spec: Spec{DType: F32, Shape: Shape{Sym("n").FloorDiv(2)}}, Buffer: NoBuffer}},
	}
	require.ErrorIs(t, p.Validate(), ErrInvalid)
	p.Version = p.Needs()
	require.Equal(t, uint32(VersionQuotient), p.Version)
	encoded, err := p.Encode()
	require.NoError(t, err)
	back, err := Decode(encoded)
	require.NoError(t, err)
	require.Equal(t, p.Hash(), back.Hash())
	require.Equal(t, []string{"n"}, back.Symbols())
	p.Values[0].Spec.Shape = Shape{Sym("n")}
	require.ErrorIs(t, p.Validate(), ErrInvalid, "a higher version than it needs")
}
