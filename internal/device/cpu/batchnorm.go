package cpu

import (
	"math"

	"github.com/genie-sdk/go/internal/kernels"
	"github.com/genie-sdk/go/internal/op"
)

// runBatchNorm is a batch normalisation that is not fused with a convolution
// (see fuse_conv.go): (x - mean) * scale + beta, in float32, where scale is
// gamma/sqrt(variance+eps) rounded once. It subtracts first, so that values
// near a large mean lose no precision.
func runBatchNorm(s *step) error {
	n, channels := s.out.Len(), s.out.Shape[1]
	switch {
	case len(s.out.Shape) == 4 && lastChannels(s.out), n/s.out.Shape[0] == channels && s.out.Contiguous():
		s.pool.run(s.job, s, n/channels, rowsPerChunk(channels), batchNormRows)
	default:
		plane := n / s.out.Shape[0] / channels
		s.pool.run(s.job, s, n/plane, rowsPerChunk(plane), batchNormPlanes)
	}
	return nil
}

func batchNormScale(s *step, c int) float32 {
	return float32(float64(s.in[1].F32()[c]) / math.Sqrt(float64(s.in[4].F32()[c])+s.op.(op.BatchNorm).Eps))
}

// batchNormPlanes is for images with the elements of a channel side by side.
func batchNormPlanes(s *step, lo, hi int) {
	y, x, beta, mean := s.out.F32(), s.in[0].F32(), s.in[2].F32(), s.in[3].F32()
	channels := s.out.Shape[1]
	n := s.out.Len() / s.out.Shape[0] / channels
	for p := lo; p < hi; p++ {
		c, scale := p%channels, batchNormScale(s, p%channels)
		s.pieces(n, func(i, j int) {
			dst := y[p*n+i : p*n+j]
			kernels.SubScalar(dst, x[p*n+i:p*n+j], mean[c])
			kernels.MulScalar(dst, dst, scale)
			kernels.AddScalar(dst, dst, beta[c])
		})
	}
}

// batchNormRows is for images with the channels of a pixel side by side.
func batchNormRows(s *step, lo, hi int) {
	y, x, beta, mean := s.out.F32(), s.in[0].F32(), s.in[2].F32(), s.in[3].F32()
	channels := s.out.Shape[1]
	var scales [256]float32
	ask := s.halt.Counter()
	for from := 0; from < channels; from += len(scales) {
		if ask.Stop((hi - lo) * len(scales)) {
			return
		}
		to := min(from+len(scales), channels)
		scale := scales[:to-from]
		for i := range scale {
			scale[i] = batchNormScale(s, from+i)
		}
		for r := lo; r < hi; r++ {
			dst := y[r*channels+from : r*channels+to]
			kernels.Sub(dst, x[r*channels+from:r*channels+to], mean[from:to])
			kernels.Mul(dst, dst, scale)
			kernels.Add(dst, dst, beta[from:to])
		}
	}
}
