package cpu

import (
	"math"

	"github.com/genie-sdk/go/internal/kernels"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/internal/program"
	"github.com/genie-sdk/go/transport/plan"
)

// The order of a reduction is that of the reduced elements in row-major order,
// whatever their layout is and what else is reduced with them: blocks of
// reduceBlock elements, each of them as [kernels.Sum] adds; the blocks of a
// segment, in float64; the segments.
const (
	reduceBlock   = 4096
	reduceSegment = 16 * reduceBlock
	// reduceColumns are reduced together where results are side by side.
	reduceColumns = 256
	// leastColumns is how many results are side by side at least for that.
	leastColumns = 8
	// fewReduced is how many elements become one where results are reduced together
	// although they are not side by side.
	fewReduced = 32
	// mostPartial bounds the results of segments that are computed concurrently.
	mostPartial = 4096
)

// reducing is the geometry of a reduction.
type reducing struct {
	kept, over axes
	kind       string
	columns    int // results that are reduced together; 1 if each is on its own
	groups     int // of columns in the last kept axis
	segments   int // of each result
	split      bool
	partial    []float64 // by result and segment, if these are split
}

func (s *step) setReduce() {
	o, x, r := s.op.(op.Reduce), s.in[0], s.reducing
	r.kept.reset()
	r.over.reset()
	r.kind = o.Kind
	for d, n := range x.Shape {
		if reduced(o.Axes, d, len(x.Shape)) {
			r.over.add(n, x.Strides[d])
		} else {
			r.kept.add(n, x.Strides[d])
		}
	}
	r.columns, r.groups = 1, 1
	n, stride := r.kept.inner()
	var together bool
	if _, st := r.over.inner(); stride == 1 {
		together = r.over.rank > 1 || st != 1
	} else {
		together = r.over.total <= fewReduced && s.out.DType == plan.F32
	}
	if r.kept.rank > 0 && n >= leastColumns && together {
		r.columns = min(reduceColumns, n)
		r.groups = (n + r.columns - 1) / r.columns
	}
	r.segments = max(1, (r.over.total+reduceSegment-1)/reduceSegment)
	results := s.out.Len()
	r.split = r.segments > 1 && results < 4*r.columns*s.pool.threads && results*r.segments <= mostPartial && s.out.DType == plan.F32
}

// reduced reports whether axis d of rank is among the axes.
func reduced(axes []int, d, rank int) bool {
	for _, a := range axes {
		if a == d || a+rank == d {
			return true
		}
	}
	return false
}

// reduceWorkspace is the memory of the chunks and of the results of segments.
func (s *step) reduceWorkspace() int {
	if _, ok := s.op.(op.Reduce); !ok {
		return s.pool.threads * program.Align(reduceTemp)
	}
	s.setReduce()
	r := s.reducing
	n := s.pool.threads * program.Align(reduceTemp)
	if r.split {
		n += program.Align(8 * s.out.Len() * r.segments)
	}
	return n
}

// reduceTemp is the memory of a chunk: 16 sums of each column and two totals, or
// the elements of a block.
const reduceTemp = max(16*4*reduceColumns+16*reduceColumns, 8*reduceBlock)

func runReduce(s *step) error {
	if s.out.Len() == 0 {
		return nil
	}
	s.setReduce()
	r := s.reducing
	units := s.out.Len()
	if r.columns > 1 {
		n, _ := r.kept.inner()
		units = r.kept.total / n * r.groups
	}
	each := max(1, grainElems/max(1, r.over.total*r.columns))
	if !r.split {
		s.pool.run(s.job, s, units, each, reduceChunk)
		return nil
	}
	mem, err := s.work.get(8 * s.out.Len() * r.segments)
	if err != nil {
		return err
	}
	defer s.work.put(mem)
	r.partial = elems[float64](mem)
	s.pool.run(s.job, s, units*r.segments, 1, reduceChunk)
	if s.halt.Now() {
		return nil
	}
	for i := range s.out.Len() {
		total := r.partial[i*r.segments]
		for _, p := range r.partial[i*r.segments+1 : (i+1)*r.segments] {
			total = r.combined(total, p)
		}
		s.out.F32()[i] = r.result(total)
	}
	return nil
}

// result is the rounded result of a total.
func (r *reducing) result(total float64) float32 {
	switch r.kind {
	case "mean":
		total /= float64(r.over.total)
	case "max", "min":
		total += 0 // of zeros of both signs, either may be the extreme
	}
	return float32(total)
}

// combined is the reduction of two totals.
func (r *reducing) combined(a, b float64) float64 {
	switch r.kind {
	case "max":
		return max(a, b)
	case "min":
		return min(a, b)
	case "prod":
		return a * b
	}
	return a + b
}

// first is the total of nothing.
func (r *reducing) first() float64 {
	switch r.kind {
	case "max":
		return math.Inf(-1)
	case "min":
		return math.Inf(1)
	case "prod":
		return 1
	}
	return 0
}

// reduceChunk reduces units lo to hi: results or groups of columns, or segments
// of them.
func reduceChunk(s *step, lo, hi int) {
	r := s.reducing
	temp, err := s.work.get(reduceTemp)
	if err != nil {
		panic(err)
	}
	defer s.work.put(temp)
	ask := s.halt.Counter()
	for ; lo < hi; lo++ {
		unit, from, to := lo, 0, r.segments
		if r.split {
			unit, from = lo/r.segments, lo%r.segments
			to = from + 1
		}
		switch {
		case r.columns > 1:
			s.reduceGroup(unit, from, to, temp)
		case s.out.DType == plan.F32:
			s.reduceFloats(unit, from, to, temp)
		case s.out.DType == plan.I32:
			reduceInts[int32](s, unit, temp)
		default:
			reduceInts[int64](s, unit, temp)
		}
		if ask.Stop(min(r.over.total, reduceSegment*(to-from))*r.columns + copyStep) {
			return
		}
	}
}

// reducedBlock is the reduced elements from position i on, n of them, of the result
// whose first one is at offset off. It collects them if they are apart.
func (s *step) reducedBlock(off, i, n int, temp []byte) []byte {
	r, size := s.reducing, s.out.DType.Size()
	src := s.in[0].Data[off*size:]
	if _, stride := r.over.inner(); r.over.rank <= 1 && stride == 1 {
		return src[i*size : (i+n)*size]
	}
	r.over.collect(temp[:n*size], src, i, size)
	return temp[:n*size]
}

// reduceFloats reduces the segments from..to of one result.
func (s *step) reduceFloats(i, from, to int, temp []byte) {
	r := s.reducing
	off, total := r.kept.offset(i), r.first()
	ask := s.halt.Counter()
	for seg := from; seg < to; seg++ {
		part := r.first()
		for b := seg * reduceSegment; b < min(r.over.total, (seg+1)*reduceSegment); b += reduceBlock {
			n := min(reduceBlock, r.over.total-b)
			part = r.combined(part, r.reduceBlock(elems[float32](s.reducedBlock(off, b, n, temp))))
			if ask.Stop(n) {
				return
			}
		}
		total = r.combined(total, part)
	}
	s.store(i, from, total)
}

// store stores a total of one result, or of a segment of it.
func (s *step) store(i, segment int, total float64) {
	if r := s.reducing; r.split {
		r.partial[i*r.segments+segment] = total
	} else {
		s.out.F32()[i] = r.result(total)
	}
}

// reduceBlock reduces elements that are side by side.
func (r *reducing) reduceBlock(x []float32) float64 {
	switch r.kind {
	case "max":
		return float64(kernels.Max(x))
	case "min":
		return float64(kernels.Min(x))
	case "prod":
		product := 1.0
		for _, v := range x {
			product *= float64(v)
		}
		return product
	}
	return float64(kernels.Sum(x))
}

// reduceInts reduces one result.
func reduceInts[T int32 | int64](s *step, i int, temp []byte) {
	r := s.reducing
	off := r.kept.offset(i)
	total := firstInt[T](r.kind)
	ask := s.halt.Counter()
	for b := 0; b < r.over.total; b += reduceBlock {
		n := min(reduceBlock, r.over.total-b)
		for _, x := range elems[T](s.reducedBlock(off, b, n, temp)) {
			total = combinedInts(r.kind, total, x)
		}
		if ask.Stop(n) {
			return
		}
	}
	elems[T](s.out.Data)[i] = total
}

func firstInt[T int32 | int64](kind string) T {
	lowest := T(math.MinInt32)
	if v := int64(math.MinInt64); int64(T(v)) == v {
		lowest = T(v)
	}
	switch kind {
	case "max":
		return lowest
	case "min":
		return -(lowest + 1)
	case "prod":
		return 1
	}
	return 0
}

func combinedInts[T int32 | int64](kind string, a, b T) T {
	switch kind {
	case "max":
		return max(a, b)
	case "min":
		return min(a, b)
	case "prod":
		return a * b
	}
	return a + b
}
