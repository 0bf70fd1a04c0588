package kernels

import (
	"fmt"
	"math"
)

// PackedLen is the number of floats that packed filters take.
func (s ConvShape) PackedLen() int {
	s.check("PackedLen")
	g := s.geometry()
	return g.panels * g.panelLen
}

// PackConvFilters writes filters [OutC, C/Groups, KH, KW] into dst, of at least
// [ConvShape.PackedLen] floats, as the shape's algorithm wants them. The layout
// does not depend on N.
func PackConvFilters(dst, filters []float32, s ConvShape) {
	s.check("PackConvFilters")
	g := s.geometry()
	need("PackConvFilters", "dst", len(dst), g.panels, g.panelLen)
	need("PackConvFilters", "filters", len(filters), s.OutC, s.C/s.Groups, s.KH*s.KW)
	clear(dst[:g.panels*g.panelLen])
	for oc := range s.OutC {
		panel := oc/g.groupOut*g.groupPanels + oc%g.groupOut/PanelWidth
		column := dst[panel*g.panelLen+oc%g.groupOut%PanelWidth:]
		channels := s.C / s.Groups
		filter := filters[oc*channels*s.KH*s.KW:][:channels*s.KH*s.KW]
		if g.algorithm == ConvWinograd {
			winogradFilter(column, filter, channels)
			continue
		}
		for ic := range channels {
			for tap, w := range filter[ic*s.KH*s.KW:][:s.KH*s.KW] {
				column[(tap*channels+ic)*PanelWidth] = w
			}
		}
	}
}

// FoldBatchNorm folds an inference-time batch normalisation that follows a
// convolution into its filters [len(gamma), ...] and bias [len(gamma)], in
// place: filters *= gamma/sqrt(variance+eps), bias = (bias-mean)*gamma/
// sqrt(variance+eps) + beta. Each result is rounded once.
func FoldBatchNorm(filters, bias, gamma, beta, mean, variance []float32, eps float64) {
	out := len(gamma)
	for _, p := range [][]float32{bias, beta, mean, variance} {
		needSame("FoldBatchNorm", out, len(p))
	}
	if out == 0 || len(filters)%out != 0 {
		panic(fmt.Sprintf("kernels: FoldBatchNorm: %d weights for %d filters", len(filters), out))
	}
	size := len(filters) / out
	for oc := range out {
		scale := float64(gamma[oc]) / math.Sqrt(float64(variance[oc])+eps)
		filter := filters[oc*size:][:size]
		for i, w := range filter {
			filter[i] = float32(float64(w) * scale)
		}
		bias[oc] = float32((float64(bias[oc])-float64(mean[oc]))*scale + float64(beta[oc]))
	}
}
