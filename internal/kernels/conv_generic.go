package kernels

// product computes all rows of a whole panel.
func (r *convRun) product() {
	if r.productArch() {
		return
	}
	for row := range r.rows {
		if r.ask.Stop(r.segments * r.length) {
			return
		}
		var sums [PanelWidth]float32
		at, height := r.entry(row, r.segments)
		panel := r.panel
		for range r.segments {
			for _, x := range r.segment(r.table[at])[:r.length] {
				for j, w := range (*[PanelWidth]float32)(panel) {
					sums[j] += float32(x * w)
				}
				panel = panel[PanelWidth:]
			}
			at += height
		}
		r.finish(row, sums[:r.cols])
	}
}

// depthwise computes all rows of a panel of channels.
func (r *convRun) depthwise() {
	done := r.depthwiseArch()
	if done == r.cols {
		return
	}
	for row := range r.rows {
		if r.ask.Stop(r.segments) {
			return
		}
		r.depthwiseRow(row, done)
	}
}

// depthwiseRow computes the channels of a row from the given one on.
func (r *convRun) depthwiseRow(row, from int) {
	var sums [PanelWidth]float32
	at, height := r.entry(row, r.segments)
	for tap := range r.segments {
		segment := r.segment(r.table[at])
		for j := from; j < r.cols; j++ {
			sums[j] += float32(segment[j] * r.panel[tap*PanelWidth+j])
		}
		at += height
	}
	rest := *r
	rest.out = r.out[from:]
	if r.bias != nil {
		rest.bias = r.bias[from:]
	}
	if r.residual != nil {
		rest.residual = r.residual[from:]
	}
	rest.finish(row, sums[from:r.cols])
}
