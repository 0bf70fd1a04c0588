package normal

import (
	"encoding/binary"
	"math"

	"github.com/genie-sdk/go/transport/plan"
)

// contentBand reads a constant or a weight: it is a band if it has two axes that
// are not of size one and two values, and the elements of one value fill a band
// along the diagonal.
func (b *builder) contentBand(n *node) (band, bool) {
	shape, ok := static(n.spec.Shape)
	if !ok {
		return band{}, false
	}
	var sides []int
	for i, d := range shape {
		if d != 1 {
			sides = append(sides, i)
		}
	}
	if len(sides) != 2 || shape[sides[0]] == 0 || shape[sides[1]] == 0 {
		return band{}, false
	}
	var r band
	ok = false
	b.content(n, func(data []byte) {
		r, ok = diagonalBand(data, n.spec.DType, shape[sides[0]], shape[sides[1]])
	})
	for i := range r.limits {
		step := r.limits[i].step
		r.limits[i].step = [plan.MaxRank]int{}
		r.limits[i].step[len(shape)-1-sides[0]], r.limits[i].step[len(shape)-1-sides[1]] = step[1], step[0]
	}
	return r, ok
}

// content calls f with the content of a constant or of a weight that is small
// enough.
func (b *builder) content(n *node, f func(data []byte)) {
	if n.constant {
		if len(n.data) <= maxMaskBytes {
			f(n.data)
		}
		return
	}
	hash, storage := n.leaf.WeightRef()
	if storage != n.spec.DType || b.weight == nil {
		return
	}
	w, err := b.weight(hash)
	if err != nil || len(w.Data) > maxMaskBytes {
		return
	}
	_ = w.Read(f) // a file that cannot be read holds no mask; loading it says why
}

// diagonalBand finds the band of a matrix: in each row, the columns from row+lo
// to row+hi have the value inside, all others the value outside.
func diagonalBand(data []byte, dt plan.DType, rows, cols int) (band, bool) {
	size := dt.Size()
	if len(data) != rows*cols*size {
		return band{}, false
	}
	elem := func(i, j int) uint64 { return bits(data[(i*cols+j)*size:], size) }
	in := elem(0, 0)
	var out uint64
	found := false
	lo, hi := -rows-cols, rows+cols // no limit
	tight := [2]bool{}
	for i := range rows {
		first, last := cols, -1
		for j := range cols {
			v := elem(i, j)
			switch {
			case v == in:
				first, last = min(first, j), j
			case !found:
				out, found = v, true
			case v != out:
				return band{}, false
			}
		}
		if last < 0 {
			return band{}, false
		}
		for j := first; j <= last; j++ {
			if elem(i, j) != in {
				return band{}, false
			}
		}
		if first > 0 {
			if tight[0] && lo != first-i {
				return band{}, false
			}
			lo, tight[0] = first-i, true
		} else if tight[0] && lo+i > 0 {
			return band{}, false
		}
		if last < cols-1 {
			if tight[1] && hi != last-i {
				return band{}, false
			}
			hi, tight[1] = last-i, true
		} else if tight[1] && hi+i < last {
			return band{}, false
		}
	}
	return bandBetween(lo, hi, tight, number(in, dt), number(out, dt)), found
}

// bandBetween has the columns from row+lo to row+hi inside, where these limits
// exist.
func bandBetween(lo, hi int, exist [2]bool, in, out float64) band {
	r := band{in: inside{v: in}, out: out}
	if exist[1] {
		p := positions{c: plan.C(hi)}
		p.step[1], p.step[0] = 1, -1
		r.limits = append(r.limits, p)
	}
	if exist[0] {
		p := positions{c: plan.C(-lo)}
		p.step[1], p.step[0] = -1, 1
		r.limits = append(r.limits, p)
	}
	return r
}

// bits are the bits of one element.
func bits(data []byte, size int) uint64 {
	switch size {
	case 1:
		return uint64(data[0])
	case 4:
		return uint64(binary.LittleEndian.Uint32(data))
	case 8:
		return binary.LittleEndian.Uint64(data)
	default:
		return uint64(binary.LittleEndian.Uint16(data))
	}
}

// number is an element as a number.
func number(v uint64, dt plan.DType) float64 {
	switch dt {
	case plan.F32:
		return float64(math.Float32frombits(uint32(v)))
	case plan.I32:
		return float64(int32(uint32(v)))
	default:
		return float64(int64(v))
	}
}
