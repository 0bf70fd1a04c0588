package kernelchoice

import (
	"slices"

	"github.com/genie-sdk/go/internal/op"
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

func topKFits(o op.Op, in []*op.Array, out *op.Array) bool {
	return rowsFit(o, in, out) && out.Contiguous()
}

func softmaxFits(o op.Op, in []*op.Array, out *op.Array) bool {
	a := o.(op.Softmax).Axis
	return rowsFit(o, in, out) && (a == -1 || a == len(out.Shape)-1)
}

func layerNormFits(o op.Op, in []*op.Array, out *op.Array) bool {
	return rowsFit(o, in, out) && in[1].Contiguous() && in[2].Contiguous()
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
