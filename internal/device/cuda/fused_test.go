package cuda_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/device"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/internal/planmaker"
	"github.com/genie-sdk/go/internal/program"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// freely never stops a run.
type freely struct{}

func (freely) Halt() bool   { return false }
func (freely) Halted() bool { return false }

// layer is a plan of products with stages of each kind: vectors, activations, and
// values whose rows have one stride, two, and three.
type layer struct {
	p       *plan.Plan
	weights map[int][]byte // by value
	inputs  []int          // elements of a row
}

const layerDepth, layerWidth = 70, 24

func newLayer(t *testing.T, storage plan.DType) *layer {
	t.Helper()
	m := planmaker.New(nil)
	l := &layer{p: m.Plan(), weights: map[int][]byte{}}
	random := rand.New(rand.NewPCG(1, 2))
	weight := func(storage plan.DType, dims ...int) int {
		n := 1
		for _, d := range dims {
			n *= d
		}
		content := make([]byte, 0, 4*n)
		for range n {
			x := math.Float32bits(float32(random.NormFloat64()))
			switch storage {
			case plan.BF16:
				content = binary.LittleEndian.AppendUint16(content, uint16(x>>16))
			case plan.F16: // below 2
				content = binary.LittleEndian.AppendUint16(content, uint16(x>>16)&0xbfff)
			default:
				content = binary.LittleEndian.AppendUint32(content, x)
			}
		}
		l.p.Values = append(l.p.Values, plan.Value{
			Kind: plan.KindWeight, Name: fmt.Sprint("w", len(l.p.Values)), Spec: plan.Spec{DType: plan.F32, Shape: op.Static(dims)}, Storage: storage,
			Hash: transport.HashWeight(storage, dims, content), Buffer: plan.NoBuffer,
		})
		v := len(l.p.Values) - 1
		l.weights[v] = content
		return v
	}
	n := plan.Sym("n")
	input := func(shape ...plan.Dim) int {
		elems := 1
		for _, d := range shape {
			if k, ok := d.Const(); ok {
				elems *= k
			}
		}
		l.inputs = append(l.inputs, elems)
		return m.Input(plan.Spec{DType: plan.F32, Shape: shape})
	}
	step := func(name string, attrs plan.Attrs, in ...int) int {
		v, ok := m.Apply(name, attrs, in...)
		require.True(t, ok, name)
		return v
	}
	product := func(x, w int) int {
		return step("matmul", plan.Attrs{plan.BoolAttr("trans_a", false), plan.BoolAttr("trans_b", false)}, x, w)
	}
	turned := func(v int, perm ...int) int { return step("transpose", plan.Attrs{plan.Ints("perm", perm)}, v) }
	out := func(v int) {
		l.p.Outputs = append(l.p.Outputs, plan.Output{Name: fmt.Sprint("y", len(l.p.Outputs)), Value: v, Place: plan.Download})
	}

	x := input(n, plan.C(layerDepth))
	y := product(x, weight(storage, layerDepth, layerWidth))
	y = step("bias", nil, y, weight(plan.F32, layerWidth))
	y = step("gelu", plan.Attrs{plan.BoolAttr("tanh", true)}, y)
	y = step("mul", nil, y, input(n, plan.C(layerWidth)))
	out(step("sub", nil, y, weight(plan.F32, layerWidth)))

	// Rows in three axes whose order differs from that in memory.
	x = input(plan.C(2), plan.C(3), n, plan.C(layerDepth))
	y = product(turned(x, 2, 0, 1, 3), weight(storage, layerDepth, layerWidth))
	y = step("add", nil, y, turned(input(plan.C(2), n, plan.C(3), plan.C(layerWidth)), 1, 0, 2, 3))
	y = step("add", nil, y, turned(input(plan.C(3), plan.C(2), n, plan.C(layerWidth)), 2, 1, 0, 3))
	out(step("silu", nil, y))
	m.Assign()
	require.NoError(t, l.p.Validate())
	return l
}

// run runs the plan on a device, with its steps grouped or separate.
func (l *layer) run(t *testing.T, d device.Device, separate bool, n int) (out [][]byte) {
	t.Helper()
	ctx, work := context.Background(), op.NewWork(nil)
	prog, err := program.Compile(l.p, program.Options{Separate: separate, Pointwise: d.Capabilities().Pointwise}, work)
	require.NoError(t, err)
	if separate {
		require.Len(t, prog.Groups, 9)
	} else {
		require.Len(t, prog.Groups, 2)
	}
	code, err := d.Compile(prog, work)
	require.NoError(t, err)
	weights := make([]device.Weight, len(l.p.Values))
	for v, content := range l.weights {
		weights[v], err = load(code, v, content, 1000)
		require.NoError(t, err)
		defer weights[v].Free()
	}
	b := program.NewBound(prog)
	require.NoError(t, b.Eval(b.Set([]int{n})))
	r := code.NewRun(b, freely{})
	require.NoError(t, r.Prepare(ctx, weights))
	need := make([]int, len(b.Workspaces))
	r.Workspaces(need)
	_, err = b.FitBuffers(^uint64(0), need, 1<<30)
	require.NoError(t, err)
	arena, err := d.Alloc(ctx, device.UseScratch, b.Total)
	require.NoError(t, err)
	defer d.Free(device.UseScratch, arena)
	random := rand.New(rand.NewPCG(3, uint64(n)))
	place := device.Placement{Arena: arena}
	for _, elems := range l.inputs {
		x := op.NewArray(plan.F32, n*elems)
		for i := range x.F32() {
			x.F32()[i] = float32(random.NormFloat64())
		}
		place.Inputs = append(place.Inputs, device.Input{Data: x.Data})
	}
	require.NoError(t, r.Place(place))
	k, err := r.Groups(0, len(prog.Groups), nil)
	require.NoError(t, err)
	_, err = r.Wait(k)
	require.NoError(t, err)
	for _, o := range l.p.Outputs {
		y := make([]byte, b.Bytes(o.Value))
		require.NoError(t, r.Read(o.Value, y))
		out = append(out, y)
	}
	return out
}

// TestFusedBits computes products with their stages as one kernel, and step by
// step: the results have the same bits.
func TestFusedBits(t *testing.T) {
	for _, storage := range []plan.DType{plan.F32, plan.BF16, plan.F16} {
		d, err := emulated(t)(device.Options{})
		require.NoError(t, err)
		l := newLayer(t, storage)
		for _, n := range []int{1, 2, 37} {
			require.Equal(t, l.run(t, d, true, n), l.run(t, d, false, n), "%v, %d rows", storage, n)
		}
		d.Close()
	}
}
