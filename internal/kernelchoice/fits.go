package kernelchoice

import (
	"slices"

	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// The order of a kernel's cases is that of its function in internal/device/cpu.

// gemmFits computes any left side, whose rows are gathered where they have gaps.
func gemmFits(_ op.Op, in []*op.Array, _ *op.Array) bool { return UnitRows(in[1]) }

func matMulFits(o op.Op, in []*op.Array, _ *op.Array) bool {
	return !o.(op.MatMul).TransA && UnitRows(in[0]) && UnitRows(in[1])
}

// rowsFit computes equidistant rows.
func rowsFit(_ op.Op, in []*op.Array, _ *op.Array) bool {
	_, n, _, ok := Rows(in[0])
	return ok && n > 0
}

func argMaxFits(o op.Op, in []*op.Array, out *op.Array) bool {
	a := o.(op.ArgMax).Axis
	return in[0].DType == plan.F32 && rowsFit(o, in, out) && (a == -1 || a == len(in[0].Shape)-1)
}

func topKFits(o op.Op, in []*op.Array, out *op.Array) bool {
	return rowsFit(o, in, out) && out.Contiguous()
}

func softmaxFits(o op.Op, in []*op.Array, out *op.Array) bool {
	a := o.(op.Softmax).Axis
	return rowsFit(o, in, out) && (a == -1 || a == len(out.Shape)-1)
}

// parametersFit computes equidistant rows with parameters without gaps.
func parametersFit(o op.Op, in []*op.Array, out *op.Array) bool {
	for _, p := range in[1:] {
		if !p.Contiguous() {
			return false
		}
	}
	return rowsFit(o, in, out)
}

// embeddingFits copies rows of the table. A table that is stored in panels is a
// weight, which is row-major to its readers.
func embeddingFits(_ op.Op, in []*op.Array, _ *op.Array) bool {
	return in[0].Contiguous() && in[1].Contiguous()
}

func logSoftmaxFits(o op.Op, in []*op.Array, out *op.Array) bool {
	a := o.(op.LogSoftmax).Axis
	return rowsFit(o, in, out) && (a == -1 || a == len(out.Shape)-1)
}

// ropeFits rotates rows that may be anywhere.
func ropeFits(_ op.Op, in []*op.Array, _ *op.Array) bool {
	return UnitRows(in[0]) && UnitRows(in[1]) && UnitRows(in[2])
}

// batchNormFits computes images with the channels of a pixel, or the elements of
// a channel, side by side.
func batchNormFits(_ op.Op, in []*op.Array, out *op.Array) bool {
	if !Flat(out, in[0]) {
		return false
	}
	for _, p := range in[1:] {
		if !p.Contiguous() {
			return false
		}
	}
	return out.Contiguous() || len(out.Shape) == 4 && LastChannels(out)
}

// maxImageSide is the longest side of an image or a window that pooling
// computes.
const maxImageSide = 1 << 28

func sidesFit(sides ...int) bool { return slices.Min(sides) >= 1 && slices.Max(sides) <= maxImageSide }

func maxPoolFits(o op.Op, in []*op.Array, out *op.Array) bool {
	p, x := o.(op.MaxPool2D), in[0]
	return LastChannels(x) && LastChannels(out) && p.Plain() && p.Pad[0] < p.Kernel[0] && p.Pad[1] < p.Kernel[1] &&
		sidesFit(x.Shape[2], x.Shape[3], p.Kernel[0], p.Kernel[1])
}

// imageMeanFits computes the mean over an image with channels last.
func imageMeanFits(o op.Op, in []*op.Array, out *op.Array) bool {
	r, x := o.(op.Reduce), in[0]
	return r.Kind == "mean" && len(x.Shape) == 4 && LastChannels(x) && out.Contiguous() && overImage(r.Axes) &&
		sidesFit(x.Shape[2], x.Shape[3])
}

// overImage reports whether the axes are height and width.
func overImage(axes []int) bool {
	seen := [4]bool{}
	for _, a := range axes {
		seen[(a+4)%4] = true
	}
	return seen == [4]bool{2: true, 3: true}
}
