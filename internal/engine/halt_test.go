package engine

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/budget"
	"github.com/genie-sdk/go/internal/device/cpu"
	"github.com/genie-sdk/go/internal/memory"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// soon is how long a run may continue after it is cancelled. The best of
// several attempts counts: the machine may be busy.
func soon() time.Duration {
	if raceEnabled {
		return 500 * time.Millisecond
	}
	return 50 * time.Millisecond
}

// zeros is address space for inputs, all of whose pages are one page of zeros.
type zeros []byte

func newZeros(t testing.TB) zeros {
	z, err := memory.Map(16 << 30)
	require.NoError(t, err)
	t.Cleanup(func() { memory.Unmap(z) })
	return z
}

// call is a call with inputs of zeros.
func (z zeros) call(t testing.TB, s *Session, p *Program) *Call {
	c, err := s.NewCall(p, make([]int, len(p.Symbols())))
	require.NoError(t, err)
	for i := range p.Plan().Inputs {
		require.NoError(t, c.SetInput(i, z[:c.InputSize(i)]))
	}
	return c
}

// stopsSoon cancels a run a moment after it began, several times.
func (z zeros) stopsSoon(t *testing.T, e *Engine, p *plan.Plan) {
	prog := prepare(t, e, p)
	best := time.Hour
	for try := 0; try < 25 && best > soon(); try++ {
		best = min(best, z.stop(t, e, prog))
	}
	require.LessOrEqual(t, best, soon())
}

// stop is how long a run continued after it was cancelled: for ever, if it came to
// its end first, as on a machine whose timers are late.
func (z zeros) stop(t *testing.T, e *Engine, prog *Program) time.Duration {
	s := e.NewSession()
	defer s.Close()
	c := z.call(t, s, prog)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	cancelled := make(chan time.Time, 1)
	timer := time.AfterFunc(5*time.Millisecond, func() { cancelled <- time.Now(); cancel() })
	err := c.Run(ctx)
	ended := time.Now()
	c.Release()
	if timer.Stop() || err == nil {
		return time.Hour
	}
	require.ErrorIs(t, err, context.Canceled)
	s.Close()
	// Its memory goes back to the system.
	require.Eventually(t, func() bool { return e.budget.Held()[budget.Scratch] < 16<<20 }, 5*time.Second, time.Millisecond)
	return ended.Sub(<-cancelled)
}

const (
	many  = 1 << 28 // elements
	large = 1 << 14
)

var square = [2]int{1, 1}

func conv(groups int) op.Conv2D { return op.Conv2D{Stride: square, Dilation: square, Groups: groups} }

// haltCases has steps for every operator, and for every kernel with a separate
// code path for it, that take at least seconds. Activations without attributes
// get theirs from their traits.
var haltCases = withActivations(map[string]func(s *steps){
	"add":             func(s *steps) { s.op(op.Add(), s.f32(many), s.f32(many)) },
	"add/scalar":      func(s *steps) { s.op(op.Add(), s.f32(many), s.f32(1)) },
	"add/long rows":   func(s *steps) { s.op(op.Add(), s.f32(3, many), s.f32(many)) },
	"add/short rows":  func(s *steps) { s.op(op.Add(), s.f32(many/8, 8), s.f32(8)) },
	"add/columns":     func(s *steps) { s.op(op.Add(), s.f32(large, large), s.f32(large, 1)) },
	"sub":             func(s *steps) { s.op(op.Sub(), s.f32(many), s.f32(many)) },
	"mul":             func(s *steps) { s.op(op.Mul(), s.f32(many), s.f32(many)) },
	"div":             func(s *steps) { s.op(op.Div(), s.f32(many), s.f32(many)) },
	"argmax":          func(s *steps) { s.op(op.ArgMax{Axis: -1}, s.f32(1, 15*many)) },
	"argmax/rows":     func(s *steps) { s.op(op.ArgMax{Axis: -1}, s.f32(many, 2)) },
	"argmax/first":    func(s *steps) { s.op(op.ArgMax{}, s.f32(large, large)) },
	"batch_norm":      func(s *steps) { batchNorm(s, s.f32(1, 4, large, large)) },
	"batch_norm/wide": func(s *steps) { batchNorm(s, s.f32(2, many)) },
	"bias":            func(s *steps) { s.op(op.Bias{}, s.f32(4, many), s.f32(many)) },
	"bias/short":      func(s *steps) { s.op(op.Bias{}, s.f32(many/4, 4), s.f32(4)) },
	"avg_pool2d": func(s *steps) {
		s.op(op.AvgPool2D{Kernel: [2]int{2048, 2048}, Stride: square, Dilation: square}, s.f32(1, 1, 4096, 4096))
	},
	"conv_transpose2d": func(s *steps) {
		s.op(op.ConvTranspose2D{Stride: square, Dilation: square, Groups: 1}, s.f32(8, 64, 512, 512), s.f32(64, 64, 5, 5))
	},
	"group_norm": func(s *steps) { s.op(op.GroupNorm{Groups: 1}, s.f32(1, 2, many/2), s.f32(2), s.f32(2)) },
	"resize": func(s *steps) {
		s.op(op.Resize{Shape: op.Static([]int{large, large}), Mode: "cubic", Coords: "half_pixel", Nearest: "floor"}, s.f32(8, 8))
	},
	"lstm":            func(s *steps) { recur(s, op.CellLSTM, 4, "sigmoid,tanh,tanh") },
	"gru":             func(s *steps) { recur(s, op.CellGRU, 3, "sigmoid,tanh") },
	"rnn":             func(s *steps) { recur(s, op.CellRNN, 1, "tanh") },
	"argmin":          func(s *steps) { s.op(op.ArgMin{Axis: 1}, s.f32(1, many)) },
	"gather":          func(s *steps) { s.op(op.Gather{}, s.f32(4), s.input(plan.I32, many/2)) },
	"gather/rows":     func(s *steps) { s.op(op.Gather{}, s.f32(1, many), s.input(plan.I32, 4)) },
	"gather_elements": func(s *steps) { s.op(op.GatherElements{}, s.f32(4), s.input(plan.I32, many/2)) },
	"gather_nd":       func(s *steps) { s.op(op.GatherND{}, s.f32(4), s.input(plan.I32, many/2, 1)) },
	"scatter_elements": func(s *steps) {
		s.op(op.ScatterElements{Combine: "add"}, s.f32(4), s.input(plan.I32, many/2), s.f32(many/2))
	},
	"scatter_nd":       func(s *steps) { s.op(op.ScatterND{Combine: "none"}, s.f32(many), s.input(plan.I32, 1, 1), s.f32(1)) },
	"pad":              func(s *steps) { s.op(op.Pad{Mode: "edge", Before: []int{1}, After: []int{0}}, s.f32(many)) },
	"cumsum":           func(s *steps) { s.op(op.CumSum{}, s.f32(many)) },
	"trilu":            func(s *steps) { s.op(op.TriLU{}, s.f32(large, large)) },
	"range":            func(s *steps) { s.op(op.Range{DType: plan.F32, Length: plan.C(many), Step: 1}) },
	"and":              func(s *steps) { s.op(op.And(), s.input(plan.Bool, many), s.input(plan.Bool, many)) },
	"or":               func(s *steps) { s.op(op.Or(), s.input(plan.Bool, many), s.input(plan.Bool, many)) },
	"xor":              func(s *steps) { s.op(op.Xor(), s.input(plan.Bool, many), s.input(plan.Bool, many)) },
	"not":              func(s *steps) { s.op(op.Not(), s.input(plan.Bool, many)) },
	"is_nan":           func(s *steps) { s.op(op.IsNaN(), s.f32(many)) },
	"is_inf":           func(s *steps) { s.op(op.IsInf(), s.f32(many)) },
	"neg":              func(s *steps) { s.op(op.Neg(), s.f32(many)) },
	"neg/ints":         func(s *steps) { s.op(op.Neg(), s.input(plan.I64, many/2)) },
	"clip":             func(s *steps) { s.op(op.Clip{Max: 1}, s.f32(many)) },
	"min":              func(s *steps) { s.op(op.Min(), s.f32(many), s.f32(many)) },
	"max":              func(s *steps) { s.op(op.Max(), s.f32(many), s.f32(1)) },
	"max/ints":         func(s *steps) { s.op(op.Max(), s.input(plan.I32, many), s.input(plan.I32, 1)) },
	"pow":              func(s *steps) { s.op(op.Pow(), s.f32(many), s.f32(1)) },
	"mod":              func(s *steps) { s.op(op.Mod{}, s.f32(many), s.f32(many)) },
	"less":             func(s *steps) { s.op(op.Less(), s.f32(many), s.f32(many)) },
	"less_equal":       func(s *steps) { s.op(op.LessEqual(), s.f32(many), s.f32(many)) },
	"greater":          func(s *steps) { s.op(op.Greater(), s.f32(many), s.f32(many)) },
	"greater_equal":    func(s *steps) { s.op(op.GreaterEqual(), s.input(plan.I32, many), s.input(plan.I32, many)) },
	"add/ints":         func(s *steps) { s.op(op.Add(), s.input(plan.I32, many), s.input(plan.I32, 1)) },
	"cast":             func(s *steps) { s.op(op.Cast{To: plan.I64}, s.f32(many)) },
	"causal_mask":      func(s *steps) { s.op(op.CausalMask{}, s.f32(1, 4, large, large)) },
	"causal_mask/long": func(s *steps) { s.op(op.CausalMask{}, s.f32(1, 2, 2, many)) },
	"concat":           func(s *steps) { s.op(op.Concat{Axis: 1}, s.f32(large, large), s.f32(large, large)) },
	"concat/long":      func(s *steps) { s.op(op.Concat{}, s.f32(many), s.f32(many)) },
	"contiguous":       func(s *steps) { s.op(op.Contiguous{}, s.op(op.Transpose{Perm: []int{1, 0}}, s.f32(large, large))) },
	"contiguous/image": func(s *steps) {
		s.op(op.Contiguous{}, s.op(op.Transpose{Perm: []int{0, 3, 1, 2}}, s.f32(1, 2, 2, many/4)))
	},
	"conv2d":           func(s *steps) { s.op(conv(1), s.f32(8, 64, 512, 512), s.f32(64, 64, 5, 5)) },
	"conv2d/winograd":  func(s *steps) { s.op(conv(1), s.f32(8, 64, 512, 512), s.f32(64, 64, 3, 3)) },
	"conv2d/window":    func(s *steps) { s.op(conv(1), s.f32(1, 1, 4096, 4096), s.f32(1, 1, 2048, 2048)) },
	"conv2d/dilated":   func(s *steps) { s.op(dilated(), s.f32(1, 1, 4096, 4096), s.f32(1, 1, 1024, 1024)) },
	"conv2d/depthwise": func(s *steps) { s.op(conv(64), s.f32(8, 64, 1024, 1024), s.f32(64, 1, 16, 16)) },
	"conv2d/wide":      func(s *steps) { s.op(conv(2), s.f32(1, 2, 4096, 4096), s.f32(2, 1, 1024, 1024)) },
	"conv2d/channels":  func(s *steps) { s.op(conv(1), s.f32(1, 1<<18, 16, 16), s.f32(256, 1<<18, 2, 2)) },
	"conv2d/deep":      func(s *steps) { s.op(conv(1), s.f32(1, 1<<16, 12, 12), s.f32(64, 1<<16, 3, 3)) },
	"conv2d/weights":   func(s *steps) { s.op(conv(1), s.f32(32, 64, 512, 512), s.weight(plan.F32, 64, 64, 5, 5)) },
	"conv2d/fused":     fusedConv,
	"embedding":        func(s *steps) { s.op(op.Embedding{}, s.f32(4, 4), s.input(plan.I32, many/2)) },
	"embedding/long":   func(s *steps) { s.op(op.Embedding{}, s.f32(1, many), s.input(plan.I32, 4)) },
	"equal":            func(s *steps) { s.op(op.Equal{}, s.f32(many), s.f32(many)) },
	"expand":           func(s *steps) { s.op(op.Expand{Shape: op.Static([]int{large, large})}, s.f32(large, 1)) },
	"gelu":             func(s *steps) { s.op(op.GELU{}, s.f32(many)) },
	"gelu/tanh":        func(s *steps) { s.op(op.GELU{Tanh: true}, s.f32(many)) },
	"identity":         func(s *steps) { s.op(op.Exp{}, s.op(op.Identity{}, s.f32(many))) },
	"layer_norm":       func(s *steps) { s.op(op.LayerNorm{Eps: 1e-5}, s.f32(1, many), s.f32(many), s.f32(many)) },
	"layer_norm/rows":  func(s *steps) { s.op(op.LayerNorm{Eps: 1e-5}, s.f32(many/8, 8), s.f32(8), s.f32(8)) },
	"layer_norm/alone": func(s *steps) { s.op(op.LayerNorm{Eps: 1e-5}, s.f32(1, many)) },
	"log_softmax":      func(s *steps) { s.op(op.LogSoftmax{Axis: -1}, s.f32(1, many)) },
	"log_softmax/rows": func(s *steps) { s.op(op.LogSoftmax{Axis: -1}, s.f32(many/8, 8)) },
	"rms_norm":         func(s *steps) { s.op(op.RMSNorm{Eps: 1e-5}, s.f32(1, many), s.f32(many)) },
	"rms_norm/rows":    func(s *steps) { s.op(op.RMSNorm{Eps: 1e-5}, s.f32(many/8, 8), s.f32(8)) },
	"rope":             func(s *steps) { s.op(op.RoPE{}, s.f32(1, 4, many/256, 64), s.f32(many/256, 32), s.f32(many/256, 32)) },
	"rope/pairs":       func(s *steps) { s.op(op.RoPE{Interleaved: true}, s.f32(1, many), s.f32(1, many/2), s.f32(1, many/2)) },
	"matmul":           func(s *steps) { s.op(op.MatMul{}, s.f32(large, large), s.f32(large, large)) },
	"matmul/nt":        func(s *steps) { s.op(op.MatMul{TransB: true}, s.f32(large, large), s.f32(large, large)) },
	"matmul/tn":        func(s *steps) { s.op(op.MatMul{TransA: true}, s.f32(4096, 4096), s.f32(4096, 4096)) },
	"matmul/dot":       func(s *steps) { s.op(op.MatMul{}, s.f32(8, many), s.f32(many, 8)) },
	"matmul/dots":      func(s *steps) { s.op(op.MatMul{TransB: true}, s.f32(8, many), s.f32(8, many)) },
	"matmul/outer":     func(s *steps) { s.op(op.MatMul{}, s.f32(1<<15, 1), s.f32(1, 1<<15)) },
	"matmul/batch":     func(s *steps) { s.op(op.MatMul{}, s.f32(1<<20, 16, 16), s.f32(1<<20, 16, 16)) },
	"matmul/large":     func(s *steps) { s.op(op.MatMul{}, s.f32(4, 4096, 4096), s.f32(4, 4096, 4096)) },
	"matmul/gathered":  gathered,
	"matmul/weights":   func(s *steps) { project(s, plan.F32) },
	"matmul/f16":       func(s *steps) { project(s, plan.F16) },
	"matmul/bf16":      func(s *steps) { project(s, plan.BF16) },
	"matmul/fused":     fusedProduct,
	"attend":           func(s *steps) { attendGroups(s, large, 64, op.Attention{Scale: 0.1, Mask: op.MaskNone, Causal: true}) },
	"attend/masked": func(s *steps) {
		attendGroups(s, large, 64, op.Attention{Scale: 0.1, Mask: op.MaskAdd, Softcap: 5}, s.f32(large, large))
	},
	"attend/long": func(s *steps) {
		attendGroups(s, many/64, 64, op.Attention{Scale: 0.1, Mask: op.MaskBool}, s.input(plan.Bool, many/64))
	},
	"attention":        func(s *steps) { attend8(s, large, 64, 64) },
	"attention/long":   func(s *steps) { attend8(s, 4, many/64, 64) },
	"attention/deep":   func(s *steps) { attend8(s, 64, 64, many/64) },
	"max_pool2d":       func(s *steps) { maxPool(s, 2048) },
	"max_pool2d/small": func(s *steps) { maxPool(s, 32) },
	"max_pool2d/last":  pooledLast,
	"pick":             func(s *steps) { s.op(op.Pick{}, s.f32(1, 2, many), s.input(plan.I32, 1)) },
	"pick/rows":        func(s *steps) { s.op(op.Pick{}, s.f32(many, 2), s.input(plan.I32, many)) },
	"reduce":           func(s *steps) { s.op(op.Reduce{Kind: "sum", Axes: []int{0, 1}}, s.f32(large, large)) },
	"reduce/mean":      meanOfImage,
	"reshape": func(s *steps) {
		s.op(op.Reshape{Shape: op.Static([]int{many})}, s.op(op.Transpose{Perm: []int{1, 0}}, s.f32(large, large)))
	},
	"sample":        func(s *steps) { draw(s, 4, many/4) },
	"sample/rows":   func(s *steps) { draw(s, many/8, 8) },
	"slice":         func(s *steps) { s.op(op.Slice{Axis: 1, Start: plan.C(1), Stop: plan.C(large)}, s.f32(large, large)) },
	"softmax":       func(s *steps) { s.op(op.Softmax{Axis: -1}, s.f32(1, many)) },
	"softmax/rows":  func(s *steps) { s.op(op.Softmax{Axis: -1}, s.f32(many/8, 8)) },
	"softmax/first": func(s *steps) { s.op(op.Softmax{}, s.f32(large, large)) },
	"topk":          func(s *steps) { s.op(op.TopK{K: many / 16}, s.f32(1, many)) },
	"topk/rows":     func(s *steps) { s.op(op.TopK{K: 1, Indices: true}, s.f32(many/2, 2)) },
	"transpose":     func(s *steps) { s.op(op.Transpose{Perm: []int{1, 0}}, s.f32(large, large)) },
	"where":         func(s *steps) { s.op(op.Where{}, s.input(plan.Bool, many), s.f32(many), s.f32(many)) },
	"write_rows":    func(s *steps) { s.op(op.WriteRows{}, s.f32(many), s.f32(many/2), s.input(plan.I32, 1)) },
	"append": func(s *steps) {
		in := s.value(plan.Value{Kind: plan.KindState, Name: "state", Spec: plan.Spec{DType: plan.F32, Shape: plan.Shape{plan.Sym("n"), plan.C(2)}}, Buffer: plan.NoBuffer})
		s.state(plan.StateAppend, in, s.op(op.Append{}, in, s.f32(many/2, 2)))
	},
})

func withActivations(cases map[string]func(s *steps)) map[string]func(s *steps) {
	for _, o := range op.Activations() {
		cases[o.Name()] = func(s *steps) { s.op(o, s.f32(many)) }
	}
	return cases
}

// recur is a recurrent layer over many positions.
func recur(s *steps, c op.Cell, gates int, activations string) {
	const hidden = 64
	in := []int{s.f32(many/256, 4, hidden), s.f32(1, gates*hidden, hidden), s.f32(1, gates*hidden, hidden), s.f32(1, 2*gates*hidden), s.f32(1, 4, hidden)}
	if c == op.CellLSTM {
		in = append(in, s.f32(1, 4, hidden))
	}
	s.op(op.Recurrent{Kind: c, Direction: "forward", Activations: activations}, in...)
}

func batchNorm(s *steps, x int) int {
	n, _ := s.p.Values[x].Spec.Shape[1].Const()
	return s.op(op.BatchNorm{Eps: 1}, x, s.f32(n), s.f32(n), s.f32(n), s.f32(n))
}

func dilated() op.Conv2D {
	return op.Conv2D{Stride: square, Dilation: [2]int{2, 2}, Groups: 1}
}

func fusedConv(s *steps) {
	y := s.op(conv(1), s.f32(8, 64, 512, 512), s.f32(64, 64, 3, 3), s.f32(64))
	s.op(op.ReLU{}, s.op(op.Add(), batchNorm(s, y), s.f32(8, 64, 510, 510)))
}

func project(s *steps, storage plan.DType) int {
	return s.op(op.MatMul{}, s.f32(1<<17, 2048), s.weight(storage, 2048, 2048))
}

func fusedProduct(s *steps) {
	y := s.op(op.Bias{}, project(s, plan.F32), s.f32(2048))
	s.op(op.Add(), s.op(op.GELU{}, y), s.f32(1<<17, 2048))
}

func gathered(s *steps) {
	x := s.op(op.Transpose{Perm: []int{1, 0, 2}}, s.f32(1<<14, 1<<13, 2))
	s.op(op.MatMul{}, x, s.f32(2, 2))
}

func attend8(s *steps, rows, keys, dim int) {
	scores := s.op(op.MatMul{TransB: true}, s.f32(1, 8, rows, dim), s.f32(1, 8, keys, dim))
	weights := s.op(op.Softmax{Axis: -1}, s.op(op.Mul(), scores, s.scalar(0.5)))
	s.op(op.MatMul{}, weights, s.f32(1, 8, keys, dim))
}

// attendGroups is an attention of groups of heads as one step.
func attendGroups(s *steps, keys, dim int, o op.Attention, masks ...int) {
	in := []int{s.f32(1, 8, min(keys, large), dim), s.f32(1, 2, keys, dim), s.f32(1, 2, keys, dim)}
	s.op(o, append(in, masks...)...)
}

func maxPool(s *steps, window int) {
	s.op(op.MaxPool2D{Kernel: [2]int{window, window}, Stride: square}, s.f32(1, 1, 4096, 4096))
}

// pooledLast pools the output of a convolution with channels last.
func pooledLast(s *steps) {
	y := s.op(conv(1), s.f32(1, 1, 2048, 2048), s.f32(2, 1, 1, 1))
	s.op(op.MaxPool2D{Kernel: [2]int{1024, 1024}, Stride: square}, y)
}

func meanOfImage(s *steps) {
	y := s.op(conv(1), s.f32(4, 1, 8192, 8192), s.f32(2, 1, 1, 1))
	s.op(op.Reduce{Kind: "mean", Axes: []int{2, 3}}, y)
}

func draw(s *steps, rows, v int) {
	s.op(op.Sample{}, s.f32(rows, v), s.f32(rows), s.f32(rows), s.input(plan.I32, rows), s.input(plan.I64, rows), s.input(plan.I32, rows))
}

// TestRunStops cancels a run of each operator on each code path, in the middle
// of a step that would take seconds, minutes or hours. An operator without a
// case fails.
func TestRunStops(t *testing.T) {
	z := newZeros(t)
	covered := map[string]bool{}
	for name, c := range haltCases {
		s := newSteps(t)
		c(s)
		for _, st := range s.p.Steps {
			covered[st.Op] = true
		}
		p := s.plan()
		for how, open := range map[string]func(Options) (*Engine, error){
			"fused": New, "reference": func(o Options) (*Engine, error) { return NewReference(o, true) },
		} {
			t.Run(fmt.Sprintf("%s/%s", name, how), func(t *testing.T) {
				e, err := open(Options{Device: cpu.Open, Threads: 2, MaxScratch: 1 << 36})
				require.NoError(t, err)
				defer e.Close()
				z.stopsSoon(t, e, p)
			})
		}
	}
	for _, name := range op.Names() {
		require.True(t, covered[name], "no case of %q", name)
	}
}

// TestRunStopsAnywhere is the same with one thread, and with weights of 8 bits.
func TestRunStopsAnywhere(t *testing.T) {
	z := newZeros(t)
	for _, o := range []Options{{Device: cpu.Open, Threads: 1}, {Device: cpu.Open, Threads: 2, Int8Weights: true}} {
		for _, name := range slices.Sorted(slices.Values([]string{"matmul", "matmul/weights", "conv2d", "attention", "exp"})) {
			t.Run(fmt.Sprintf("%s/threads=%d", name, o.Threads), func(t *testing.T) {
				o.MaxScratch = 1 << 36
				e, err := New(o)
				require.NoError(t, err)
				defer e.Close()
				s := newSteps(t)
				haltCases[name](s)
				z.stopsSoon(t, e, s.plan())
			})
		}
	}
}
