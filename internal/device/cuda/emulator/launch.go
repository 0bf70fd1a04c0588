package emulator

import (
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"github.com/genie-sdk/go/internal/device/cuda/driver"
)

// launch is a launch of a kernel. Its memory is used again.
type launch struct {
	operation
	k           *kernel
	grid, block driver.Dim
	shared      int
	params      region
	heap        *heap
	check       Check
	limit       int64
	stop        *atomic.Bool
	total       int
	next        atomic.Int64
	threads     atomic.Int64
	helpers     sync.WaitGroup

	mu     sync.Mutex
	err    *driver.Error
	failed int // the block whose error that is
}

// Launch queues a launch, after it has checked its limits.
func (s *stream) Launch(f driver.Function, grid, block driver.Dim, shared int, args []byte) error {
	const call = "cuLaunchKernel"
	if err := s.c.lost(call); err != nil {
		return err
	}
	e, ok := f.(*entry)
	if !ok || e.c != s.c {
		return NewError(call, InvalidHandle, fmt.Sprintf("%T is no function of the context", f), false)
	}
	fault := s.c.d.fault(CallLaunch, func(n *Counts) { n.Launches++ })
	if fault != nil && !fault.Late {
		s.c.fail(fault.Err)
		return fault.Err
	}
	k, err := e.kernel(call)
	if err != nil {
		return err
	}
	if wrong := e.limits(grid, block, shared, args); wrong != "" {
		return NewError(call, InvalidValue, fmt.Sprintf("kernel %s: %s", k.name, wrong), false)
	}
	return s.push(func(w *work) {
		if w.launch == nil {
			w.launch = &launch{}
		}
		l := w.launch
		l.k, l.grid, l.block, l.shared = k, grid, block, shared
		l.params.data = append(l.params.data[:0], args...)
		l.params.name, l.params.size, l.params.private = "the parameters", uint64(len(args)), true
		l.heap, l.check, l.limit, l.stop = &s.c.heap, s.c.d.options.Check, s.c.d.options.Steps, &s.c.stop
		l.total = grid.X * grid.Y * grid.Z
		w.task, w.fault = taskLaunch, fault
	})
}

// limits is what is wrong with a launch, or empty.
func (e *entry) limits(grid, block driver.Dim, shared int, args []byte) string {
	threads := block.X * block.Y * block.Z
	switch {
	case grid.X < 1 || grid.Y < 1 || grid.Z < 1 || grid.X > 1<<31-1 || grid.Y > 65535 || grid.Z > 65535:
		return fmt.Sprintf("a grid of %v blocks", grid)
	case block.X < 1 || block.Y < 1 || block.Z < 1 || block.X > 1024 || block.Y > 1024 || block.Z > 64 || threads > 1024:
		return fmt.Sprintf("blocks of %v threads", block)
	case threads > e.k.maxThreads:
		return fmt.Sprintf("blocks of %d threads, and it is compiled for at most %d", threads, e.k.maxThreads)
	case grid.X*grid.Y*grid.Z >= maxIDs/2:
		return fmt.Sprintf("a grid of %v blocks is more than the emulator executes", grid)
	case shared < 0 || int64(shared) > max(e.allowed.Load(), int64(staticLimit-e.k.static)):
		return fmt.Sprintf("%d bytes of dynamic shared memory, beside %d that it declares, and AllowShared permits %d", shared, e.k.static, e.allowed.Load())
	case len(args) != e.k.params:
		return fmt.Sprintf("%d bytes of parameters, and it declares %d", len(args), e.k.params)
	}
	return ""
}

// execute executes a launch, on this goroutine and those that are idle.
func (l *launch) execute(c *context) *driver.Error {
	l.next.Store(0)
	l.threads.Store(0)
	l.err, l.failed = nil, l.total
	l.fences = nil
	if l.k.fences {
		l.fences = make([]atomic.Uint32, l.total)
	}
	for range min(c.pool.workers, l.total) - 1 {
		l.helpers.Add(1)
		select {
		case c.pool.jobs <- l:
		default:
			l.helpers.Done()
		}
	}
	c.pool.work(l)
	l.helpers.Wait()
	c.d.count(func(n *Counts) { n.Threads += l.threads.Load() })
	return l.err
}

func (l *launch) stopped() bool { return l.stop.Load() }

// work executes blocks until there are none left.
func (l *launch) work(b *block) {
	i := 0
	defer func() {
		for _, w := range b.warps {
			w.release()
			l.threads.Add(w.threads)
			w.threads = 0
		}
		if r := recover(); r != nil {
			l.fail(i, b.fault(LaunchFailed, fmt.Sprintf("the emulator panicked: %v\n%s", r, debug.Stack())))
		}
	}()
	b.prepare(l)
	for {
		if i = int(l.next.Add(1) - 1); i >= l.total || l.stopped() {
			return
		}
		if err := b.run(i); err != nil {
			l.fail(i, err)
			return
		}
	}
}

// fail keeps the error of the first block that fails, and ends the launch.
func (l *launch) fail(i int, err *driver.Error) {
	l.next.Store(int64(l.total))
	l.mu.Lock()
	defer l.mu.Unlock()
	if i < l.failed {
		l.err, l.failed = err, i
	}
}

// pool is goroutines that help to execute launches, and the blocks that they
// use.
type pool struct {
	workers int
	jobs    chan *launch
	ended   sync.WaitGroup
	mu      sync.Mutex
	blocks  []*block
}

func (p *pool) start(workers int) {
	p.workers, p.jobs = workers, make(chan *launch)
	for range workers - 1 {
		p.ended.Go(func() {
			for l := range p.jobs {
				p.work(l)
				l.helpers.Done()
			}
		})
	}
}

func (p *pool) end() {
	close(p.jobs)
	p.ended.Wait()
}

// work executes blocks of a launch in the memory of a block that is idle.
func (p *pool) work(l *launch) {
	b := p.take()
	l.work(b)
	p.give(b)
}

func (p *pool) take() *block {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.blocks)
	if n == 0 {
		return &block{}
	}
	b := p.blocks[n-1]
	p.blocks = p.blocks[:n-1]
	return b
}

func (p *pool) give(b *block) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.blocks = append(p.blocks, b)
}
