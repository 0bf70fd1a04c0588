package cpu

import "github.com/genie-sdk/go/transport/plan"

// axes are some axes of an array in row-major order, without those of one
// element; neighbours without a gap are one.
type axes struct {
	rank, total int
	n, strides  [plan.MaxRank]int
}

func (a *axes) reset() { a.rank, a.total = 0, 1 }

// add appends an axis.
func (a *axes) add(n, stride int) {
	a.total *= n
	last := a.rank - 1
	switch {
	case n == 1:
	case last >= 0 && a.strides[last] == stride*n:
		a.n[last], a.strides[last] = a.n[last]*n, stride
	default:
		a.n[a.rank], a.strides[a.rank] = n, stride
		a.rank++
	}
}

// offset is that of position i.
func (a *axes) offset(i int) int {
	off := 0
	for d := a.rank - 1; d > 0; d-- {
		off += i % a.n[d] * a.strides[d]
		i /= a.n[d]
	}
	if a.rank > 0 {
		off += i * a.strides[0]
	}
	return off
}

// inner is the length and the stride of the last axis.
func (a *axes) inner() (n, stride int) {
	if a.rank == 0 {
		return 1, 1
	}
	return a.n[a.rank-1], a.strides[a.rank-1]
}

// collect writes the elements from position i on to dst, until it is full. src
// begins at the first element.
func (a *axes) collect(dst, src []byte, i, size int) {
	n, stride := a.inner()
	for at := i % n; len(dst) > 0; at = 0 {
		part := min(n-at, len(dst)/size)
		off := a.offset(i)
		gather(dst[:part*size], src[off*size:], stride, size)
		dst = dst[part*size:]
		i += part
	}
}
