package op

import (
	"container/heap"
	"math/bits"
	"slices"

	"github.com/genie-sdk/go/transport/plan"
)

// Lifetime is when a value's memory is in use: from the position that writes it
// to the last one that accesses it, both inclusive.
type Lifetime struct{ Value, Def, Last int }

// AssignBuffers shares buffers between values of p that are never alive at the
// same time. It returns the buffer of each value, in the order given, and the
// number of buffers. Sizes are compared at a typical binding; at the real one a
// buffer takes the size of its largest value.
//
// A value takes the smallest free buffer that is large enough, else the largest
// one, and among equal ones the first.
func AssignBuffers(p *plan.Plan, lives []Lifetime) (buffers []int, n int) {
	sizes := typicalSizes(p, lives)
	order := make([]int, len(lives))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return lives[a].Def - lives[b].Def })
	free := newFreeBuffers(sizes)
	buffers = make([]int, len(lives))
	var busy busyBuffers
	var rank []int // by buffer: rank of its size
	for _, i := range order {
		for len(busy) > 0 && busy[0].until <= lives[i].Def {
			b := heap.Pop(&busy).(busyBuffer).buffer
			free.put(b, rank[b])
		}
		need := free.rankOf(sizes[i])
		b, ok := free.take(need)
		if !ok {
			b = len(rank)
			rank = append(rank, need)
		}
		rank[b] = max(rank[b], need)
		heap.Push(&busy, busyBuffer{buffer: b, until: lives[i].Last + 1})
		buffers[i] = b
	}
	return buffers, len(rank)
}

// typicalSizes are the sizes of values in bytes, at plausible sizes of the
// symbols.
func typicalSizes(p *plan.Plan, lives []Lifetime) []int64 {
	typical := plan.Bindings{}
	for _, s := range p.Symbols() {
		typical[s] = 64
	}
	sizes := make([]int64, len(lives))
	for i, l := range lives {
		n := int64(p.Values[l.Value].Spec.DType.Size())
		for _, d := range p.Values[l.Value].Spec.Shape {
			k, err := d.Eval(typical)
			if err != nil {
				k = 64
			}
			n *= int64(k)
		}
		sizes[i] = n
	}
	return sizes
}

// busyBuffer is in use up to a position.
type busyBuffer struct{ buffer, until int }

// busyBuffers is a heap with the buffer that becomes free first at its top.
type busyBuffers []busyBuffer

func (h busyBuffers) Len() int           { return len(h) }
func (h busyBuffers) Less(i, j int) bool { return h[i].until < h[j].until }
func (h busyBuffers) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }

// Push implements [heap.Interface].
func (h *busyBuffers) Push(x any) { *h = append(*h, x.(busyBuffer)) }

// Pop implements [heap.Interface].
func (h *busyBuffers) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}

// freeBuffers finds buffers by size. The distinct sizes are known in advance,
// since each buffer is as large as some value. A size is represented by its
// rank among them.
type freeBuffers struct {
	sizes []int64
	of    []indexHeap // by rank: the free buffers of that size, the first at the top
	words []uint64    // bit r%64 of word r/64: rank r has free buffers
	above []uint64    // bit w%64 of word w/64: words[w] is not 0
}

func newFreeBuffers(all []int64) *freeBuffers {
	sizes := slices.Compact(slices.Sorted(slices.Values(all)))
	words := len(sizes)/64 + 1
	return &freeBuffers{sizes: sizes, of: make([]indexHeap, len(sizes)), words: make([]uint64, words), above: make([]uint64, words/64+1)}
}

func (f *freeBuffers) rankOf(size int64) int {
	r, _ := slices.BinarySearch(f.sizes, size)
	return r
}

// put adds a buffer of a rank.
func (f *freeBuffers) put(b, rank int) {
	heap.Push(&f.of[rank], b)
	f.words[rank/64] |= 1 << (rank % 64)
	f.above[rank/64/64] |= 1 << (rank / 64 % 64)
}

// take removes the best-fitting buffer for a rank.
func (f *freeBuffers) take(rank int) (b int, ok bool) {
	r := f.from(rank)
	if r < 0 {
		r = f.last()
	}
	if r < 0 {
		return 0, false
	}
	b = heap.Pop(&f.of[r]).(int)
	if len(f.of[r]) == 0 {
		if f.words[r/64] &^= 1 << (r % 64); f.words[r/64] == 0 {
			f.above[r/64/64] &^= 1 << (r / 64 % 64)
		}
	}
	return b, true
}

// from is the first rank with free buffers from rank on, -1 for none.
func (f *freeBuffers) from(rank int) int {
	w := rank / 64
	if x := f.words[w] >> (rank % 64); x != 0 {
		return rank + bits.TrailingZeros64(x)
	}
	for a := (w + 1) / 64; a < len(f.above); a++ {
		x := f.above[a]
		if a == (w+1)/64 {
			x &= ^uint64(0) << ((w + 1) % 64)
		}
		if x != 0 {
			w = 64*a + bits.TrailingZeros64(x)
			return 64*w + bits.TrailingZeros64(f.words[w])
		}
	}
	return -1
}

// last is the largest rank with free buffers, -1 for none.
func (f *freeBuffers) last() int {
	for a, x := range slices.Backward(f.above) {
		if x != 0 {
			w := 64*a + 63 - bits.LeadingZeros64(x)
			return 64*w + 63 - bits.LeadingZeros64(f.words[w])
		}
	}
	return -1
}

// indexHeap has the smallest number at its top.
type indexHeap []int

func (h indexHeap) Len() int           { return len(h) }
func (h indexHeap) Less(i, j int) bool { return h[i] < h[j] }
func (h indexHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }

// Push implements [heap.Interface].
func (h *indexHeap) Push(x any) { *h = append(*h, x.(int)) }

// Pop implements [heap.Interface].
func (h *indexHeap) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}
