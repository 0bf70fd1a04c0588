package link

import "sync"

// blockSize is the unit of memory of queues.
const blockSize = 64 << 10

type block [blockSize]byte

// byteQueue holds bytes in order, in blocks of a pool. Its methods are called
// under the direction's lock. Memory from space may be written, and memory from
// front may be read, without the lock.
type byteQueue struct {
	pool    *sync.Pool
	blocks  []*block
	head    int  // offset of the first byte in the first block
	tail    int  // offset after the last byte in the last block
	filling bool // a writer fills memory behind tail
}

// space is memory behind the last byte.
func (q *byteQueue) space() []byte {
	if len(q.blocks) == 0 || q.tail == blockSize {
		q.blocks = append(q.blocks, q.pool.Get().(*block))
		q.tail = 0
	}
	q.filling = true
	return q.blocks[len(q.blocks)-1][q.tail:]
}

// commit says that the first n bytes of space are written.
func (q *byteQueue) commit(n int) {
	q.tail += n
	q.filling = false
}

// front appends the memory of the first n bytes to bufs.
func (q *byteQueue) front(bufs [][]byte, n int) [][]byte {
	head := q.head
	for _, b := range q.blocks {
		if n == 0 {
			break
		}
		k := min(n, blockSize-head)
		bufs = append(bufs, b[head:head+k])
		n -= k
		head = 0
	}
	return bufs
}

// drop removes the first n bytes.
func (q *byteQueue) drop(n int) {
	for q.head += n; q.head >= blockSize && len(q.blocks) > 1; q.head -= blockSize {
		q.pool.Put(q.blocks[0])
		q.blocks[0] = nil
		q.blocks = q.blocks[1:]
	}
	if len(q.blocks) == 1 && q.head == q.tail && !q.filling {
		q.head, q.tail = 0, 0
	}
}

// free returns all memory, unless a writer still fills some of it.
func (q *byteQueue) free() {
	for i, b := range q.blocks {
		if q.filling && i == len(q.blocks)-1 {
			break
		}
		q.pool.Put(b)
	}
	q.blocks, q.head, q.tail = nil, 0, 0
}

// fifo is a first-in, first-out list that reuses its memory.
type fifo[T any] struct {
	items []T
	first int
}

func (f *fifo[T]) len() int { return len(f.items) - f.first }

func (f *fifo[T]) push(v T) {
	if f.first > 0 && len(f.items) == cap(f.items) {
		f.items = f.items[:copy(f.items, f.items[f.first:])]
		f.first = 0
	}
	f.items = append(f.items, v)
}

// front is the oldest item, valid until the next push.
func (f *fifo[T]) front() *T { return &f.items[f.first] }

func (f *fifo[T]) pop() (v T) {
	v = f.items[f.first]
	if f.first++; f.first == len(f.items) {
		f.items, f.first = f.items[:0], 0
	}
	return v
}
