package worker

import (
	"container/list"
	"sync"
	"time"

	"github.com/genie-sdk/go/internal/engine"
	"github.com/genie-sdk/go/transport/plan"
)

// partials retains weights whose upload was interrupted, so that another upload
// can resume where the first one ended. They are in memory, count against the
// memory budget, stay for a limited time, and are dropped before any request is
// refused for memory.
type partials struct {
	keep     time.Duration // how long each is retained
	maxBytes int64         // memory of all of them
	maxCount int

	mu     sync.Mutex
	closed bool
	held   map[partialKey]*partial
	order  list.List // of *partial, oldest first
	bytes  int64
	gone   sync.WaitGroup // timers that have fired
}

// partialKey identifies content of an identity. An identity does not learn of
// another's.
type partialKey struct {
	tenant *tenant
	weight engine.WeightKey
}

func (s *Server) partialKey(t *tenant, p Program, v plan.Value) (partialKey, error) {
	k, err := s.opts.Engine.WeightForm(p, v)
	return partialKey{t, k}, err
}

// partial is the first bytes of a weight.
type partial struct {
	key    partialKey
	in     *incoming
	got    int64
	prefix plan.Hash
	bytes  int64
	at     *list.Element
	timer  *time.Timer
}

func newPartials(o Options) *partials {
	return &partials{keep: o.PartialTime, maxBytes: o.PartialBytes, maxCount: maxPartials, held: map[partialKey]*partial{}}
}

// maxPartials bounds the number of partly received weights.
const maxPartials = 256

// park retains in. If the key already has a partial weight, it is replaced only
// by one with more bytes.
func (p *partials) park(key partialKey, in *incoming) {
	got, prefix := in.out.Got()
	x := &partial{key: key, in: in, got: got, prefix: prefix, bytes: in.out.Held()}
	for _, in := range p.add(x) {
		in.Abort()
	}
}

// add retains x, or returns it, with what it replaces.
func (p *partials) add(x *partial) (drop []*incoming) {
	p.mu.Lock()
	defer p.mu.Unlock()
	old := p.held[x.key]
	if x.got == 0 || p.closed || x.bytes > p.maxBytes || old != nil && old.got >= x.got {
		return []*incoming{x.in}
	}
	if old != nil {
		drop = append(drop, p.remove(old))
	}
	p.held[x.key], x.at = x, p.order.PushBack(x)
	p.bytes += x.bytes
	p.gone.Add(1)
	x.timer = time.AfterFunc(p.keep, func() { p.expire(x) })
	for p.bytes > p.maxBytes || p.order.Len() > p.maxCount {
		drop = append(drop, p.remove(p.order.Front().Value.(*partial)))
	}
	return drop
}

// remove removes x; the caller aborts or uses its incoming. The lock is held.
func (p *partials) remove(x *partial) *incoming {
	delete(p.held, x.key)
	p.order.Remove(x.at)
	p.bytes -= x.bytes
	if x.timer.Stop() {
		p.gone.Done()
	}
	return x.in
}

func (p *partials) expire(x *partial) {
	defer p.gone.Done()
	if p.drop(x) {
		x.in.Abort()
	}
}

// dropOf drops partial weights charged to an identity, n bytes if there are as
// many, and returns the number of bytes.
func (p *partials) dropOf(t *tenant, n int64) (dropped int64) {
	drop := p.of(t, n)
	for _, in := range drop {
		dropped += in.paid
		defer in.Abort()
	}
	return dropped
}

// of removes what dropOf drops.
func (p *partials) of(t *tenant, n int64) (drop []*incoming) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for e := p.order.Front(); e != nil && n > 0; {
		x := e.Value.(*partial)
		e = e.Next()
		if x.in.payer == t {
			n -= x.in.paid
			drop = append(drop, p.remove(x))
		}
	}
	return drop
}

// drop drops x, unless that has been done.
func (p *partials) drop(x *partial) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.held[x.key] != x {
		return false
	}
	p.remove(x)
	return true
}

// none reports whether there are no partial weights.
func (p *partials) none() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.held) == 0
}

// look returns how many bytes of a weight there are, and their hash.
func (p *partials) look(key partialKey) (got int64, prefix plan.Hash) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if x := p.held[key]; x != nil {
		return x.got, x.prefix
	}
	return 0, plan.Hash{}
}

// take passes a partial weight to an upload that resumes at offset; nil if it
// does not end there.
func (p *partials) take(key partialKey, offset int64) *incoming {
	p.mu.Lock()
	defer p.mu.Unlock()
	if x := p.held[key]; x != nil && x.got == offset {
		return p.remove(x)
	}
	return nil
}

// Idle implements [budget.Holder].
func (p *partials) Idle() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.bytes
}

// Reclaim implements [budget.Holder]: it drops the oldest.
func (p *partials) Reclaim(n int64) {
	for n > 0 {
		x := p.oldest()
		if x == nil {
			return
		}
		x.in.Abort()
		n -= x.bytes
	}
}

// oldest removes the oldest one; nil for none.
func (p *partials) oldest() *partial {
	p.mu.Lock()
	defer p.mu.Unlock()
	front := p.order.Front()
	if front == nil {
		return nil
	}
	x := front.Value.(*partial)
	p.remove(x)
	return x
}

// close drops all, and everything that arrives later.
func (p *partials) close() {
	p.Reclaim(p.refuse())
	p.gone.Wait()
}

// refuse stops retaining and returns the memory still held.
func (p *partials) refuse() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	return p.bytes
}
