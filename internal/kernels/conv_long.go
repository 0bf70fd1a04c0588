package kernels

// longWindow is the number of elements above which a window is processed in
// parts: otherwise a tile of pixels would take too long between two checks of
// the halt function, and its table of segments would be larger than the image.
// No model has such windows.
const longWindow = 1 << 16

// longPart elements of a window are multiplied at a time.
const longPart = 4096

// longWindows computes the pixels p0 to p1 of the panels, one pixel and panel
// after another, with the sums in the order of the other kernels.
func (c *convCall) longWindows(p0, p1, panel0, panel1 int) {
	for p := p0; p < p1; p++ {
		for panel := panel0; panel < panel1; panel++ {
			group, column := panel/c.groupPanels, panel%c.groupPanels*PanelWidth
			first := group*c.groupOut + column
			cols := min(PanelWidth, c.groupOut-column)
			sums := c.block[:PanelWidth]
			if c.algorithm == ConvDepthwise {
				for j := range cols {
					var one [PanelWidth]float32
					if c.longSums(one[:], p, panel, first+j, 1); c.halted {
						return
					}
					sums[j] = one[j]
				}
			} else if c.longSums(sums, p, panel, group*c.groupC, c.groupC); c.halted {
				return
			}
			var bias, residual []float32
			if c.e.Bias != nil {
				bias = c.e.Bias[first:][:cols]
			}
			if c.e.Residual != nil {
				residual = c.e.Residual[p*c.OutC+first:]
			}
			finishRow(c.out[p*c.OutC+first:], sums[:cols], bias, residual, c.e.ReLU)
		}
	}
}

// longSums computes a panel of sums of the window of pixel p over some channels
// of the image. Taps in the padding are zeros.
func (c *convCall) longSums(sums []float32, p, panel, channel, channels int) {
	part := grow(&c.patch, longPart)
	filters := c.packed[panel*c.panelLen:][:c.panelLen]
	fill, done := 0, 0
	multiply := func() bool {
		gemmBlock(sums, PanelWidth, part, longPart, filters[done*PanelWidth:], 0, 1, PanelWidth, fill, done > 0)
		done, fill = done+fill, 0
		return c.stop(longPart * PanelWidth)
	}
	n, oh, ow := p/(c.oh*c.ow), p/c.ow%c.oh, p%c.ow
	for i := range c.KH {
		ih := oh*c.StrideH - c.PadH + i*c.DilH
		for j := range c.KW {
			iw := ow*c.StrideW - c.PadW + j*c.DilW
			at := ((n*c.H+ih)*c.W+iw)*c.C + channel
			inside := uint(ih) < uint(c.H) && uint(iw) < uint(c.W)
			for from := 0; from < channels; {
				k := min(channels-from, longPart-fill)
				if dst := part[fill : fill+k]; inside {
					copy(dst, c.x[at+from:])
				} else {
					clear(dst)
				}
				from += k
				if fill += k; fill == longPart && multiply() {
					return
				}
			}
		}
	}
	if fill > 0 {
		multiply()
	}
}
