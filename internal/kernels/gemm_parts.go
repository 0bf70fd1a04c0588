package kernels

import "github.com/genie-sdk/go/internal/halt"

// A product is computed in parts that take a few milliseconds, and may be stopped
// between them. How it is split changes no bits.
const (
	// partMACs is the approximate work of a part, and partMACsGeneric that
	// without vector instructions.
	partMACs        = 128 << 20
	partMACsGeneric = 4 << 20
	// partElements of B are read in a part: with few rows reading takes most of
	// the time.
	partElements = 4 << 20
	// A part has at most partMostRows rows: the memory of each may have to be
	// mapped when C is first written.
	partMostRows = 96
	// A part has at least this many columns, and whole tiles of rows.
	partColumns = 4 * PanelWidth
	partRows    = 12
	// longDepth is the depth above which even a part of the fewest rows and
	// columns takes too long.
	longDepth = 1 << 17
)

// gemmParts calls part for ranges of rows and of columns, which begin at whole
// panels where n0 does, until h says stop.
func gemmParts(m, n0, n1, k int, h halt.Func, part func(i0, i1, j0, j1 int)) {
	if h == nil {
		part(0, m, n0, n1)
		return
	}
	work, least, columns := partMACs, partRows, partColumns
	if active == pathGeneric {
		work, least, columns = partMACsGeneric, 1, PanelWidth
	}
	rows := min(m, partMostRows, max(work/(k*columns)/least*least, least))
	columns = max(min(work/(k*rows), partElements/k)/columns*columns, columns)
	for i := 0; i < m; i += rows {
		for j := n0; j < n1; j += columns {
			if (i > 0 || j > n0) && h() {
				return
			}
			part(i, min(i+rows, m), j, min(j+columns, n1))
		}
	}
}

// longRows rows of A are used for each block of a long product.
const longRows = 256

// gemmLong is a product of great depth, in blocks of widenBlock rows of B; C
// holds the running sums in between. panel returns the columns from j on, at
// most one panel, of the rows k0 to k1 of B; it may use the given memory.
func gemmLong(c []float32, ldc int, a []float32, lda int, m, n0, n1, k int, accumulate bool, h halt.Func, panel func(memory []float32, j, k0, k1 int) []float32) {
	s := widenScratches.Get().(*widenScratch)
	defer widenScratches.Put(s)
	ask := h.Counter()
	for i := 0; i < m; i += longRows {
		rows := min(longRows, m-i)
		for k0 := 0; k0 < k; k0 += widenBlock {
			k1 := min(k0+widenBlock, k)
			for j := n0; j < n1; j += PanelWidth {
				b := panel(s[:(k1-k0)*PanelWidth], j, k0, k1)
				gemmBlock(c[i*ldc+j:], ldc, a[i*lda+k0:], lda, b, 0, rows, min(PanelWidth, n1-j), k1-k0, accumulate || k0 > 0)
				if ask.Stop(rows * (k1 - k0) * PanelWidth) {
					return
				}
			}
		}
	}
}
