package kernels

import (
	"math"

	"github.com/genie-sdk/go/internal/halt"
)

// PackedLen is the number of floats that packed filters take.
func (s ConvShape) PackedLen() int {
	s.check("PackedLen")
	g := s.geometry()
	return g.panels * g.panelLen
}

// PackConvFilters writes filters [OutC, C/Groups, KH, KW] into dst, of at least
// [ConvShape.PackedLen] floats, in the layout of the shape's algorithm. The
// layout does not depend on N. With scales, one for each filter, each weight is
// first multiplied by its filter's scale and rounded. When h stops it dst is
// undefined.
func PackConvFilters(dst, filters []float32, s ConvShape, scales []float64, h halt.Func) {
	s.check("PackConvFilters")
	g := s.geometry()
	need("PackConvFilters", "dst", len(dst), g.panels, g.panelLen)
	need("PackConvFilters", "filters", len(filters), s.OutC, s.C/s.Groups, s.KH*s.KW)
	if scales != nil {
		needSame("PackConvFilters", s.OutC, len(scales))
	}
	if rowParts(g.panels*g.panelLen, h, func(i, j int) { clear(dst[i:j]) }); h.Now() {
		return
	}
	ask := h.Counter()
	for oc := range s.OutC {
		panel := oc/g.groupOut*g.groupPanels + oc%g.groupOut/PanelWidth
		column := dst[panel*g.panelLen+oc%g.groupOut%PanelWidth:]
		channels := s.C / s.Groups
		filter := filters[oc*channels*s.KH*s.KW:][:channels*s.KH*s.KW]
		scale := 1.0 // which changes no weight
		if scales != nil {
			scale = scales[oc]
		}
		if g.algorithm == ConvWinograd {
			if !winogradFilter(column, filter, scale, channels, &ask) {
				return
			}
			continue
		}
		for ic := range channels {
			for tap, w := range filter[ic*s.KH*s.KW:][:s.KH*s.KW] {
				if tap%packPart == 0 && ask.Stop(min(packPart, s.KH*s.KW-tap)) {
					return
				}
				column[(tap*channels+ic)*PanelWidth] = float32(float64(w) * scale)
			}
		}
	}
}

// packPart weights are packed between two checks of the halt function.
const packPart = 1024

// FoldBatchNorm folds an inference-time batch normalisation that follows a
// convolution into its bias, in place, and returns the factors of its filters:
// scale = gamma/sqrt(variance+eps), bias = (bias-mean)*scale + beta. A bias is
// rounded once. When h stops it both are undefined.
func FoldBatchNorm(scales []float64, bias, gamma, beta, mean, variance []float32, eps float64, h halt.Func) {
	for _, p := range [][]float32{bias, beta, mean, variance} {
		needSame("FoldBatchNorm", len(gamma), len(p))
	}
	needSame("FoldBatchNorm", len(gamma), len(scales))
	rowParts(len(gamma), h, func(i, j int) {
		for oc := i; oc < j; oc++ {
			scales[oc] = float64(gamma[oc]) / math.Sqrt(float64(variance[oc])+eps)
			bias[oc] = float32((float64(bias[oc])-float64(mean[oc]))*scales[oc] + float64(beta[oc]))
		}
	})
}
