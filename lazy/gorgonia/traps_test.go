package gorgonia_test

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"gorgonia.org/gorgonia"

	"github.com/genie-sdk/go/lazy"
	lazygorgonia "github.com/genie-sdk/go/lazy/gorgonia"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// ramp is a tensor of consecutive numbers.
func ramp(shape ...int) transport.Tensor {
	n := 1
	for _, d := range shape {
		n *= d
	}
	v := make([]float32, n)
	for i := range v {
		v[i] = float32(i)
	}
	return f32s(v, shape...)
}

func value(t *testing.T, inst *lazygorgonia.Instance, x *lazy.Tensor) []float32 {
	t.Helper()
	v, err := inst.Value(x)
	require.NoError(t, err)
	return floats(v)
}

// TestSlicesStayApart is about Gorgonia hashing slice bounds in one byte, so
// that Q, K and V of GPT-2 would be one node.
func TestSlicesStayApart(t *testing.T) {
	g := lazy.NewGraph("qkv")
	x := g.Input("x", lazy.F32, "t", 2304)
	cut := lazy.Split(x, 3, 1)
	g.Output("y", lazy.Add(lazy.Add(cut[0], cut[1]), cut[2]))
	require.Len(t, lazygorgonia.Captured(g).AllNodes(), len(g.Tensors()))
	inst := instance(t, g, plan.Bindings{"t": 2}, map[*lazy.Tensor]transport.Tensor{x: ramp(2, 2304)})
	for i, c := range cut {
		require.EqualValues(t, 768*i, value(t, inst, c)[0])
		require.EqualValues(t, 2304+768*i+767, value(t, inst, c)[1535])
	}
}

// TestEqualOperatorsStayApart repeats operators on one input: Gorgonia would
// take two softmaxes or two batch norms for one whatever their attributes.
func TestEqualOperatorsStayApart(t *testing.T) {
	g := lazy.NewGraph("twins")
	x := g.Input("x", lazy.F32, 2, 3)
	ones, twos := g.Const([]float32{1, 1, 1}, 3), g.Const([]float32{2, 2, 2}, 3)
	rows, cols := lazy.Softmax(x, 1), lazy.Softmax(x, 0)
	again := lazy.Softmax(x, 1)
	small := lazy.BatchNorm(x, ones, ones, ones, ones, 0)
	large := lazy.BatchNorm(x, ones, ones, ones, ones, 3)
	other := lazy.BatchNorm(x, twos, ones, ones, ones, 0)
	require.NoError(t, g.Err())
	require.Len(t, lazygorgonia.Captured(g).AllNodes(), len(g.Tensors()))
	inst := instance(t, g, nil, map[*lazy.Tensor]transport.Tensor{x: ramp(2, 3)})
	require.InDelta(t, math.Exp(2)/(1+math.E+math.Exp(2)), value(t, inst, rows)[2], 1e-6)
	require.InDelta(t, 1/(1+math.Exp(3)), value(t, inst, cols)[2], 1e-6)
	require.Equal(t, value(t, inst, rows), value(t, inst, again))
	require.Equal(t, []float32{0, 1, 2, 3, 4, 5}, value(t, inst, small))
	require.Equal(t, []float32{0.5, 1, 1.5, 2, 2.5, 3}, value(t, inst, large))
	require.Equal(t, []float32{-1, 1, 3, 5, 7, 9}, value(t, inst, other))
}

// TestEqualNames is about Gorgonia merging inputs of one name and shape.
func TestEqualNames(t *testing.T) {
	g := lazy.NewGraph("names")
	g.Input("x", lazy.F32, 2)
	require.ErrorIs(t, g.Input("x", lazy.F32, 2).Err(), lazy.ErrCapture)
	// A weight and an input are fed from different places and may share one.
	g = lazy.NewGraph("names")
	x, w := g.Input("x", lazy.F32, 2), g.WeightF32("x", []float32{10, 20}, 2)
	a, b := g.Const([]float32{100, 100}, 2), g.Const([]float32{100, 100}, 2)
	y := lazy.Add(lazy.Add(lazy.Add(x, w), a), b)
	require.NoError(t, g.Err())
	inst := instance(t, g, nil, map[*lazy.Tensor]transport.Tensor{x: ramp(2)})
	require.Equal(t, []float32{210, 221}, value(t, inst, y))
}

// collision finds two input names whose nodes have one 32-bit hash in an
// instance where they are leaves 0 and 1.
func collision(t *testing.T) (a, b string) {
	t.Helper()
	g := gorgonia.NewGraph()
	n := gorgonia.NewVector(g, gorgonia.Float32, gorgonia.WithShape(2), gorgonia.WithName("probe"))
	hash := func(name string) uint32 { // as Node.WriteHash does it
		h := fnv.New32a()
		_, _ = fmt.Fprintf(h, "%v%v%s\x00", n.Type(), n.Shape(), name)
		return h.Sum32()
	}
	require.Equal(t, n.Hashcode(), hash("probe"), "Gorgonia hashes otherwise")
	seen := map[uint32]string{}
	for i := range 1 << 17 {
		name := fmt.Sprintf("a%d", i)
		seen[hash("0:"+name)] = name
	}
	for i := 0; ; i++ {
		name := fmt.Sprintf("b%d", i)
		if other, ok := seen[hash("1:"+name)]; ok {
			return other, name
		}
	}
}

// TestHashCollision gives two inputs the same 32-bit hash, by which Gorgonia's
// compiler would take one for the other.
func TestHashCollision(t *testing.T) {
	a, b := collision(t)
	g := lazy.NewGraph("collision")
	x, y := g.Input(a, lazy.F32, 2), g.Input(b, lazy.F32, 2)
	z := g.Output("z", lazy.Sub(x, y))
	feeds := map[*lazy.Tensor]transport.Tensor{x: f32s([]float32{5, 7}, 2), y: f32s([]float32{1, 2}, 2)}
	require.Equal(t, []float32{4, 5}, value(t, instance(t, g, nil, feeds), z))
	got, err := runStock(t, g, nil, feeds).Value(z)
	require.NoError(t, err)
	require.Equal(t, []float32{4, 5}, floats(got))
}

// TestPlaceholders distinguishes symbols on the captured graph, where Gorgonia
// needs numbers.
func TestPlaceholders(t *testing.T) {
	g := lazy.NewGraph("dims")
	x := g.Input("x", lazy.F32, "a", "b")
	y := lazy.Transpose(x, 1, 0)
	require.NotEqual(t, lazygorgonia.Node(x).Shape()[0], lazygorgonia.Node(x).Shape()[1])
	require.Equal(t, lazygorgonia.Node(x).Shape()[0], lazygorgonia.Node(y).Shape()[1])
	require.NotEmpty(t, lazygorgonia.Captured(g).ToDot())
}

// TestValueTypes runs every element type and rank 0 through Gorgonia.
func TestValueTypes(t *testing.T) {
	g := lazy.NewGraph("types")
	cond := g.Input("cond", lazy.Bool, 3)
	flag := g.Input("flag", lazy.Bool)
	i := g.Input("i", lazy.I64, "n")
	one := g.Input("one", lazy.I32)
	s := g.Input("s", lazy.F32)
	x := g.Input("x", lazy.F32, 3)
	picked := lazy.Where(cond, x, s)
	byFlag := lazy.Where(flag, x, s)
	total := lazy.Sum(x)
	twice := lazy.Add(total, s)
	index := lazy.ArgMax(x, 0)
	asBool := lazy.Cast(x, lazy.Bool)
	asInt := lazy.Cast(lazy.Identity(i), lazy.I32)
	wide := lazy.Cast(one, lazy.I64)
	isOne := lazy.Cast(one, lazy.Bool)
	require.NoError(t, g.Err())
	feeds := map[*lazy.Tensor]transport.Tensor{
		cond: {DType: lazy.Bool, Shape: []int{3}, Data: []byte{1, 0, 1}},
		flag: {DType: lazy.Bool, Shape: []int{}, Data: []byte{0}},
		i:    {DType: lazy.I64, Shape: []int{0}, Data: []byte{}},
		one:  {DType: lazy.I32, Shape: []int{}, Data: []byte{1, 0, 0, 0}},
		s:    f32s([]float32{9}), x: f32s([]float32{3, 0, 4}, 3),
	}
	inst := instance(t, g, plan.Bindings{"n": 0}, feeds)
	require.Equal(t, []float32{3, 9, 4}, value(t, inst, picked))
	require.Equal(t, []float32{9, 9, 9}, value(t, inst, byFlag))
	require.Equal(t, []float32{7}, value(t, inst, total))
	require.Equal(t, []float32{16}, value(t, inst, twice))
	for y, want := range map[*lazy.Tensor]transport.Tensor{
		index:  {DType: lazy.I32, Data: []byte{2, 0, 0, 0}},
		asBool: {DType: lazy.Bool, Shape: []int{3}, Data: []byte{1, 0, 1}},
		asInt:  {DType: lazy.I32, Shape: []int{0}},
		wide:   {DType: lazy.I64, Data: []byte{1, 0, 0, 0, 0, 0, 0, 0}},
		isOne:  {DType: lazy.Bool, Data: []byte{1}},
	} {
		got, err := inst.Value(y)
		require.NoError(t, err, y.String())
		require.Equal(t, want.DType, got.DType)
		require.Equal(t, append([]int{}, want.Shape...), append([]int{}, got.Shape...))
		require.Equal(t, string(want.Data), string(got.Data), y.String())
	}
}

// TestHalfWeights widens stored halves, subnormals and infinities included.
func TestHalfWeights(t *testing.T) {
	g := lazy.NewGraph("half")
	f16 := []uint16{0x3c00, 0xc000, 0x0001, 0x83ff, 0x7bff, 0x7c00, 0xfc00, 0x8000}
	bf16 := []uint16{0x3f80, 0xc000, 0x0001, 0x7f7f, 0x7f80, 0x3eab, 0x4049, 0x8000}
	weight := func(name string, dt plan.DType, v []uint16) *lazy.Tensor {
		var b []byte
		for _, h := range v {
			b = binary.LittleEndian.AppendUint16(b, h)
		}
		return g.AddWeight(transport.Weight{Name: name, Storage: dt, Shape: []int{len(v)}, Data: b, Hash: transport.HashWeight(dt, []int{len(v)}, b)})
	}
	a, b := weight("a", plan.F16, f16), weight("b", plan.BF16, bf16)
	y, z := lazy.Identity(a), lazy.Identity(b)
	x := g.Input("x", lazy.F32, 1)
	inst := instance(t, g, nil, map[*lazy.Tensor]transport.Tensor{x: ramp(1)})
	inf := float32(math.Inf(1))
	require.Equal(t, []float32{1, -2, 1.0 / (1 << 24), -1023.0 / (1 << 24), 65504, inf, -inf, float32(math.Copysign(0, -1))}, value(t, inst, y))
	for i, h := range bf16 {
		require.Equal(t, uint32(h)<<16, math.Float32bits(value(t, inst, z)[i]))
	}
	require.Equal(t, "f32[8]", a.Spec().String())
}

func TestInstanceErrors(t *testing.T) {
	p := newProgram(t, tiny)
	_, err := lazygorgonia.Instantiate(p.Graph, plan.Bindings{"batch": 1, "seq": 1})
	require.ErrorIs(t, err, plan.ErrInvalid, "past has no size")
	inst, err := lazygorgonia.Instantiate(p.Graph, plan.Bindings{"batch": 1, "seq": 1, "past": 1})
	require.NoError(t, err)
	require.ErrorIs(t, inst.Feed(p.ids, i32s([]int32{1, 2}, 1, 2)), lazy.ErrShape)
	require.ErrorIs(t, inst.Feed(p.ids, f32s([]float32{1}, 1, 1)), lazy.ErrDType)
	require.ErrorIs(t, inst.Feed(p.logits, ramp(1)), lazy.ErrCapture)
	require.ErrorIs(t, inst.Feed(nil, ramp(1)), lazy.ErrCapture)
	_, err = inst.Value(p.logits)
	require.ErrorIs(t, err, lazy.ErrCapture, "nothing has run")
	require.Nil(t, inst.Node(nil))
	g := lazy.NewGraph("slice")
	lazy.Slice(g.Input("x", lazy.F32, "n"), 0, plan.C(0), plan.C(4))
	require.NoError(t, g.Err())
	_, err = lazygorgonia.Instantiate(g, plan.Bindings{"n": 3})
	require.ErrorIs(t, err, lazy.ErrShape, "the slice ends beyond the tensor")
}
