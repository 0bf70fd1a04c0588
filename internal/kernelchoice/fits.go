package kernelchoice

import (
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// floatsFit computes float32.
func floatsFit(_ op.Op, in []*op.Array, _ *op.Array) bool { return in[0].DType == plan.F32 }

// parametersFit computes any layout of x, with parameters without gaps.
func parametersFit(_ op.Op, in []*op.Array, _ *op.Array) bool {
	for _, p := range in[1:] {
		if !p.Contiguous() {
			return false
		}
	}
	return true
}

// logSoftmaxFits computes the last axis of any layout.
func logSoftmaxFits(o op.Op, _ []*op.Array, out *op.Array) bool {
	a := o.(op.LogSoftmax).Axis
	return a == -1 || a == len(out.Shape)-1
}

// ropeFits rotates rows that may be anywhere.
func ropeFits(_ op.Op, in []*op.Array, _ *op.Array) bool {
	return UnitRows(in[0]) && UnitRows(in[1]) && UnitRows(in[2])
}

// resizeFits computes an output that is row-major or an image with channels last,
// with few neighbours of each of its rows, from any layout.
func resizeFits(o op.Op, in []*op.Array, out *op.Array) bool {
	r, x, taps := o.(op.Resize), in[0], 1
	for d := range out.Shape {
		if r.Changes(d, x.Shape[d], out.Shape[d]) {
			if taps *= r.Taps(); taps > op.MaxRowTaps {
				return false
			}
		}
	}
	return x.Len() > 0 && (out.Contiguous() || len(out.Shape) == 4 && LastChannels(out))
}

// padFits computes an output that is row-major or an image with channels last.
func padFits(_ op.Op, _ []*op.Array, out *op.Array) bool {
	return out.Contiguous() || len(out.Shape) == 4 && LastChannels(out)
}

// recurrentFits computes an LSTM or a GRU with the usual activations, of whole
// sequences of rows that are equidistant, and of weights with dense rows.
func recurrentFits(o op.Op, in []*op.Array, _ *op.Array) bool {
	r := o.(op.Recurrent)
	usual := map[op.Cell]string{op.CellLSTM: "sigmoid,tanh,tanh", op.CellGRU: "sigmoid,tanh"}[r.Kind]
	_, _, _, ok := Rows(in[0])
	return ok && (r.Activations == usual || r.Activations == usual+","+usual) && r.Clip == 0 && !r.Lengths && !r.Peepholes &&
		(r.Kind == op.CellGRU || !r.Coupled) && in[4].Shape[2] > 0 && UnitRows(in[1]) && UnitRows(in[2])
}
