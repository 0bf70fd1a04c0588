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
	shortLoop = 64
	// periodBytes is the room after a block for the part of a period that the
	// block does not begin with.
	periodBytes = 8 * shortLoop
	tempBytes   = blockBytes + periodBytes
	// streamBytes is the size of an output from which it is written past the
	// caches.
	streamBytes = 32 << 20
)

// runBlocks computes an elementwise operator on operands of any layout.
func runBlocks(s *step) error {
	l := s.nest
	if l.set(s.out, s.in...); !l.full[0] {
		return runReference(s)
	}
	s.pool.run(s.job, s, l.total, grainElems, blocksChunk)
	return nil
}

// operands is what a chunk knows of its operands.
type operands struct {
	s       *step
	size    [nestArrays]int    // bytes of an element
	temp    [nestArrays][]byte // gathered elements of an input, computed ones of the output
	scratch []byte             // memory of all temps
	filled  [nestArrays]int    // what a temp holds: see [operands.input]
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
	l := s.nest
	l.set(s.out, s.in...)
	temps := l.streams(s.out.DType.Size())
	for k := 1; k <= len(s.in); k++ {
		temps = temps || !l.full[k] && (l.short() || l.strides[k][l.rank-1] != 1)
	}
	if !temps || l.total == 0 || !l.full[0] {
		return 0
	}
	return min(s.pool.threads, (l.total+grainElems-1)/grainElems) * program.Align(nestArrays*tempBytes)
}

func blocksChunk(s *step, lo, hi int) {
	o := operands{s: s, size: [nestArrays]int{s.out.DType.Size()}}
	widest := o.size[0]
	for k, a := range s.in {
		o.size[k+1], o.filled[k+1] = a.DType.Size(), nothing
		widest = max(widest, o.size[k+1])
	}
	o.block = blockBytes / widest
	l := s.nest
	o.stream = l.streams(o.size[0])
	defer o.free()
	if l.short() {
		o.short(lo, hi)
	} else {
		o.long(lo, hi)
	}
}

func (o *operands) free() {
	if o.scratch != nil {
		o.s.work.put(o.scratch)
	}
}

// room is temp k.
func (o *operands) room(k int) []byte {
	if o.scratch == nil {
		mem, err := o.s.work.get(nestArrays * tempBytes)
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
		var in [nestArrays][]byte
		for k := 1; k <= len(o.s.in); k++ {
			in[k] = o.input(k, &p, n)
		}
		o.compute(lo*o.size[0], n, &in)
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
	if o.stream {
		return o.block
	}
	for k := 1; k <= len(o.s.in); k++ {
		if o.s.nest.strides[k][o.s.nest.rank-1] != 1 {
			return o.block
		}
	}
	return pieceElems
}

// input is n elements of input k from place p on, of one inner loop. A temp that
// holds repetitions of an element is filled with it once.
func (o *operands) input(k int, p *place, n int) []byte {
	l, size := o.s.nest, o.size[k]
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
	for lo < hi {
		n := min(hi-lo, o.block)
		var in [nestArrays][]byte
		for k := 1; k <= len(o.s.in); k++ {
			in[k] = o.span(k, lo, n)
		}
		o.compute(lo*o.size[0], n, &in)
		if lo += n; lo < hi && ask.Stop(4*n) {
			return
		}
	}
}

// span is n elements of input k from element lo on.
func (o *operands) span(k, lo, n int) []byte {
	l, size := o.s.nest, o.size[k]
	data := o.s.in[k-1].Data
	if l.full[k] {
		return data[lo*size : (lo+n)*size]
	}
	temp := o.room(k)
	if !l.single[k] {
		o.gatherLoops(temp[:n*size], k, lo)
		return temp[:n*size]
	}
	inner := l.n[l.rank-1]
	if o.filled[k] == nothing {
		gather(temp[:inner*size], data, l.strides[k][l.rank-1], size)
		for done, end := inner*size, min((o.block+inner)*size, tempBytes); done < end; {
			done += copy(temp[done:end], temp[:done])
		}
		o.filled[k] = 0
	}
	at := lo % inner
	return temp[at*size : (at+n)*size]
}

// gatherLoops gathers elements of input k from element lo on, of short inner
// loops.
func (o *operands) gatherLoops(dst []byte, k, lo int) {
	l, size := o.s.nest, o.size[k]
	stride, inner, data := l.strides[k][l.rank-1], l.n[l.rank-1], o.s.in[k-1].Data
	for p := l.find(lo); len(dst) > 0; l.next(&p) {
		n := min(inner-p.at, len(dst)/size)
		gather(dst[:n*size], data[(p.off[k]+p.at*stride)*size:], stride, size)
		dst = dst[n*size:]
	}
}

// compute computes n elements of the output from byte at on.
func (o *operands) compute(at, n int, in *[nestArrays][]byte) {
	dst := o.s.out.Data[at : at+n*o.size[0]]
	if !o.stream {
		o.s.blocks(dst, in[1], in[2], in[3])
		return
	}
	temp := o.room(0)[:len(dst)]
	o.s.blocks(temp, in[1], in[2], in[3])
	kernels.Stream(dst, temp)
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

// repeat fills dst with the first element of src.
func repeat(dst, src []byte, size int) {
	if len(dst) == 0 {
		return
	}
	for done := copy(dst, src[:size]); done < len(dst); {
		done += copy(dst[done:], dst[:done])
	}
}
