package cuda_test

import (
	"bytes"
	"fmt"
	"sync"
	"time"

	"github.com/genie-sdk/go/internal/device/cuda/driver"
)

// stored is a driver that stores what is copied, late: a stream does its work
// when something waits for it. Kernels do nothing. Calls fail as a test plants,
// and what a test leaves unchecked is a panic: a call after a context was closed,
// memory that is used after it was freed, or two calls of one stream at once.
type stored struct {
	memory int64 // of the device

	mu     sync.Mutex
	fail   func(call string) *driver.Error // nil for never
	calls  int                             // of all contexts
	opened int
	open   *storage // the last one
}

// sticky is the failure after which a context is lost.
func sticky(call string) *driver.Error {
	return &driver.Error{Call: call, Code: 700, Name: "CUDA_ERROR_ILLEGAL_ADDRESS", Sticky: true}
}

func outOfMemory(call string) *driver.Error {
	return &driver.Error{Call: call, Code: 2, Name: "CUDA_ERROR_OUT_OF_MEMORY"}
}

func invalid(call string) *driver.Error {
	return &driver.Error{Call: call, Code: 1, Name: "CUDA_ERROR_INVALID_VALUE"}
}

func newStored() *stored { return &stored{memory: 1 << 30} }

// plant makes calls fail.
func (s *stored) plant(fail func(call string) *driver.Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = fail
}

// nth fails the nth call from now on, of one name or of any (""), once.
func nth(name string, n int, err func(call string) *driver.Error) func(call string) *driver.Error {
	return func(call string) *driver.Error {
		if name != "" && name != call {
			return nil
		}
		if n--; n == 0 {
			return err(call)
		}
		return nil
	}
}

func (*stored) Version() int          { return 12090 }
func (*stored) Devices() (int, error) { return 1, nil }
func (s *stored) Describe(int) (driver.Properties, error) {
	return driver.Properties{Name: "stored", Major: 8, Memory: s.memory, Multiprocessors: 4, ClockKHz: 1e6}, nil
}

func (s *stored) Open(int) (driver.Context, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opened++
	if s.fail != nil {
		if err := s.fail("open"); err != nil {
			return nil, err
		}
	}
	if s.open != nil && !s.open.closed {
		panic("the last context is open") // a test opens one device at a time
	}
	s.open = &storage{of: s, next: 1 << 20, blocks: map[driver.Ptr][]byte{}, host: map[*byte]bool{}}
	return s.open, nil
}

// storage is a context.
type storage struct {
	of     *stored
	next   driver.Ptr
	used   int64
	blocks map[driver.Ptr][]byte
	host   map[*byte]bool
	lost   *driver.Error
	closed bool
	allocs int // of device memory, page-locked memory, streams and events
	frees  int
	others int // streams and events that are open
}

// call checks and counts a call. The driver's lock is held.
func (c *storage) call(name string) error {
	if c.closed {
		panic(name + " after the context was closed")
	}
	c.of.calls++
	if c.lost != nil {
		return c.lost
	}
	if c.of.fail != nil {
		if err := c.of.fail(name); err != nil {
			if err.Sticky {
				c.lost = err
			}
			return err
		}
	}
	return nil
}

func (c *storage) do(name string, f func()) error {
	c.of.mu.Lock()
	defer c.of.mu.Unlock()
	if err := c.call(name); err != nil {
		return err
	}
	f()
	return nil
}

func (c *storage) Properties() driver.Properties {
	p, _ := c.of.Describe(0)
	return p
}

func (c *storage) MemInfo() (free, total int64, err error) {
	err = c.do("info", func() { free, total = c.of.memory-c.used, c.of.memory })
	return free, total, err
}

func (c *storage) Alloc(n int64) (p driver.Ptr, err error) {
	full := false
	err = c.do("alloc", func() {
		if full = n > c.of.memory-c.used; full {
			return
		}
		p = c.next
		c.next += driver.Ptr(n+511) &^ 255
		c.blocks[p] = bytes.Repeat([]byte{0xa5}, int(n))
		c.used += n
		c.allocs++
	})
	if full {
		return 0, outOfMemory("alloc")
	}
	return p, err
}

func (c *storage) Free(p driver.Ptr) error {
	return c.do("free", func() {
		b, ok := c.blocks[p]
		if !ok {
			panic(fmt.Sprintf("%d is freed, but not in use", p))
		}
		delete(c.blocks, p)
		c.used -= int64(len(b))
		c.frees++
	})
}

func (c *storage) AllocHost(n int) (b []byte, err error) {
	err = c.do("allochost", func() {
		b = make([]byte, n)
		c.host[&b[0]] = true
		c.allocs++
	})
	return b, err
}

func (c *storage) FreeHost(b []byte) error {
	return c.do("freehost", func() {
		if !c.host[&b[0]] {
			panic("page-locked memory is freed twice")
		}
		delete(c.host, &b[0])
	})
}

func (c *storage) NewStream() (s driver.Stream, err error) {
	err = c.do("newstream", func() {
		s = &stream{c: c}
		c.allocs++
		c.others++
	})
	return s, err
}

func (c *storage) NewEvent() (e driver.Event, err error) {
	err = c.do("newevent", func() {
		e = &event{c: c}
		c.allocs++
		c.others++
	})
	return e, err
}

func (c *storage) Load([]byte) (m driver.Module, err error) {
	err = c.do("load", func() { m = module{} })
	return m, err
}

func (c *storage) Close() error {
	c.of.mu.Lock()
	defer c.of.mu.Unlock()
	if c.closed {
		panic("a context is closed twice")
	}
	c.closed = true
	return nil
}

// at is n bytes of memory. The driver's lock is held.
func (c *storage) at(p driver.Ptr, n int64) []byte {
	for from, b := range c.blocks {
		if p >= from && int64(p-from)+n <= int64(len(b)) {
			return b[p-from:][:n]
		}
	}
	panic(fmt.Sprintf("%d bytes at %d are not allocated", n, p))
}

// stream does its work when something waits for it. The driver's lock guards it.
type stream struct {
	c     *storage
	queue []func()
	using sync.Mutex
}

// put queues work, and does what belongs to that now.
func (s *stream) put(name string, f func(), now ...func()) error {
	if !s.using.TryLock() {
		panic("a stream has two users")
	}
	defer s.using.Unlock()
	return s.c.do(name, func() {
		s.queue = append(s.queue, f)
		for _, f := range now {
			f()
		}
	})
}

func (s *stream) CopyIn(dst driver.Ptr, src []byte) error {
	return s.put("copyin", func() { copy(s.c.at(dst, int64(len(src))), src) })
}

func (s *stream) CopyOut(dst []byte, src driver.Ptr) error {
	return s.put("copyout", func() { copy(dst, s.c.at(src, int64(len(dst)))) })
}

func (s *stream) Copy(dst, src driver.Ptr, n int64) error {
	return s.put("copy", func() { copy(s.c.at(dst, n), s.c.at(src, n)) })
}

func (s *stream) Fill(dst driver.Ptr, b byte, n int64) error {
	return s.put("fill", func() {
		copy(s.c.at(dst, n), bytes.Repeat([]byte{b}, int(n)))
	})
}

func (s *stream) Launch(driver.Function, driver.Dim, driver.Dim, int, []byte) error {
	return s.put("launch", func() {})
}

func (s *stream) WaitFor(driver.Event) error { return s.Synchronize() }

func (s *stream) run() {
	for len(s.queue) > 0 {
		s.next()
	}
}

func (s *stream) next() {
	f := s.queue[0]
	s.queue = s.queue[1:]
	f()
}

func (s *stream) Done() (done bool, err error) {
	err = s.c.do("done", func() { done = len(s.queue) == 0 })
	return done, err
}

func (s *stream) Synchronize() error { return s.c.do("synchronize", s.run) }

func (s *stream) Close() error {
	return s.c.do("close", func() {
		if len(s.queue) > 0 {
			panic("a stream is closed with work in it")
		}
		s.c.others--
	})
}

// event is done when its stream has come to it.
type event struct {
	c    *storage
	in   *stream
	done bool
}

func (s *stream) Record(e driver.Event) error {
	x := e.(*event)
	return s.put("record", func() { x.done = true }, func() { x.in, x.done = s, false })
}

func (e *event) Done() (done bool, err error) {
	err = e.c.do("eventdone", func() { done = e.done })
	return done, err
}

func (e *event) Synchronize() error {
	return e.c.do("synchronize", func() {
		for !e.done {
			e.in.next()
		}
	})
}

func (e *event) Since(driver.Event) (time.Duration, error) { return time.Microsecond, nil }
func (e *event) Close() error                              { return e.c.do("closeevent", func() { e.c.others-- }) }
