package kernels

import "github.com/genie-sdk/go/internal/halt"

const (
	// longPool is the number of elements above which a window is processed in
	// parts that can be stopped between.
	longPool = 1 << 21
	// poolPart is how many channels of such a window are computed together.
	poolPart = 4096
)

// longMaxWindow is maxWindow of a large window.
func longMaxWindow(dst, x []float32, stride, rows, cols int, ask *halt.Counter) {
	for c0 := 0; c0 < len(dst); c0 += poolPart {
		top := dst[c0:min(c0+poolPart, len(dst))]
		copy(top, x[c0:])
		for i := range rows {
			for j := range cols {
				if ask.Stop(len(top)) {
					return
				}
				for c, v := range x[i*stride+j*len(dst)+c0:][:len(top)] {
					top[c] = max(top[c], v)
				}
			}
		}
	}
}

// longMeanWindow is meanWindow of a large window: the same sums in the same order.
func longMeanWindow(dst, x []float32, stride, rows, cols int, count float32, ask *halt.Counter) {
	inRow := make([]float32, min(poolPart, len(dst)))
	for c0 := 0; c0 < len(dst); c0 += poolPart {
		sums := dst[c0:min(c0+poolPart, len(dst))]
		clear(sums)
		for i := range rows {
			row := inRow[:len(sums)]
			clear(row)
			for j := range cols {
				if ask.Stop(len(row)) {
					return
				}
				for c, v := range x[i*stride+j*len(dst)+c0:][:len(row)] {
					row[c] += v
				}
			}
			for c, v := range row {
				sums[c] += v
			}
		}
		for c := range sums {
			sums[c] /= count
		}
	}
}
