package spellings_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/spellings"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport/plan"
)

// TestCommittedSpellings builds every spelling and every trap, whose names are
// unique, alone.
func TestCommittedSpellings(t *testing.T) {
	concepts, err := spellings.Load("../../testdata/spellings")
	require.NoError(t, err)
	require.NotEmpty(t, concepts)
	names := map[string]bool{}
	for _, c := range concepts {
		assert.False(t, names[c.Name], "two concepts are called %s", c.Name)
		names[c.Name] = true
		for _, s := range append(c.Spellings[:len(c.Spellings):len(c.Spellings)], c.Traps...) {
			_, built, err := c.Program(s, spellings.Args{})
			if assert.NoError(t, err) {
				assert.Len(t, built.Out, len(c.Outputs))
			}
		}
	}
}

const sample = `
concept sample
about: everything that the language has
dims b, t, n = 8, h = 2
param eps = 0.5
input x f32[b, t, n]
input unused i64[b]
weight w f32[n]
output y, z

spelling whole
from: own
  state past f32[b, p, n]            # a comment
  all = concat{axis=1}(past, x)
  carry past = all
  a, c = split{axis=-1, sizes=[n / 4, n - n / 4]}(x)
  d, e = split{axis=2, parts=2}(x)
  heads = swap{axes=[1, 2]}(reshape{shape=[b, t, h, -1]}(x))
  s = matmul{trans_b=true}(heads, heads) * (n / h) ^ -0.5
  odd = slice{axis=-1, start=1, step=2}(x)
  table = const{shape=[n / 2, 2]}(if(i0 < 2, eps, cos(i0 * 10000 ^ (-i1 / n))))
  y = reduce_sum{axes=[-1, -2], keep=false}(softmax{axis=-1}(s))
  z = linear(odd,
             table, [1, 2 * eps]) * w * 0 + weight{shape=[n]}(i0) - stack{axis=1}(x, x) *
`

func TestBuild(t *testing.T) {
	src := sample[:len(sample)-len(" *\n")] // a line that ends with an operator does not continue
	_, err := spellings.Parse("f.txt", sample)
	require.ErrorContains(t, err, "f.txt:")
	cs, err := spellings.Parse("f.txt", src)
	require.NoError(t, err)
	require.Len(t, cs, 1)
	_, _, err = cs[0].Program(cs[0].Spellings[0], spellings.Args{})
	require.ErrorContains(t, err, "f.txt:23", "[b, t, 2] times a weight [8] is an error with its line")

	good, err := spellings.Parse("f.txt", src[:len(src)-len(" * w * 0 + weight{shape=[n]}(i0) - stack{axis=1}(x, x)")])
	require.NoError(t, err)
	g := lazy.NewGraph("g")
	x := g.Input("images", lazy.F32, "batch", 4, 8)
	built, err := good[0].Build(good[0].Spellings[0], g, spellings.Args{
		Name: "layer.0", Values: map[string]*lazy.Tensor{"x": x}, Dims: map[string]plan.Dim{"p": lazy.Dim("past")},
	})
	require.NoError(t, err)
	assert.Equal(t, "[batch, 2]", built.Out["y"].Shape().String())
	assert.Equal(t, "[batch, 4, 2]", built.Out["z"].Shape().String())
	assert.Empty(t, built.Made, "x is given, and nothing uses the others")
	require.Len(t, built.States, 1)
	assert.Equal(t, "layer.0.past", built.States[0].In.Name())
	assert.Equal(t, "[batch, past+4, 8]", built.States[0].Out.Shape().String())
}

func TestParseErrors(t *testing.T) {
	head := "concept c\ndims n = 4\ninput x f32[n]\noutput y\n"
	for name, c := range map[string]struct{ src, want string }{
		"no concept":        {"y = x\n", "before the first concept"},
		"no spelling":       {head, "no spelling"},
		"no origin":         {head + "spelling a\ny = x\n", "where it is from"},
		"two of a name":     {head + "spelling a\nfrom: own\ny = x\nspelling a\n", "another spelling"},
		"open bracket":      {head + "spelling a\nfrom: own\ny = exp(x\n", "stays open"},
		"closed bracket":    {head + "spelling a\nfrom: own\ny = x)\n", "not open"},
		"trap without why":  {head + "spelling a\nfrom: own\ny = x\ntrap b\ny = x\n", "why it is one"},
		"prose in the head": {head + "from: own\n", "does not belong here"},
		"string":            {head + "spelling a\nfrom: own\ny = f{k=\"a}(x)\n", "no end"},
		"character":         {head + "spelling a\nfrom: own\ny = x ? x\n", "unexpected"},
		"two statements":    {head + "spelling a\nfrom: own\ny = x x\n", "after the end"},
		"element type":      {"concept c\ninput x f33[n]\n", "f33"},
		"declaration":       {"concept c\nwhatever x\n", "not a declaration"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := spellings.Parse("f.txt", c.src)
			require.ErrorContains(t, err, c.want)
			require.ErrorContains(t, err, "f.txt:")
		})
	}
}

func TestBuildErrors(t *testing.T) {
	for name, c := range map[string]struct{ body, want string }{
		"unknown operator":  {"y = what(x)", "unknown operator"},
		"unknown value":     {"y = z", "z is not a value"},
		"unknown attribute": {"y = softmax{axes=1}(x)", "axis"},
		"not assigned":      {"z = x", "y is not assigned"},
		"names and values":  {"y, z = x", "1 values for 2 names"},
		"axis":              {"y = reduce_mean{axis=3}(x)", "axis 3 of rank 2"},
		"size":              {"y = reshape{shape=[n / 3, 3]}(x)", "is not a size"},
		"step":              {"y = slice{axis=1, step=3}(x)", "step 3"},
		"formula":           {"y = const{shape=[2]}(i0 + what)", "what is not a number"},
		"symbolic table":    {"y = const{shape=[b]}(i0)", "not constant"},
		"large table":       {"y = const{shape=[5000, 5000]}(i0)", "elements"},
		"shapes":            {"y = x + const{shape=[5]}(1)", "broadcast"},
		"split":             {"y, z = split{axis=1, parts=5}(x)", "into 5 parts"},
	} {
		t.Run(name, func(t *testing.T) {
			cs, err := spellings.Parse("f.txt", "concept c\ndims b, n = 4\ninput x f32[b, n]\noutput y\nspelling a\nfrom: own\n"+c.body+"\n")
			require.NoError(t, err)
			_, _, err = cs[0].Program(cs[0].Spellings[0], spellings.Args{})
			require.ErrorContains(t, err, c.want)
		})
	}
}
