package plan

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// sized is a polynomial and its value in unbounded integers, by independent
// arithmetic.
type sized struct {
	d Dim
	v *big.Int
}

var testSizes = map[string]int64{"a": 3, "b": -2, "c": 1 << 20, "d": 7}

// value evaluates d in integers without bounds.
func value(d Dim) *big.Int {
	sum := new(big.Int)
	d.Terms(func(coeff int64, syms []string) {
		t := big.NewInt(coeff)
		for _, s := range syms {
			t.Mul(t, big.NewInt(testSizes[s]))
		}
		sum.Add(sum, t)
	})
	return sum
}

// program makes a polynomial of the bytes: a stack machine of constants, symbols
// and operators.
func program(code []byte) []sized {
	stack := []sized{{C(1), big.NewInt(1)}}
	for i := 0; i < len(code) && i < 400; i++ {
		x := &stack[len(stack)-1]
		y := stack[max(0, len(stack)-2)]
		k := int64(code[i]>>4) - 7
		switch code[i] & 15 {
		case 0, 1, 2, 3:
			s := []string{"a", "b", "c", "d"}[code[i]&3]
			stack = append(stack, sized{Sym(s), big.NewInt(testSizes[s])})
		case 4:
			stack = append(stack, sized{C(int(k)), big.NewInt(k)})
		case 5:
			n := []int64{math.MaxInt64, math.MinInt64, 1 << 40, -1 << 62}[code[i]>>4&3]
			stack = append(stack, sized{C(int(n)), big.NewInt(n)})
		case 6, 7, 8:
			x.d, x.v = x.d.Add(y.d), new(big.Int).Add(x.v, y.v)
		case 9:
			x.d, x.v = x.d.Sub(y.d), new(big.Int).Sub(x.v, y.v)
		case 10:
			x.d, x.v = x.d.Scale(int(k)), new(big.Int).Mul(x.v, big.NewInt(k))
		case 11:
			if q, ok := x.d.Div(y.d); ok && y.v.Sign() != 0 {
				x.d, x.v = q, new(big.Int).Quo(x.v, y.v)
			}
		case 12:
			x.d, x.v = x.d.Subst(map[string]Dim{"d": C(7)}), new(big.Int).Set(x.v)
		default:
			x.d, x.v = x.d.Mul(y.d), new(big.Int).Mul(x.v, y.v)
		}
		if last := &stack[len(stack)-1]; last.d.Err() != nil {
			last.v = new(big.Int) // of no interest, and it would grow without bounds
		}
	}
	return stack
}

// agree verifies that a polynomial is what integers without bounds say, or says
// that it is none; that it is canonical; and that it is bounded.
func agree(t *testing.T, x sized) {
	t.Helper()
	if err := x.d.Err(); err != nil {
		require.ErrorIs(t, err, ErrInvalid)
		same := x.d
		require.False(t, x.d.Equal(same))
		_, ok := x.d.Const()
		require.False(t, ok)
		require.False(t, x.d.Is(0))
		_, err := x.d.Eval(Bindings{})
		require.ErrorIs(t, err, ErrInvalid)
		_, err = ParseDim(x.d.String())
		require.ErrorIs(t, err, ErrInvalid)
		return
	}
	require.Equal(t, x.v.String(), value(x.d).String(), "%v", x.d)
	require.LessOrEqual(t, x.d.NumTerms(), MaxProductTerms+1)
	for i, m := range x.d.terms {
		require.NotZero(t, m.coeff)
		require.LessOrEqual(t, len(m.syms), MaxProductDegree)
		require.IsIncreasing(t, append([]string{""}, distinctRuns(m.syms)...))
		if i > 0 {
			require.Negative(t, strings.Compare(strings.Join(x.d.terms[i-1].syms, "\x00"), strings.Join(m.syms, "\x00")))
		}
	}
	if zero := x.d.Sub(x.d); zero.Err() == nil { // the least of 64 bits has no negative
		require.True(t, zero.Is(0))
	}
	require.True(t, x.d.Add(C(0)).Equal(x.d))
}

func distinctRuns(s []string) (out []string) {
	for i, x := range s {
		if i == 0 || s[i-1] != x {
			out = append(out, x)
		}
	}
	return out
}

// FuzzDimArithmetic verifies that arithmetic on dimensions never wraps around,
// never grows beyond its limits, and agrees with math/big otherwise.
func FuzzDimArithmetic(f *testing.F) {
	f.Add([]byte{0, 1, 6, 15, 15, 15, 2, 13})
	f.Add([]byte{5, 21, 6, 37, 13, 53, 9, 10, 26, 11})
	f.Add([]byte(strings.Repeat("\x00\x06\x01\x06\x0f", 20)))
	f.Fuzz(func(t *testing.T, code []byte) {
		for _, x := range program(code) {
			agree(t, x)
		}
	})
}

func TestDimArithmetic(t *testing.T) {
	beyond := 0
	for seed := range uint64(3000) {
		rng := rand.New(rand.NewPCG(seed, 11))
		code := make([]byte, 1+rng.IntN(60))
		for i := range code {
			code[i] = byte(rng.Uint32())
		}
		for _, x := range program(code) {
			agree(t, x)
			if x.d.Err() != nil {
				beyond++
			}
		}
	}
	require.Positive(t, beyond, "no program came to a limit")
}

// TestDimOverflow verifies that a coefficient that 64 bits do not hold is an
// error, and that an error stays one.
func TestDimOverflow(t *testing.T) {
	big, a := C(math.MaxInt), Sym("a")
	huge := a.Scale(1 << 40)
	for name, d := range map[string]Dim{
		"constant sum": big.Add(C(1)), "constant difference": C(math.MinInt).Sub(C(1)), "constant product": big.Mul(C(2)),
		"negated least": C(math.MinInt).Scale(-1), "scaled": huge.Scale(1 << 30), "product": huge.Mul(huge.Mul(Sym("b"))),
		"sum of terms": a.Scale(math.MaxInt).Add(a), "elements": Shape{huge, huge, a}.Elements(),
	} {
		require.ErrorIs(t, d.Err(), ErrInvalid, name)
		for _, after := range []Dim{d.Add(a), a.Add(d), d.Sub(d), d.Scale(0), d.Mul(C(0)), C(0).Mul(d), a.Mul(d), d.Subst(nil)} {
			require.ErrorIs(t, after.Err(), ErrInvalid, name)
		}
		_, ok := d.Div(d)
		require.False(t, ok, name)
		_, err := d.MarshalText()
		require.ErrorIs(t, err, ErrInvalid, name)
		p := inputPlan()
		p.Values[0].Spec.Shape = Shape{d}
		require.ErrorIs(t, p.Validate(), ErrInvalid, name)
	}
}

func inputPlan() *Plan {
	return &Plan{
		Version: Version, Inputs: []Port{{Name: "x"}},
		Values: []Value{{Kind: KindInput, Name: "x", Spec: Spec{DType: F32, Shape: Shape{C(1)}}, Buffer: NoBuffer}},
	}
}

// TestProductTerms verifies that products of sums stop at their limits at once,
// whatever came before, and that products with few terms are unchanged.
func TestProductTerms(t *testing.T) {
	begin := time.Now()
	for rank := 2; rank <= 8; rank++ {
		s := make(Shape, rank)
		for i := range s {
			for k := range 16 {
				s[i] = s[i].Add(Sym(fmt.Sprint("s", i, "_", k)).Mul(Sym("q")))
			}
		}
		n := s.Elements()
		if rank == 2 {
			require.NoError(t, n.Err())
			require.Equal(t, 257, n.NumTerms())
		} else {
			require.ErrorIs(t, n.Err(), ErrInvalid, "rank %d", rank)
		}
	}
	deg := Sym("a").Mul(Sym("b"))
	for range 10 {
		deg = deg.Mul(deg)
	}
	require.ErrorIs(t, deg.Err(), ErrInvalid)
	sum := C(0)
	for k := range 10000 {
		sum = sum.Add(Sym(fmt.Sprint("s", k)))
	}
	require.ErrorIs(t, sum.Err(), ErrInvalid)
	// (a+b)^8 has nine terms, although it is a product of 256.
	p := Shape{}
	for range 8 {
		p = append(p, Sym("a").Add(Sym("b")))
	}
	require.NoError(t, p.Elements().Err())
	require.Equal(t, 10, p.Elements().NumTerms())
	// A shape whose every dimension is a sum of two symbols of its own still has
	// strides at the largest rank.
	p = Shape{}
	for i := range MaxRank {
		p = append(p, Sym(fmt.Sprint("a", i)).Add(Sym(fmt.Sprint("b", i))))
	}
	require.NoError(t, p.Elements().Err())
	require.Less(t, time.Since(begin), 5*time.Second)
}

// TestDimText verifies that what is counted of a text without writing it is
// what it has.
func TestDimText(t *testing.T) {
	for seed := range uint64(400) {
		rng := rand.New(rand.NewPCG(seed, 12))
		code := make([]byte, 1+rng.IntN(40))
		for i := range code {
			code[i] = byte(rng.Uint32())
		}
		for _, x := range append(program(code), sized{d: C(0)}, sized{d: C(-10)}, sized{d: Sym("a").Scale(-1)}) {
			if x.d.Err() == nil {
				text := x.d.String()
				require.Equal(t, len(text), x.d.textLen(), text)
				require.Equal(t, textFactors([]byte(text)), x.d.Factors(), text)
			}
		}
	}
}

// TestPlanFactors verifies that the dimensions of a plan are bounded together,
// when it is written and before anything is made of what is read.
func TestPlanFactors(t *testing.T) {
	d, err := ParseDim(strings.Repeat("a*b*c*d*e*f+", 15) + "a*b*c*d*e*g")
	require.NoError(t, err)
	require.Equal(t, 13, d.Factors(), "terms that are alike come together")
	long := C(1)
	for k := range 15 {
		long = long.Add(Sym("a").Mul(Sym("b")).Mul(Sym("c")).Mul(Sym("d")).Mul(Sym("e")).Mul(Sym(fmt.Sprint("f", k))))
	}
	require.Equal(t, 91, long.Factors())
	p := inputPlan()
	p.Inputs, p.Values = nil, nil
	for i := range MaxPlanFactors/91/MaxRank + 1 {
		s := Shape{}
		for range MaxRank {
			s = append(s, long)
		}
		p.Values = append(p.Values, Value{Kind: KindInput, Spec: Spec{DType: F32, Shape: s}, Buffer: NoBuffer})
		p.Inputs = append(p.Inputs, Port{Name: strconv.Itoa(i), Value: i})
	}
	require.ErrorIs(t, p.Validate(), ErrInvalid)
	encoded, err := p.marshal() // what a client that does not keep to it would send
	require.NoError(t, err)
	_, err = Decode(encoded)
	require.ErrorIs(t, err, ErrInvalid)
	require.ErrorContains(t, err, "numbers and symbols")
	require.ErrorIs(t, scanPlan(encoded), ErrInvalid)
	last := &p.Values[len(p.Values)-1].Spec.Shape
	*last = (*last)[:0]
	encoded, err = p.Encode()
	require.NoError(t, err)
	_, err = Decode(encoded)
	require.NoError(t, err)
}

// TestDecodeContext verifies that a plan is not read for a caller that has
// gone.
func TestDecodeContext(t *testing.T) {
	encoded, err := inputPlan().Encode()
	require.NoError(t, err)
	_, err = DecodeContext(t.Context(), encoded)
	require.NoError(t, err)
	gone := errors.New("gone")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(gone)
	_, err = DecodeContext(ctx, encoded)
	require.ErrorIs(t, err, gone)
	require.NotErrorIs(t, err, ErrInvalid)
}
