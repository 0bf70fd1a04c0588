package cuda_test

import (
	"fmt"
	"sync"
	"time"

	"github.com/genie-sdk/go/internal/device/cuda/driver"
)

// nothing is a driver whose kernels and copies do nothing, so that all memory is
// zeros. It checks that memory is allocated when it is used, that a stream has
// one user at a time, and that nothing is used after it was freed.
type nothing struct {
	mu     sync.Mutex
	next   driver.Ptr
	sizes  map[driver.Ptr]int64
	allocs int // of device memory and of page-locked memory
}

func newNothing() *nothing { return &nothing{next: 256, sizes: map[driver.Ptr]int64{}} }

func (*nothing) Version() int          { return 12090 }
func (*nothing) Devices() (int, error) { return 1, nil }
func (n *nothing) Describe(int) (driver.Properties, error) {
	return n.Properties(), nil
}
func (n *nothing) Open(int) (driver.Context, error) { return n, nil }

func (*nothing) Properties() driver.Properties {
	return driver.Properties{Name: "nothing", Major: 8, Memory: 1 << 34, Multiprocessors: 100, ClockKHz: 1e6}
}

func (n *nothing) MemInfo() (free, total int64, err error) { return 1 << 34, 1 << 34, nil }

func (n *nothing) Alloc(size int64) (driver.Ptr, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.next += driver.Ptr(size+511) &^ 255
	at := n.next - driver.Ptr(size+511)&^255 + 256
	n.sizes[at] = size
	n.allocs++
	return at, nil
}

func (n *nothing) Free(p driver.Ptr) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if _, ok := n.sizes[p]; !ok {
		panic(fmt.Sprintf("%d is freed, but not in use", p))
	}
	delete(n.sizes, p)
	return nil
}

func (n *nothing) AllocHost(size int) ([]byte, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.allocs++
	return make([]byte, size), nil
}
func (*nothing) FreeHost([]byte) error               { return nil }
func (n *nothing) NewStream() (driver.Stream, error) { return &idle{of: n}, nil }
func (*nothing) NewEvent() (driver.Event, error)     { return moment{}, nil }
func (*nothing) Load([]byte) (driver.Module, error)  { return module{}, nil }
func (*nothing) Close() error                        { return nil }

type module struct{}

func (module) Function(string) (driver.Function, error) { return module{}, nil }
func (module) AllowShared(int) error                    { return nil }

type moment struct{}

func (moment) Done() (bool, error)                       { return true, nil }
func (moment) Synchronize() error                        { return nil }
func (moment) Since(driver.Event) (time.Duration, error) { return time.Microsecond, nil }
func (moment) Close() error                              { return nil }

// idle is a stream.
type idle struct {
	of *nothing
	mu sync.Mutex
}

// use checks that memory is allocated.
func (s *idle) use(p driver.Ptr, n int64) error {
	if !s.mu.TryLock() {
		panic("a stream has two users")
	}
	defer s.mu.Unlock()
	s.of.mu.Lock()
	defer s.of.mu.Unlock()
	for at, size := range s.of.sizes {
		if p >= at && int64(p-at)+n <= size {
			return nil
		}
	}
	panic(fmt.Sprintf("%d bytes at %d are not allocated", n, p))
}

func (s *idle) CopyIn(dst driver.Ptr, src []byte) error { return s.use(dst, int64(len(src))) }
func (s *idle) CopyOut(dst []byte, src driver.Ptr) error {
	clear(dst)
	return s.use(src, int64(len(dst)))
}

func (s *idle) Copy(dst, src driver.Ptr, n int64) error {
	_ = s.use(dst, n)
	return s.use(src, n)
}

func (s *idle) Fill(dst driver.Ptr, _ byte, n int64) error { return s.use(dst, n) }

func (s *idle) Launch(driver.Function, driver.Dim, driver.Dim, int, []byte) error { return nil }

func (*idle) Record(driver.Event) error  { return nil }
func (*idle) WaitFor(driver.Event) error { return nil }
func (*idle) Done() (bool, error)        { return true, nil }
func (*idle) Synchronize() error         { return nil }
func (*idle) Close() error               { return nil }
