package kernels

// manyRows processes one block of rows after another, of one head after another.
// Panels of keys and values are made when the first block needs them.
func (a *attention) manyRows(work []float32) {
	ld := a.scoreStride()
	scores, rest := work[:min(a.Rows, scoreRows)*ld], work[min(a.Rows, scoreRows)*ld:]
	keys, values := rest[:PackedLen(a.Dim, a.Keys)], rest[PackedLen(a.Dim, a.Keys):]
	lo, _ := a.Range(0)
	ready := lo / PanelWidth
	for g := range a.heads() {
		for r0 := 0; r0 < a.Rows; r0 += scoreRows {
			b := rowBlock{attention: a, g: g, r0: r0, r1: min(r0+scoreRows, a.Rows), scores: scores, ld: ld}
			b.q, b.out = a.q[g*a.QHead:], a.out[g*a.OutHead:]
			b.lo, _ = a.Range(r0)
			_, b.hi = a.Range(b.r1 - 1)
			for ; ready*PanelWidth < b.hi; ready++ {
				if !a.pack(keys, values, ready*PanelWidth, min((ready+1)*PanelWidth, a.Keys)) {
					return
				}
			}
			b.lo -= b.lo % PanelWidth
			b.score(keys)
			odd := b.weighAll()
			b.mix(values)
			if a.oddRows(g, r0, odd, work); a.ask.Stop(1) {
				return
			}
		}
	}
}

// pack makes panels of the keys k0 to k1, one panel, and their values.
func (a *attention) pack(keys, values []float32, k0, k1 int) bool {
	k, _ := a.k.part(k0, k1)
	v, _ := a.v.part(k0, k1)
	for d := 0; d < a.Dim; d += dimPart {
		n := min(dimPart, a.Dim-d)
		if a.ask.Stop(n * PanelWidth) {
			return false
		}
		a.k.panelOfRows(keys[k0*a.Dim+d*PanelWidth:], k, k1-k0, d, n)
	}
	for j := 0; j < a.ValueDim; j += dimPart {
		n := min(dimPart, a.ValueDim-j)
		if a.ask.Stop(n * PanelWidth) {
			return false
		}
		packRows(values[j*a.Keys:], v[j:], a.v.Stride, k0, k1, a.Keys, n)
	}
	return true
}

// rowBlock is the rows r0 to r1 of head g, which attend to keys from lo to hi.
// Column j of its scores is key lo+j.
type rowBlock struct {
	*attention
	q, out            []float32 // of the head
	g, r0, r1, lo, hi int
	scores            []float32
	ld                int
}

// score multiplies with the panels of keys, one or two, for the rows that
// attend to one of their keys.
func (b *rowBlock) score(keys []float32) {
	for k0 := b.lo; k0 < b.hi; {
		width := PanelWidth
		if k0+PanelWidth < b.hi {
			width *= productPanels()
		}
		first, last := max(b.r0, k0-b.End+1), b.r1
		if b.Window > 0 {
			last = min(last, k0+width+b.Window-b.End)
		}
		for d := 0; first < last && (d < b.Dim || d == 0); d += dimPart {
			n := min(dimPart, b.Dim-d)
			if b.ask.Stop((last - first) * width * n) {
				return
			}
			gemmBlock(b.scores[(first-b.r0)*b.ld+k0-b.lo:], b.ld, b.q[first*b.ldq+d:], b.ldq, keys[k0*b.Dim+d*PanelWidth:], b.Dim*PanelWidth, last-first, width, n, d > 0)
		}
		k0 += width
	}
}

// weighAll turns scores into weights, with zeros where only another row of the
// group attends to a key. It returns a bit for each row that has to be computed
// separately.
func (b *rowBlock) weighAll() (odd uint64) {
	for g0 := b.r0; g0 < b.r1; g0 += groupRows {
		g1 := min(g0+groupRows, b.r1)
		lo, _ := b.Range(g0)
		_, hi := b.Range(g1 - 1)
		for r := g0; r < g1; r++ {
			if !b.weigh(b.scores[(r-b.r0)*b.ld+lo-b.lo:][:hi-lo], b.g, r, lo) {
				odd |= 1 << (r - b.r0)
			}
		}
	}
	return odd
}

// mix multiplies the weights with the panels of values.
func (b *rowBlock) mix(values []float32) {
	for k0 := b.lo - b.lo%keyBlock; k0 < b.hi; k0 += keyBlock {
		width := productPanels() * PanelWidth
		for j := 0; j < b.ValueDim; j += width {
			panels := values[j*b.Keys:]
			for g0 := b.r0; g0 < b.r1; g0 += groupRows {
				g1 := min(g0+groupRows, b.r1)
				lo, _ := b.Range(g0)
				_, hi := b.Range(g1 - 1)
				from, to := max(k0, lo), min(k0+keyBlock, hi)
				if from < to {
					if b.ask.Stop((g1 - g0) * width * (to - from)) {
						return
					}
					gemmBlock(b.out[g0*b.ldo+j:], b.ldo, b.scores[(g0-b.r0)*b.ld+from-b.lo:], b.ld, panels[from*PanelWidth:], b.Keys*PanelWidth,
						g1-g0, min(width, b.ValueDim-j), to-from, from > lo)
				}
			}
		}
	}
}
