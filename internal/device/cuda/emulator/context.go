package emulator

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/genie-sdk/go/internal/device/cuda/driver"
)

// context is a driver.Context.
type context struct {
	d       *Driver
	device  *device
	props   driver.Properties
	heap    heap
	history history
	pool    pool
	err     atomic.Pointer[driver.Error]
	stop    atomic.Bool // no block continues

	mu      sync.Mutex // guards what follows, and all streams and events
	changed *sync.Cond
	closed  bool
	streams []*stream // by index; nil if closed
	numbers []uint32  // of the operations of each stream, also of closed ones
	host    clock     // what the process has waited for
	waits   uint64    // how often host changed
	pinned  map[*byte]int
	outs    []hostRange
	running sync.WaitGroup
}

// hostRange is memory of the process that a queued copy writes to.
type hostRange struct{ from, to uintptr }

func rangeOf(b []byte) hostRange {
	at := uintptr(unsafe.Pointer(unsafe.SliceData(b)))
	return hostRange{at, at + uintptr(len(b))}
}

func newContext(d *Driver, dev *device, p driver.Properties) *context {
	c := &context{d: d, device: dev, props: p, pinned: map[*byte]int{}}
	c.changed = sync.NewCond(&c.mu)
	workers := d.options.Workers
	if workers == 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	c.pool.start(workers)
	return c
}

// lost is the error of a context whose calls fail.
func (c *context) lost(call string) error {
	if err := c.err.Load(); err != nil {
		return err
	}
	if c.stop.Load() {
		return NewError(call, ContextDestroyed, "the context is closed", true)
	}
	return nil
}

// fail makes each later call fail, if the error is sticky.
func (c *context) fail(err *driver.Error) {
	if err != nil && err.Sticky {
		c.err.CompareAndSwap(nil, err)
	}
}

// enter begins a call: it fails if the context is lost or a fault was injected.
func (c *context) enter(name string, kind Call, count func(*Counts)) error {
	if err := c.lost(name); err != nil {
		return err
	}
	if f := c.d.fault(kind, count); f != nil {
		c.fail(f.Err)
		return f.Err
	}
	return nil
}

func (c *context) Properties() driver.Properties { return c.props }

func (c *context) MemInfo() (free, total int64, err error) {
	if err := c.lost("cuMemGetInfo"); err != nil {
		return 0, 0, err
	}
	c.device.mu.Lock()
	defer c.device.mu.Unlock()
	return c.props.Memory - c.device.used, c.props.Memory, nil
}

func (c *context) Alloc(n int64) (driver.Ptr, error) {
	const call = "cuMemAlloc"
	if err := c.enter(call, CallAlloc, func(n *Counts) { n.Allocs++ }); err != nil {
		return 0, err
	}
	if n <= 0 {
		return 0, NewError(call, InvalidValue, fmt.Sprintf("%d bytes", n), false)
	}
	if !c.reserve(n) {
		return 0, NewError(call, OutOfMemory, fmt.Sprintf("%d bytes", n), false)
	}
	return driver.Ptr(c.heap.add(n, "an allocation", c.d.options.Check == Full).base), nil
}

// reserve takes n bytes of the device's memory if it has them.
func (c *context) reserve(n int64) bool {
	c.device.mu.Lock()
	defer c.device.mu.Unlock()
	if n > c.props.Memory-c.device.used {
		return false
	}
	c.device.used += n
	return true
}

func (c *context) Free(p driver.Ptr) error {
	if err := c.lost("cuMemFree"); err != nil {
		return err
	}
	n, ok := c.heap.remove(uint64(p))
	if !ok {
		return NewError("cuMemFree", InvalidValue, fmt.Sprintf("%#x is no allocation", uint64(p)), false)
	}
	c.d.count(func(n *Counts) { n.Frees++ })
	c.device.free(n)
	return nil
}

func (c *context) AllocHost(n int) ([]byte, error) {
	const call = "cuMemHostAlloc"
	if err := c.enter(call, CallAllocHost, func(n *Counts) { n.HostAllocs++ }); err != nil {
		return nil, err
	}
	if n <= 0 {
		return nil, NewError(call, InvalidValue, fmt.Sprintf("%d bytes", n), false)
	}
	b := make([]byte, n)
	poison(b)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pinned[&b[0]] = n
	return b, nil
}

func (c *context) FreeHost(b []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(b) == 0 || c.pinned[&b[0]] == 0 {
		return NewError("cuMemFreeHost", InvalidValue, "the memory is not page-locked", false)
	}
	delete(c.pinned, &b[0])
	c.d.count(func(n *Counts) { n.HostFrees++ })
	return nil
}

// poison fills memory whose content is undefined.
func poison(b []byte) {
	for i := range b {
		b[i] = 0xcb
	}
}

func (c *context) NewStream() (driver.Stream, error) {
	if err := c.enter("cuStreamCreate", CallStream, func(n *Counts) { n.Streams++ }); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	s := &stream{c: c, index: -1}
	for i, other := range c.streams {
		if other == nil {
			s.index = i
		}
	}
	if s.index < 0 {
		s.index = len(c.streams)
		c.streams, c.numbers = append(c.streams, nil), append(c.numbers, 0)
	}
	c.streams[s.index] = s
	// What a stream of this index did before, this one comes after.
	s.clock.join(c.host)
	s.ordered()
	c.running.Add(1)
	go s.run()
	return s, nil
}

func (c *context) NewEvent() (driver.Event, error) {
	if err := c.enter("cuEventCreate", CallEvent, func(n *Counts) { n.Events++ }); err != nil {
		return nil, err
	}
	return &event{c: c}, nil
}

// Close ends all work, and frees what the context owns.
func (c *context) Close() error {
	c.stop.Store(true)
	if !c.end() {
		return nil
	}
	c.running.Wait()
	c.pool.end()
	c.device.free(c.heap.clear())
	return nil
}

// end wakes all streams to end, and reports whether they had not ended before.
func (c *context) end() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	c.closed = true
	c.changed.Broadcast()
	return true
}

func (d *device) free(n int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.used -= n
}

// count counts what cannot fail.
func (d *Driver) count(f func(*Counts)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f(&d.counts)
}
