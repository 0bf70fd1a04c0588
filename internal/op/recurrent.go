package op

import (
	"fmt"
	"math"
	"strings"

	"github.com/genie-sdk/go/internal/halt"
	"github.com/genie-sdk/go/transport/plan"
)

// Recurrent is a recurrent layer as ONNX defines it: an LSTM (Hochreiter and
// Schmidhuber, 1997), a GRU (Cho et al., 2014) or a plain RNN, over
// x [seq, batch, in] in one direction or both.
//
// Inputs after x are the weights of the gates W [dirs, gates*hidden, in] and
// R [dirs, gates*hidden, hidden], the biases B [dirs, 2*gates*hidden] of W and
// then of R, the first hidden state h [dirs, batch, hidden], and for an LSTM the
// first cell state c [dirs, batch, hidden]; then, if Lengths, the length of each
// sequence, i32 [batch], and if Peepholes, an LSTM's P [dirs, 3*hidden]. The
// gates are in ONNX's order: input, output, forget, cell for an LSTM; update,
// reset, hidden for a GRU.
//
// The output is [seq+1, dirs, batch, width]: the hidden state after each
// position and last the final one, where the direction ended. An LSTM's width is
// 2*hidden: the hidden state, then the cell state. Positions from a sequence's
// length on are zero.
type Recurrent struct {
	Kind Cell
	// Direction is forward, reverse or both.
	Direction string
	// Activations are those of the gates, separated by commas, for one direction
	// and then for the other: three for an LSTM, two for a GRU, one for an RNN.
	// They are sigmoid, tanh, relu, softsign, softplus and hard_sigmoid.
	Activations string
	// Clip bounds what the activations of the gates are applied to; 0 for none.
	Clip float64
	// Coupled is ONNX's input_forget of an LSTM, the forget gate being 1 minus the
	// input gate, and its linear_before_reset of a GRU.
	Coupled            bool
	Lengths, Peepholes bool
}

// Cell is the kind of a recurrent layer.
type Cell string

// The cells.
const (
	CellLSTM Cell = "lstm"
	CellGRU  Cell = "gru"
	CellRNN  Cell = "rnn"
)

// cells are the number of gates and of activations of a direction.
var cells = map[Cell]struct{ gates, activations int }{
	CellLSTM: {4, 3}, CellGRU: {3, 2}, CellRNN: {1, 1},
}

// recurrentActivations are those of gates, by name.
var recurrentActivations = map[string]func(float64) float64{
	"sigmoid":      func(x float64) float64 { return 1 / (1 + math.Exp(-x)) },
	"tanh":         math.Tanh,
	"relu":         func(x float64) float64 { return math.Max(x, 0) },
	"softsign":     func(x float64) float64 { return x / (1 + math.Abs(x)) },
	"softplus":     softplus,
	"hard_sigmoid": func(x float64) float64 { return min(max(0.2*x+0.5, 0), 1) },
}

// Name is lstm, gru or rnn.
func (o Recurrent) Name() string { return string(o.Kind) }

// Traits are those of a layer.
func (Recurrent) Traits() Traits { return Traits{Class: ClassProduct, NonLinear: true, Layer: true} }

// Attrs are all but the kind.
func (o Recurrent) Attrs() plan.Attrs {
	return plan.Attrs{
		plan.Str("activations", o.Activations), plan.Float("clip", o.Clip), plan.BoolAttr("coupled", o.Coupled),
		plan.Str("direction", o.Direction), plan.BoolAttr("lengths", o.Lengths), plan.BoolAttr("peepholes", o.Peepholes),
	}
}

func decodeRecurrent(c Cell) decoder {
	return func(r *plan.AttrReader) Op {
		return Recurrent{
			Kind: c, Activations: r.Str("activations"), Clip: r.Float("clip"), Coupled: r.Bool("coupled"),
			Direction: r.Str("direction"), Lengths: r.Bool("lengths"), Peepholes: r.Bool("peepholes"),
		}
	}
}

// directions is the number of directions, 0 for an unknown one.
func (o Recurrent) directions() int {
	return map[string]int{"forward": 1, "reverse": 1, "both": 2}[o.Direction]
}

// functions are the activations.
func (o Recurrent) functions() ([]func(float64) float64, error) {
	want := cells[o.Kind].activations * o.directions()
	if want == 0 || len(o.Activations) > plan.MaxNameLen || math.IsNaN(o.Clip) || o.Clip < 0 ||
		o.Peepholes && o.Kind != CellLSTM || o.Coupled && o.Kind == CellRNN {
		return nil, shapeErr("a recurrent layer %.40q in direction %.40q, clip %v", string(o.Kind), o.Direction, o.Clip)
	}
	names := strings.Split(o.Activations, ",")
	if len(names) != want {
		return nil, shapeErr("%d activations of %s, want %d", len(names), o.Kind, want)
	}
	out := make([]func(float64) float64, want)
	for i, n := range names {
		if out[i] = recurrentActivations[n]; out[i] == nil {
			return nil, shapeErr("%s has no activation %.40q", o.Kind, n)
		}
	}
	return out, nil
}

// Infer checks the weights.
func (o Recurrent) Infer(in []plan.Spec) (plan.Spec, error) {
	if _, err := o.functions(); err != nil {
		return plan.Spec{}, err
	}
	want, err := o.operands(in)
	if err != nil {
		return plan.Spec{}, err
	}
	for i, w := range want {
		if in[i].DType != w.DType {
			return plan.Spec{}, dtypeErr("input %d of %s is %v, want %v", i, o.Kind, in[i].DType, w.DType)
		}
		if !in[i].Shape.Equal(w.Shape) {
			return plan.Spec{}, shapeErr("input %d of %s is %v, want %v", i, o.Kind, in[i].Shape, w.Shape)
		}
	}
	h := in[4].Shape
	width := h[2]
	if o.Kind == CellLSTM {
		width = width.Scale(2)
	}
	return plan.Spec{DType: plan.F32, Shape: plan.Shape{in[0].Shape[0].Add(plan.C(1)), h[0], h[1], width}}, nil
}

// operands are the types and shapes that the inputs must have, from those of x
// and of h.
func (o Recurrent) operands(in []plan.Spec) ([]plan.Spec, error) {
	n := 5 // x, W, R, B, h
	for _, more := range []bool{o.Kind == CellLSTM, o.Lengths, o.Peepholes} {
		if more {
			n++
		}
	}
	if err := arity(in, n, n); err != nil {
		return nil, err
	}
	x, h := in[0].Shape, in[4].Shape
	if len(x) != 3 || len(h) != 3 {
		return nil, shapeErr("%s of %v with the state %v, want [seq, batch, in] and [dirs, batch, hidden]", o.Kind, x, h)
	}
	dirs, gates := plan.C(o.directions()), cells[o.Kind].gates
	f32 := func(d ...plan.Dim) plan.Spec { return plan.Spec{DType: plan.F32, Shape: d} }
	hidden := h[2]
	want := []plan.Spec{
		f32(x...), f32(dirs, hidden.Scale(gates), x[2]), f32(dirs, hidden.Scale(gates), hidden), f32(dirs, hidden.Scale(2*gates)), f32(dirs, x[1], hidden),
	}
	if o.Kind == CellLSTM {
		want = append(want, want[4])
	}
	if o.Lengths {
		want = append(want, plan.Spec{DType: plan.I32, Shape: plan.Shape{x[1]}})
	}
	if o.Peepholes {
		want = append(want, f32(dirs, hidden.Scale(3)))
	}
	return want, nil
}

// FLOPs is two for each weight at each position.
func (o Recurrent) FLOPs(in [][]int, _ []int) float64 {
	return 2 * float64(in[0][0]) * float64(in[0][1]) * (fproduct(in[1]) + fproduct(in[2]))
}

// Eval is the reference kernel: it computes in float64.
func (o Recurrent) Eval(out *Array, in []*Array, h halt.Func) error {
	f, err := o.functions()
	if err != nil {
		return err
	}
	ask := h.Counter()
	if err := zero(out, &ask); err != nil {
		return err
	}
	seq, batch := in[0].Shape[0], in[0].Shape[1]
	for d := range o.directions() {
		for b := range batch {
			n := seq
			if lengths := o.lengthsOf(in); lengths != nil {
				if n = lengths.Int(b * lengths.Strides[0]); n < 0 || n > seq {
					return fmt.Errorf("%w: sequence %d has length %d of %d", ErrIndex, b, n, seq)
				}
			}
			c := newCell(o, in, d, b, f)
			for i := range n {
				at := i
				if o.Direction == "reverse" || d == 1 {
					at = n - 1 - i
				}
				if !c.step(at, &ask) {
					return ErrHalted
				}
				c.write(out, at)
			}
			c.write(out, seq)
		}
	}
	return nil
}

// lengthsOf is the input with the lengths, nil for none.
func (o Recurrent) lengthsOf(in []*Array) *Array {
	at := len(in) - 1
	if o.Peepholes {
		at--
	}
	if !o.Lengths {
		return nil
	}
	return in[at]
}

// zero writes zeros.
func zero(out *Array, ask *halt.Counter) error {
	y := out.F32()
	for i := range out.Len() {
		if ask.Stop(elementWork) {
			return ErrHalted
		}
		y[i] = 0
	}
	return nil
}
