package kernelchoice

import (
	"github.com/genie-sdk/go/internal/op"
)

// The order of a kernel's cases is that of its function in internal/device/cpu.

// layerNormFits computes any layout of x.
func layerNormFits(_ op.Op, in []*op.Array, _ *op.Array) bool {
	return in[1].Contiguous() && in[2].Contiguous()
}

// batchNormFits computes any layout of x.
func batchNormFits(_ op.Op, in []*op.Array, out *op.Array) bool {
	for _, p := range in[1:] {
		if !p.Contiguous() {
			return false
		}
	}
	return out.Contiguous() || len(out.Shape) == 4 && LastChannels(out)
}
