package kernels

// fewRows passes once over the keys and once over the values, for as many heads
// at a time as there is memory for scores.
func (a *attention) fewRows(work []float32) {
	lo, _ := a.Range(0)
	_, hi := a.Range(a.Rows - 1)
	for g := 0; g < a.heads(); g += a.headsAtOnce() {
		f := fewRows{attention: a, g: g, heads: min(a.headsAtOnce(), a.heads()-g), lo: lo, hi: hi}
		if !f.attend(work) {
			return
		}
	}
}

// fewRows are the rows of some heads, from head g on, which attend to keys from lo
// to hi. Their scores are a matrix with the rows of a head one after another.
type fewRows struct {
	*attention
	g, heads, lo, hi int
}

func (f *fewRows) attend(work []float32) bool {
	n := f.hi - f.lo
	var odd [scoreRows]uint64 // by head
	if n > 0 {
		f.eachBlock(f.lo, func(from, to int) {
			f.eachSet(func(q, _ []float32, ldq, _, row, rows int) {
				f.products(work[row*n+from-f.lo:], n, q, ldq, rows, from, to)
			})
		})
	}
	for i := range f.heads {
		for r := range f.Rows {
			if n == 0 || !f.weigh(work[(i*f.Rows+r)*n:][:n], f.g+i, r, f.lo) {
				odd[i] |= 1 << r
			}
		}
		if f.ask.Stop(f.Rows * n) {
			return false
		}
	}
	if n > 0 {
		f.eachBlock(f.lo, func(from, to int) {
			f.eachSet(func(_, out []float32, _, ldo, row, rows int) {
				f.weighted(out, ldo, work[row*n+from-f.lo:], n, rows, from, to, from > f.lo)
			})
		})
	}
	for i := range f.heads {
		f.oddRows(f.g+i, 0, odd[i], work)
	}
	return true
}

// eachBlock calls part for the keys in blocks that stay in a cache while all rows
// use them, and at once if the rows are one tile.
func (f *fewRows) eachBlock(lo int, part func(from, to int)) {
	if f.heads*f.Rows <= fewestRows {
		part(lo, f.hi)
		return
	}
	for lo < f.hi {
		to := min(lo-lo%keyBlock+keyBlock, f.hi)
		part(lo, to)
		lo = to
	}
}

// fewestRows rows are one tile of every path.
const fewestRows = 6

// eachSet calls part for sets of rows that are equally far apart: the rows of a
// head, or one row of each. row is the place of the first one among the scores.
func (f *fewRows) eachSet(part func(q, out []float32, ldq, ldo, row, rows int)) {
	q, out := f.q[f.g*f.QHead:], f.out[f.g*f.OutHead:]
	if f.Rows == 1 && f.OutHead >= f.ValueDim {
		part(q, out, f.QHead, f.OutHead, 0, f.heads)
		return
	}
	for i := range f.heads {
		part(q[i*f.QHead:], out[i*f.OutHead:], f.ldq, f.ldo, i*f.Rows, f.Rows)
	}
}
