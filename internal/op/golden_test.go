package op_test

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

type goldenTensor struct {
	DType plan.DType `json:"dtype"`
	Shape []int      `json:"shape"`
	Data  []byte     `json:"data"`
}

func (t goldenTensor) spec() plan.Spec { return plan.Spec{DType: t.DType, Shape: op.Static(t.Shape)} }

func (t goldenTensor) array() *op.Array {
	return &op.Array{DType: t.DType, Shape: t.Shape, Strides: op.ContiguousStrides(t.Shape), Data: slices.Clone(t.Data)}
}

// scattered is the same tensor stored with its axes in reverse order and gaps
// between the elements.
func (t goldenTensor) scattered() *op.Array {
	a := &op.Array{DType: t.DType, Shape: t.Shape, Strides: make([]int, len(t.Shape))}
	n := 3
	for i, d := range t.Shape {
		a.Strides[i] = n
		n *= d + 1
	}
	size := t.DType.Size()
	a.Data = make([]byte, n*size)
	for i := range a.Data {
		a.Data[i] = 0xff // NaN, -1
	}
	at := 0
	op.Walk(t.Shape, func(p []int) {
		copy(a.Data[p[0]*size:], t.Data[at*size:at*size+size])
		at++
	}, a.Strides)
	return a
}

type goldenCase struct {
	Name  string                     `json:"name"`
	Op    string                     `json:"op"`
	Attrs map[string]json.RawMessage `json:"attrs"`
	In    []goldenTensor             `json:"in"`
	Out   goldenTensor               `json:"out"`
	// Within is the tolerance, relative from 1 on; 0 for the usual one.
	Within float64 `json:"within"`
}

func (c goldenCase) attrs(t *testing.T) plan.Attrs {
	t.Helper()
	var out plan.Attrs
	for k, raw := range c.Attrs {
		var v any
		require.NoError(t, json.Unmarshal(raw, &v))
		a := plan.Attr{Key: k}
		switch v := v.(type) {
		case bool:
			a = plan.BoolAttr(k, v)
		case string:
			a = plan.Str(k, v)
		case float64:
			a = plan.Float(k, v)
			if !slices.Contains([]string{"eps", "offset", "scale", "softcap"}, k) {
				a = plan.Int(k, int(v))
			}
		case map[string]any:
			if text, ok := v["float"].(string); ok {
				f, err := strconv.ParseFloat(text, 64)
				require.NoError(t, err)
				a = plan.Float(k, f)
				break
			}
			a.Kind = plan.AttrDims
			require.NoError(t, json.Unmarshal(raw, &struct {
				Dims *[]plan.Dim `json:"dims"`
			}{&a.Dims}))
		case []any:
			a.Kind = plan.AttrInts
			require.NoError(t, json.Unmarshal(raw, &a.Ints))
		default:
			require.Fail(t, "no such attribute", k)
		}
		out = append(out, a)
	}
	slices.SortFunc(out, func(a, b plan.Attr) int { return strings.Compare(a.Key, b.Key) })
	return out
}

func goldens(t *testing.T) (all []goldenCase) {
	t.Helper()
	for _, name := range []string{"goldens.json", "goldens_fused.json", "general_goldens.json"} {
		raw, err := os.ReadFile("testdata/" + name)
		require.NoError(t, err)
		var file struct {
			Cases []goldenCase `json:"cases"`
		}
		require.NoError(t, json.Unmarshal(raw, &file))
		require.NotEmpty(t, file.Cases, name)
		all = append(all, file.Cases...)
	}
	return all
}

// garbage is an output array whose memory is not zero.
func garbage(s goldenTensor) *op.Array {
	a := op.NewArray(s.DType, s.Shape...)
	for i := range a.Data {
		a.Data[i] = 0xff
	}
	return a
}

func requireClose(t *testing.T, want goldenTensor, got *op.Array, within float64) {
	t.Helper()
	if within == 0 {
		within = 1e-6
	}
	require.Equal(t, want.DType, got.DType)
	if want.DType != plan.F32 {
		require.Equal(t, want.Data, got.Data)
		return
	}
	for i, g := range got.F32() {
		w := float64(math.Float32frombits(binary.LittleEndian.Uint32(want.Data[4*i:])))
		same := float64(g) == w || math.IsNaN(float64(g)) && math.IsNaN(w)
		if !same && !(math.Abs(float64(g)-w) <= within*max(math.Abs(w), 1)) {
			t.Fatalf("element %d: got %v, the reference has %v", i, g, w)
		}
	}
}

// TestGoldens compares every reference kernel with another implementation; see
// the scripts in testdata.
func TestGoldens(t *testing.T) {
	seen := map[string]bool{"sample": true} // random: see sample_test.go
	for _, c := range goldens(t) {
		seen[c.Op] = true
		t.Run(c.Name, func(t *testing.T) {
			o, err := op.New(c.Op, c.attrs(t))
			require.NoError(t, err)
			var specs []plan.Spec
			var dense, scattered []*op.Array
			var shapes [][]int
			for _, in := range c.In {
				specs = append(specs, in.spec())
				shapes = append(shapes, in.Shape)
				dense = append(dense, in.array())
				scattered = append(scattered, in.scattered())
			}
			out, err := o.Infer(specs)
			require.NoError(t, err)
			require.Equal(t, c.Out.DType, out.DType)
			require.True(t, out.Shape.Equal(op.Static(c.Out.Shape)), "%v, want %v", out.Shape, c.Out.Shape)
			require.GreaterOrEqual(t, o.FLOPs(shapes, c.Out.Shape), 0.0)
			for _, in := range [][]*op.Array{dense, scattered} {
				got := garbage(c.Out)
				require.NoError(t, o.Eval(got, in, nil))
				requireClose(t, c.Out, got, c.Within)
			}
			for i := range dense {
				require.Equal(t, c.In[i].Data, dense[i].Data, "input %d was written", i)
			}
		})
	}
	for _, n := range op.Names() {
		require.True(t, seen[n], "operator %q has no golden", n)
	}
}

// TestGoldenBroadcastStrides gives every f32 input a batch of one that a stride
// of zero repeats.
func TestGoldenBroadcastStrides(t *testing.T) {
	x := op.FromF32([]float32{1, 2, 3}, 3)
	v := &op.Array{DType: plan.F32, Shape: []int{4, 3}, Strides: []int{0, 1}, Data: x.Data}
	out := op.NewArray(plan.F32, 4, 3)
	require.NoError(t, op.Softmax{Axis: 1}.Eval(out, []*op.Array{v}, nil))
	for i := range 4 {
		require.Equal(t, out.F32()[:3], out.F32()[3*i:3*i+3], "row %d", i)
	}
}
