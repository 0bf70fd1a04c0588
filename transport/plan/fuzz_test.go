package plan

import (
	"math/big"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzParseDim holds the text form of dimensions: what is read writes itself in
// a form that reads as the same, and its value is that of the same polynomial in
// integers without bounds.
func FuzzParseDim(f *testing.F) {
	for _, text := range []string{
		"0", "7", "-7", "past+seq", "12*batch*seq-1", "a-a", "a*b+b*a", "-a", "+a", "a*a*a*a*a*a", "1099511627776*a", "a.b_c", "a+", "floor(a/2)", "3*floor((a+b+1)/7)*a-floor(b/2)", "floor((a+floor(b/2))/3)", "floor((a+2)/2)", "floor(2*a/4)", "floor(a/1)", "floor(-a/3)",
		"floor((a+floor((b+floor(a/5))/2))/3)", "floor(a/0)", "floor(", "floor()", "floor(a)", "floor(a/2)floor(b/2)", "floor(a/99999999999)", "a)", "floor((a)/2)", "*a", "-0", "00",
		strings.Repeat("1099511627776*a+", 16) + "1",
	} {
		f.Add(text, 3, 4)
	}
	f.Fuzz(func(t *testing.T, text string, a, b int) {
		d, err := ParseDim(text)
		if err != nil {
			require.ErrorIs(t, err, ErrInvalid)
			return
		}
		again, err := ParseDim(d.String())
		require.NoError(t, err, "%q writes %q", text, d)
		require.True(t, d.Equal(again), "%q writes %q", text, d)
		require.Equal(t, d.String(), again.String())

		sizes, want := Bindings{}, new(big.Int)
		for i, s := range d.Symbols(nil) {
			sizes[s] = []int{a, b}[i%2]
		}
		d.Terms(func(coeff int64, syms []string) {
			term := big.NewInt(coeff)
			for _, s := range syms {
				n, _ := factor(s, sizes)
				term.Mul(term, big.NewInt(n))
			}
			want.Add(want, term)
		})
		got, err := d.Eval(sizes)
		if err != nil { // a term or a sum on the way may be out of range where the whole is not
			require.ErrorIs(t, err, ErrInvalid)
			return
		}
		require.Equal(t, want.String(), big.NewInt(int64(got)).String(), "%s at %v", d, sizes)
		require.GreaterOrEqual(t, got, 0)
		require.LessOrEqual(t, got, MaxDimSize)
		// The empty shape, and one of this dimension alone.
		require.True(t, Shape{d}.Elements().Equal(d))
	})
}
