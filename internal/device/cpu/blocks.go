package cpu

import (
	"unsafe"

	"github.com/genie-sdk/go/internal/kernels"
	"github.com/genie-sdk/go/internal/program"
)

// blockKernel computes a block of an elementwise operator from blocks of its
// inputs, nil for those it does not have. All have the same number of elements,
// side by side.
type blockKernel func(dst, a, b, c []byte)

const (
	// blockBytes is the memory of a block of gathered elements: small enough to
	// stay in the first cache with those of the other operands.
	blockBytes = 8 << 10
	// shortLoop is the length of an inner loop below which a block spans
	// several of them.
	shortLoop = 512
	// tinyLoop is the length of one that is shorter than what moves to the next.
	tinyLoop = 8
	// periodBytes is the room after a block for the part of a period that the
	// block does not begin with.
	periodBytes = 8 * shortLoop
	tempBytes   = blockBytes + periodBytes
	// streamBytes is the size of an output from which it is written past the
	// caches.
	streamBytes = 32 << 20
)

// runBlocks computes elementwise operators on operands of any layout.
func runBlocks(s *step) error {
	l, b := s.nest, s.blocks
	if l.set(s.out, s.in[:b.wide]...); !l.full[0] {
		return runReference(s)
	}
	s.pool.run(s.job, s, l.total, max(grainElems/len(b.steps), b.elements()), blocksChunk)
	return nil
}

// elements is the number of elements of a block.
func (b *blockProgram) elements() int { return blockBytes / b.widest }

// operands is what a chunk knows of its operands.
type operands struct {
	s       *step
	b       *blockProgram
	temp    [mostBlocks][]byte // gathered elements of an input, computed ones of a step
	now     [mostBlocks][]byte // the blocks of the current part of the output
	scratch []byte             // memory of all temps
	filled  [nestArrays]int    // what an input's temp holds: see [operands.input]
	block   int                // elements of a block that has temps
	stream  bool
}

const nothing = -1

// short reports whether blocks span several inner loops.
func (l *nest) short() bool { return l.rank > 1 && l.n[l.rank-1] < shortLoop }

// streams reports whether an output of elements of so many bytes is written past
// the caches.
func (l *nest) streams(size int) bool { return l.total*size >= streamBytes }

// blocksWorkspace is the memory that the chunks of [runBlocks] work in, at the
// sizes that the operands have now.
func (s *step) blocksWorkspace() int {
	l, b := s.nest, s.blocks
	l.set(s.out, s.in[:b.wide]...)
	temps := l.streams(b.sizes[0]) || len(b.sizes) > 1+b.wide
	for k := 1; k <= b.wide; k++ {
		temps = temps || !l.full[k] && (l.short() || l.strides[k][l.rank-1] != 1)
	}
	if !temps || l.total == 0 || !l.full[0] {
		return 0
	}
	grain := max(grainElems/len(b.steps), b.elements())
	return min(s.pool.threads, (l.total+grain-1)/grain) * b.scratch()
}

// scratch is the memory of the blocks of a chunk.
func (b *blockProgram) scratch() int { return program.Align(len(b.sizes) * tempBytes) }

func blocksChunk(s *step, lo, hi int) {
	o := operands{s: s, b: s.blocks, block: s.blocks.elements()}
	for k := range o.filled {
		o.filled[k] = nothing
	}
	l := s.nest
	o.stream = l.streams(o.b.sizes[0])
	defer o.free()
	for _, f := range o.b.filled {
		size := o.b.sizes[f.block]
		o.now[f.block] = o.room(f.block)[:min(o.block, hi-lo)*size]
		repeat(o.now[f.block], s.in[f.input].Data, size)
	}
	if l.short() {
		o.short(lo, hi)
	} else {
		o.long(lo, hi)
	}
}

func (o *operands) free() {
	if o.stream {
		kernels.StreamEnd()
	}
	if o.scratch != nil {
		o.s.work.put(o.scratch)
	}
}

// room is temp k.
func (o *operands) room(k int) []byte {
	if o.scratch == nil {
		mem, err := o.s.work.get(o.b.scratch())
		if err != nil {
			panic(err)
		}
		o.scratch = mem
	}
	if o.temp[k] == nil {
		o.temp[k] = o.scratch[k*tempBytes : (k+1)*tempBytes : (k+1)*tempBytes]
	}
	return o.temp[k]
}

// long computes the elements lo to hi by parts of inner loops.
func (o *operands) long(lo, hi int) {
	l := o.s.nest
	inner, most := l.n[l.rank-1], o.most()
	ask := o.s.halt.Counter()
	for p := l.find(lo); lo < hi; {
		n := min(hi-lo, inner-p.at, most)
		for k := 1; k <= o.b.wide; k++ {
			o.now[k] = o.input(k, &p, n)
		}
		o.compute(lo, n)
		lo += n
		if p.at += n; p.at == inner {
			l.next(&p)
		}
		if lo < hi && ask.Stop(n) {
			return
		}
	}
}

// most is the largest number of elements of a block.
func (o *operands) most() int {
	if o.stream || len(o.b.steps) > 1 {
		return o.block
	}
	for k := 1; k <= o.b.wide; k++ {
		if o.s.nest.strides[k][o.s.nest.rank-1] != 1 {
			return o.block
		}
	}
	return pieceElems
}

// input is n elements of input k from place p on, of one inner loop. A temp that
// holds repetitions of an element is filled with it once.
func (o *operands) input(k int, p *place, n int) []byte {
	l, size := o.s.nest, o.b.sizes[k]
	stride, data := l.strides[k][l.rank-1], o.s.in[k-1].Data
	from := p.off[k] + p.at*stride
	switch stride {
	case 1:
		return data[from*size : (from+n)*size]
	case 0:
		temp := o.room(k)
		if o.filled[k] != from {
			repeat(temp[:min(o.block, l.n[l.rank-1])*size], data[from*size:], size)
			o.filled[k] = from
		}
		return temp[:n*size]
	}
	temp := o.room(k)[:n*size]
	gather(temp, data[from*size:], stride, size)
	return temp
}

// short computes the elements lo to hi by blocks that span inner loops.
func (o *operands) short(lo, hi int) {
	ask := o.s.halt.Counter()
	l, stretch := o.s.nest, 0
	for k := 1; k <= o.b.wide; k++ {
		if l.period[k] {
			stretch = l.stretch()
		}
	}
	for lo < hi {
		n := min(hi-lo, o.block)
		if stretch > 0 {
			n = min(n, stretch-lo%stretch)
		}
		for k := 1; k <= o.b.wide; k++ {
			o.now[k] = o.span(k, lo, n)
		}
		o.compute(lo, n)
		if lo += n; lo < hi && ask.Stop(4*n) {
			return
		}
	}
}

// span is n elements of input k from element lo on.
func (o *operands) span(k, lo, n int) []byte {
	l, size := o.s.nest, o.b.sizes[k]
	data := o.s.in[k-1].Data
	if l.full[k] {
		return data[lo*size : (lo+n)*size]
	}
	temp, from := o.room(k), 0
	switch {
	case l.single[k]:
	case l.period[k]:
		p := l.find(lo)
		from = p.off[k]
	default:
		o.gatherLoops(temp[:n*size], k, lo)
		return temp[:n*size]
	}
	inner := l.n[l.rank-1]
	if o.filled[k] != from {
		gather(temp[:inner*size], data[from*size:], l.strides[k][l.rank-1], size)
		for done, end := inner*size, min((o.block+inner)*size, tempBytes); done < end; {
			done += copy(temp[done:end], temp[:done])
		}
		o.filled[k] = from
	}
	at := lo % inner
	return temp[at*size : (at+n)*size]
}

// gatherLoops gathers elements of input k from element lo on, of short inner
// loops.
func (o *operands) gatherLoops(dst []byte, k, lo int) {
	l, size := o.s.nest, o.b.sizes[k]
	stride, inner, data := l.strides[k][l.rank-1], l.n[l.rank-1], o.s.in[k-1].Data
	for p := l.find(lo); len(dst) > 0; l.next(&p) {
		if p.at == 0 && l.rank > 1 && inner <= tinyLoop && stride > 0 {
			if n := min(len(dst)/size/inner, l.n[l.rank-2]-p.idx[l.rank-2]); n > 1 {
				for i := range inner {
					scatter(dst[i*size:], data[(p.off[k]+i*stride)*size:], n, inner, l.strides[k][l.rank-2], size)
				}
				l.skip(&p, n-1)
				dst = dst[n*inner*size:]
				continue
			}
		}
		n := min(inner-p.at, len(dst)/size)
		gather(dst[:n*size], data[(p.off[k]+p.at*stride)*size:], stride, size)
		dst = dst[n*size:]
	}
}

// compute computes n elements of the output from element lo on.
func (o *operands) compute(lo, n int) {
	size := o.b.sizes[0]
	dst := o.s.out.Data[lo*size : (lo+n)*size]
	if o.now[0] = dst; o.stream {
		o.now[0] = o.room(0)[:n*size]
	}
	for i := range o.b.steps {
		st := &o.b.steps[i]
		out := o.now[0]
		if st.out > 0 {
			out = o.room(st.out)[:n*o.b.sizes[st.out]]
			o.now[st.out] = out
		}
		var in [3][]byte
		for j := range st.inputs {
			in[j] = o.now[st.in[j]][:n*o.b.sizes[st.in[j]]]
		}
		if st.scalar != nil {
			st.scalar(elems[float32](out), elems[float32](in[0]), o.s.in[st.number].F32()[0])
		} else {
			st.run(out, in[0], in[1], in[2])
		}
	}
	if o.stream {
		kernels.Stream(dst, o.now[0])
	}
}

// elems is memory as elements of a type.
func elems[T any](b []byte) []T {
	if len(b) == 0 {
		return nil
	}
	var z T
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/int(unsafe.Sizeof(z)))
}

// gather copies elements of src that are stride apart, until dst is full.
func gather(dst, src []byte, stride, size int) {
	switch {
	case stride == 1:
		copy(dst, src)
	case stride == 0:
		repeat(dst, src, size)
	case size == 4:
		gatherOf(elems[uint32](dst), elems[uint32](src), stride)
	case size == 8:
		gatherOf(elems[uint64](dst), elems[uint64](src), stride)
	default:
		gatherOf(dst, src, stride)
	}
}

func gatherOf[T any](dst, src []T, stride int) {
	at := 0
	for i := range dst {
		dst[i] = src[at]
		at += stride
	}
}

// scatter copies n elements of src to dst, from apart there and to here.
func scatter(dst, src []byte, n, to, from, size int) {
	switch size {
	case 1:
		scatterOf(dst, src, n, to, from)
	case 4:
		scatterOf(elems[uint32](dst), elems[uint32](src), n, to, from)
	case 8:
		scatterOf(elems[uint64](dst), elems[uint64](src), n, to, from)
	default:
		for i := range n {
			copy(dst[i*to*size:][:size], src[i*from*size:])
		}
	}
}

func scatterOf[T any](dst, src []T, n, to, from int) {
	dst, src = dst[:(n-1)*to+1], src[:(n-1)*from+1]
	for i, j := 0, 0; i < len(dst); i, j = i+to, j+from {
		dst[i] = src[j]
	}
}

// repeat fills dst with the first element of src.
func repeat(dst, src []byte, size int) {
	if len(dst) == 0 {
		return
	}
	for done := copy(dst, src[:size]); done < len(dst); {
		done += copy(dst[done:], dst[:done])
	}
}
