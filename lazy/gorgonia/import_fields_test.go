package gorgonia

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/genie-sdk/go/transport"
)

// stockLayouts are the structs of the operators that are read by reflection, in
// gorgonia v0.9.18. Another version that changes one of them fails here, and at
// import with errLayout, before it can be misread.
var stockLayouts = map[string]string{
	"Iop":                 "",
	"constantScalar":      "v gorgonia.Scalar",
	"constantTensor":      "v tensor.Tensor",
	"elemUnaryOp":         "ʘUnaryOperator gorgonia.ʘUnaryOperator; argTensor bool; numericResult bool",
	"elemBinOp":           "ʘBinaryOperator gorgonia.ʘBinaryOperator; arg0 hm.Type; arg1 hm.Type; retSame bool",
	"minBetween":          "",
	"maxBetween":          "",
	"linAlgBinOp":         "āBinaryOperator gorgonia.āBinaryOperator; transA bool; transB bool",
	"tensordotOp":         "aAxes []int; bAxes []int; aDims int; bDims int; retDims int",
	"sumOp":               "along gorgonia.axes; d int; inputShape tensor.Shape",
	"maxOp":               "along gorgonia.axes; d int",
	"softmaxOp":           "shape tensor.Shape; axis int; isLog bool",
	"BatchNormOp":         "momentum float64; epsilon float64; dims int; runningMean *tensor.Dense; runningVariance *tensor.Dense; saveMean *tensor.Dense; saveVariance *tensor.Dense; alpha *tensor.Dense; beta *tensor.Dense; training bool",
	"GroupNormOp":         "numGroups int; numChannels int; epsilon float64; mean *tensor.Dense; rstd *tensor.Dense",
	"dropoutOp":           "probability float64; isTraining bool; rndGen gorgonia.randomGenF",
	"reshapeOp":           "from tensor.Shape; to tensor.Shape",
	"transposeOp":         "pattern []int; d int",
	"sliceOp":             "Slice tensor.Slice; along int; a int; d int",
	"concatOp":            "axis int; d int; children int",
	"repeatOp":            "along int; inputShape tensor.Shape",
	"atOp":                "coordinates gorgonia.coordinates; d int",
	"sizeOp":              "axis int; d int; val int",
	"byIndicesOp":         "axis int",
	"diagFlatOp":          "",
	"dtConvOp":            "inshape tensor.Shape; from tensor.Dtype; to tensor.Dtype",
	"upsampleOp":          "stride int",
	"im2colOp":            "h int; w int; padH int; padW int; strideH int; strideW int; dilationH int; dilationW int",
	"maxPoolOp":           "unpaddedB int; unpaddedC int; unpaddedH int; unpaddedW int; h int; w int; padNorth int; padWest int; padSouth int; padEast int; explicitPadding bool; strideH int; strideW int; mask tensor.Tensor",
	"avgPoolOp":           "unpaddedB int; unpaddedC int; unpaddedH int; unpaddedW int; h int; w int; padNorth int; padWest int; padSouth int; padEast int; explicitPadding bool; strideH int; strideW int; mask tensor.Tensor",
	"globalAveragePoolOp": "",
	"letOp":               "",
	"readOp":              "into *gorgonia.Value",
	"randomOp":            "which gorgonia.randomness; shape tensor.Shape; dt tensor.Dtype; a float64; b float64",
}

func layoutOf(t reflect.Type) string {
	var out []string
	for f := range t.Fields() {
		out = append(out, f.Name+" "+f.Type.String())
	}
	return strings.Join(out, "; ")
}

// stockNodes builds a node of each stock operator, with attributes that differ
// from each other, and checks what is read of it.
func stockNodes(t *testing.T, g *gorgonia.ExprGraph) []*gorgonia.Node {
	must := func(n *gorgonia.Node, err error) *gorgonia.Node { return gorgonia.Must(n, err) }
	var nodes []*gorgonia.Node
	read := func(n *gorgonia.Node, check func(f *fields)) {
		f := attributes(n.Op())
		check(f)
		require.NoError(t, f.err)
		nodes = append(nodes, n)
	}
	ints := func(name string, want ...int) func(f *fields) {
		return func(f *fields) { require.Equal(t, want, f.ints(name)) }
	}
	nothing := func(*fields) {}
	leaf := func(dims ...int) *gorgonia.Node {
		return gorgonia.NewTensor(g, gorgonia.Float32, len(dims), gorgonia.WithShape(dims...), gorgonia.WithName(fmt.Sprint("x", dims)))
	}
	x, image := leaf(4, 600), leaf(1, 2, 9, 11)
	read(must(gorgonia.ApplyOp(gorgonia.Iop{}, x)), nothing)
	read(gorgonia.NewConstant(float32(2)), nothing)
	read(gorgonia.NewConstant(tensor.New(tensor.WithShape(1), tensor.WithBacking([]float32{2}))), nothing)
	read(must(gorgonia.Sum(image, 1, 3)), ints("along", 1, 3))
	read(must(gorgonia.Max(image, 2)), ints("along", 2))
	read(must(gorgonia.Tensordot([]int{1, 0}, []int{0, 1}, x, leaf(600, 4))), func(f *fields) {
		require.Equal(t, [][]int{{1, 0}, {0, 1}}, [][]int{f.ints("aAxes"), f.ints("bAxes")})
	})
	read(must(gorgonia.SoftMax(x, 1)), func(f *fields) {
		require.Equal(t, 1, f.int("axis"))
		require.False(t, f.bool("isLog"))
	})
	read(must(gorgonia.LogSoftMax(image, 2)), func(f *fields) { require.True(t, f.bool("isLog")) })
	read(must(gorgonia.Dropout(x, 0.25)), func(f *fields) {
		require.InDelta(t, 0.25, f.float("probability"), 0)
		require.True(t, f.bool("isTraining"))
	})
	read(must(gorgonia.Reshape(x, tensor.Shape{2, 1200})), ints("to", 2, 1200))
	read(must(gorgonia.Transpose(image, 0, 2, 3, 1)), ints("pattern", 0, 2, 3, 1))
	read(must(gorgonia.ApplyOp(must(gorgonia.Slice(x, nil, gorgonia.S(300, 599, 2))).Op(), x)), func(f *fields) {
		start, end, step, all := f.slice() // beyond one byte, which is what the hash has
		require.Equal(t, []any{300, 599, 2, false, 1}, []any{start, end, step, all, f.int("along")})
	})
	read(must(gorgonia.Concat(1, x, leaf(4, 3))), func(f *fields) { require.Equal(t, 1, f.int("axis")) })
	_, repeated, err := gorgonia.Broadcast(image, leaf(1, 2, 1, 11), gorgonia.NewBroadcastPattern(nil, []byte{2}))
	read(must(repeated, err), func(f *fields) { require.Equal(t, 2, f.int("along")) })
	read(must(gorgonia.At(x, 3, 500)), ints("coordinates", 3, 500))
	read(must(gorgonia.SizeOf(3, image)), func(f *fields) { require.Equal(t, 3, f.int("axis")) })
	index := gorgonia.NewVector(g, tensor.Int, gorgonia.WithShape(2), gorgonia.WithName("i"))
	read(must(gorgonia.ByIndices(x, index, 1)), func(f *fields) { require.Equal(t, 1, f.int("axis")) })
	read(must(gorgonia.DiagFlat(leaf(3))), nothing)
	read(must(gorgonia.ConvType(index, tensor.Int, tensor.Float32)), nothing)
	read(must(gorgonia.Upsample2D(image, 3)), func(f *fields) { require.Equal(t, 2, f.int("stride")) })
	read(must(gorgonia.GlobalAveragePool2D(image)), nothing)
	read(must(gorgonia.MinBetween(x, x)), nothing)
	read(must(gorgonia.MaxBetween(x, x)), nothing)
	read(gorgonia.UniformRandomNode(g, gorgonia.Float32, 0, 1, 2), nothing)
	var into gorgonia.Value
	read(gorgonia.Read(x, &into), nothing)
	read(must(gorgonia.Im2Col(image, tensor.Shape{2, 3}, tensor.Shape{4, 5}, tensor.Shape{6, 7}, tensor.Shape{1, 2})), func(f *fields) {
		w := columnsOf(f)
		require.Equal(t, []int{2, 3, 4, 5, 6, 7, 1, 2}, []int{w.h, w.w, w.conv.Pad[0], w.conv.Pad[1], w.conv.Stride[0], w.conv.Stride[1], w.conv.Dilation[0], w.conv.Dilation[1]})
	})
	for _, f := range []func(*gorgonia.Node, tensor.Shape, []int, []int) (*gorgonia.Node, error){gorgonia.MaxPool2D, gorgonia.AveragePool2D} {
		read(must(f(image, tensor.Shape{5, 6}, []int{1, 2, 3, 4}, []int{7, 8})), func(f *fields) {
			require.Equal(t, pool{[2]int{5, 6}, [2]int{7, 8}, [2]int{2, 4}, [2]int{1, 3}}, poolOf(f))
		})
		read(must(f(image, tensor.Shape{5, 6}, []int{1, 2}, []int{7, 8})), func(f *fields) {
			require.Equal(t, pool{[2]int{5, 6}, [2]int{7, 8}, [2]int{1, 2}, [2]int{1, 2}}, poolOf(f))
		})
	}
	norm, _, _, op, err := gorgonia.BatchNorm(image, leaf(1, 2, 1, 1), leaf(1, 2, 1, 1), 0.9, 0.125)
	must(norm, err)
	f := attributes(op)
	require.InDelta(t, 0.125, f.float("epsilon"), 0)
	require.True(t, f.bool("training"))
	require.NoError(t, f.err)
	group := &gorgonia.GroupNormOp{}
	require.Equal(t, 0, attributes(group).int("numGroups"))
	nodes = append(nodes, must(gorgonia.ApplyOp(op, image)), must(gorgonia.ApplyOp(group, image)))
	return append(append(nodes, elementwiseNodes(t, x)...), productNodes(t, x, leaf)...)
}

func elementwiseNodes(t *testing.T, x *gorgonia.Node) (nodes []*gorgonia.Node) {
	for i, f := range []func(*gorgonia.Node) (*gorgonia.Node, error){
		gorgonia.Abs, gorgonia.Sign, gorgonia.Ceil, gorgonia.Floor, gorgonia.Sin, gorgonia.Cos, gorgonia.Exp, gorgonia.Log, gorgonia.Log2,
		gorgonia.Neg, gorgonia.Square, gorgonia.Sqrt, gorgonia.Inverse, gorgonia.InverseSqrt, gorgonia.Cube, gorgonia.Tanh, gorgonia.Sigmoid,
		gorgonia.Log1p, gorgonia.Expm1, gorgonia.Softplus,
	} {
		n := gorgonia.Must(f(x))
		kind, err := unaryKind(n.Op())
		require.NoError(t, err)
		require.Equal(t, i, kind, unaryNames[i])
		require.Equal(t, unaryNames[i], opName(n.Op()))
		nodes = append(nodes, n)
	}
	compare := func(f func(a, b *gorgonia.Node, same bool) (*gorgonia.Node, error), same bool) func(a, b *gorgonia.Node) (*gorgonia.Node, error) {
		return func(a, b *gorgonia.Node) (*gorgonia.Node, error) { return f(a, b, same) }
	}
	for i, f := range []func(a, b *gorgonia.Node) (*gorgonia.Node, error){
		gorgonia.Add, gorgonia.Sub, gorgonia.HadamardProd, gorgonia.HadamardDiv, gorgonia.Pow,
		compare(gorgonia.Lt, true), compare(gorgonia.Gt, false), compare(gorgonia.Lte, true), compare(gorgonia.Gte, false),
		compare(gorgonia.Eq, true), compare(gorgonia.Ne, false),
	} {
		n := gorgonia.Must(f(x, x))
		a := attributes(n.Op())
		require.Equal(t, i, a.within(binaryField).byte(binaryTypeField), binaryNames[i])
		require.Equal(t, i >= 5 && i%2 == 1, a.bool("retSame"), binaryNames[i])
		require.NoError(t, a.err)
		require.Equal(t, binaryNames[i], opName(n.Op()))
		nodes = append(nodes, n)
	}
	// Of two scalars the number is in a struct of another type.
	s := gorgonia.NewScalar(x.Graph(), gorgonia.Float32, gorgonia.WithName("s"))
	require.Equal(t, "sub", opName(gorgonia.Must(gorgonia.Sub(s, s)).Op()))
	return nodes
}

func productNodes(t *testing.T, x *gorgonia.Node, leaf func(dims ...int) *gorgonia.Node) (nodes []*gorgonia.Node) {
	for _, c := range []struct {
		n              *gorgonia.Node
		kind           int
		transA, transB bool
	}{
		{gorgonia.Must(gorgonia.Mul(x, leaf(600, 5))), matMul, false, false},
		{gorgonia.Must(gorgonia.Mul(x, leaf(600))), matVecMul, false, false},
		{gorgonia.Must(gorgonia.Mul(leaf(4), x)), matVecMul, true, false},
		{gorgonia.Must(gorgonia.Mul(leaf(4), leaf(4))), vecDot, false, false},
		{gorgonia.Must(gorgonia.OuterProd(leaf(4), leaf(600))), outerProduct, false, false},
		{gorgonia.Must(gorgonia.BatchedMatMul(leaf(2, 3, 4), leaf(2, 5, 4), false, true)), batchedMatMul, false, true},
	} {
		f := attributes(c.n.Op())
		require.Equal(t, []any{c.kind, c.transA, c.transB}, []any{f.byte(linAlgField), f.bool("transA"), f.bool("transB")})
		require.NoError(t, f.err)
		nodes = append(nodes, c.n)
	}
	return nodes
}

// TestStockLayouts holds what import reads of each operator against the version
// of Gorgonia in go.mod.
func TestStockLayouts(t *testing.T) {
	g := gorgonia.NewGraph()
	seen := map[string]bool{"letOp": true} // which nothing of Gorgonia's makes
	for _, n := range stockNodes(t, g) {
		typ := reflect.TypeOf(n.Op())
		for typ.Kind() == reflect.Pointer {
			typ = typ.Elem()
		}
		require.Equal(t, stockLayouts[typ.Name()], layoutOf(typ), typ.Name())
		seen[typ.Name()] = true
	}
	for name := range stockOperators {
		require.True(t, seen[name], "%s is imported and its layout is not tested", name)
	}
}

// TestChildren holds the reading of operands and names.
func TestChildren(t *testing.T) {
	g := gorgonia.NewGraph()
	x := gorgonia.NewScalar(g, gorgonia.Float32, gorgonia.WithName("x"))
	y := gorgonia.NewScalar(g, gorgonia.Float32, gorgonia.WithName("y"))
	n := gorgonia.Must(gorgonia.Sub(y, x))
	kids, err := children(n)
	require.NoError(t, err)
	require.Equal(t, []*gorgonia.Node{y, x}, kids)
	kids, err = children(x)
	require.NoError(t, err)
	require.Empty(t, kids)
	require.Equal(t, []string{"x", ""}, []string{ownName(x), ownName(n)})
	require.NotEmpty(t, n.Name(), "Gorgonia makes a name up")
}

// otherOp has the name of a stock operator and other attributes.
type otherOp struct{ axis string }

func TestUnknownLayout(t *testing.T) {
	f := &fields{v: reflect.ValueOf(otherOp{"1"})}
	require.Zero(t, f.int("axis"))
	require.ErrorIs(t, f.err, errLayout)
	require.Empty(t, f.ints("along"))
	require.ErrorContains(t, f.err, "axis", "the first one sticks")
	require.ErrorIs(t, (&fields{v: reflect.ValueOf(otherOp{})}).within("axis").err, errLayout)
}

// TestImportLimit: the program of a graph is bounded.
func TestImportLimit(t *testing.T) {
	g := gorgonia.NewGraph()
	y := gorgonia.NewScalar(g, gorgonia.Float32, gorgonia.WithName("x"))
	for range 9 {
		y = gorgonia.Must(gorgonia.Neg(gorgonia.Must(gorgonia.Square(y))))
	}
	im := newImporter(g)
	im.most = 19
	require.NoError(t, im.run(gorgonia.Nodes{y}))
	im = newImporter(g)
	im.most = 18
	err := im.run(gorgonia.Nodes{y})
	require.ErrorIs(t, err, ErrNotImported)
	require.ErrorIs(t, err, transport.ErrLimit)
}

// TestImportCycle: a graph whose operands form a cycle, which Gorgonia's own
// functions do not make, is an error and no endless loop.
func TestImportCycle(t *testing.T) {
	g := gorgonia.NewGraph()
	x := gorgonia.NewScalar(g, gorgonia.Float32, gorgonia.WithName("x"))
	y := gorgonia.Must(gorgonia.Square(x))
	z := gorgonia.Must(gorgonia.Neg(y))
	gorgonia.WithChildren(gorgonia.Nodes{z})(y)
	_, err := Import(g, gorgonia.Nodes{z})
	require.ErrorIs(t, err, ErrNotImported)
	require.ErrorContains(t, err, "cycle")
}
