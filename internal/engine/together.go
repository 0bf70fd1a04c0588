package engine

import (
	"context"
	"slices"
	"sync/atomic"
	"time"

	"github.com/genie-sdk/go/internal/kernels"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// failure is the first panic of several goroutines.
type failure struct{ first atomic.Pointer[error] }

func (f *failure) set(r any) {
	err := internal(r)
	f.first.CompareAndSwap(nil, &err)
}

// take returns the error, once.
func (f *failure) take() error {
	if err := f.first.Swap(nil); err != nil {
		return *err
	}
	return nil
}

// together runs calls of one program side by side: each group that multiplies
// with a matrix in panels is one product of all their rows, so that the matrix
// is read once, and everything else runs for each call by itself. Products give
// a row the same bits whatever rows it is computed with, so each call computes
// what it computes alone.
type together struct {
	rounds *rounds
	joint  []bool  // by group
	outs   []int32 // shape classes of what joint groups give
	k, n   int     // rows and columns of their matrices, at most

	// Of the round that runs.
	e        *Engine
	members  []*member
	job      *job
	step     step // of the chunks
	from, to int  // groups that run for each call
	now      jointProduct
}

// jointProduct is C = A x B with the rows of several calls: A [rows, k], B [k,
// n] in panels. Each takes its rows of C and goes on with them by itself.
type jointProduct struct {
	group      int
	packed     *weight
	a, c       []float32
	rows, k, n int
}

// newTogether is how calls of a program run together; nil where no matrix is
// worth being read for several of them.
func newTogether(p *Program, opts Options) *together {
	if opts.MaxBatch < 2 || opts.plain || len(p.lanes) > 0 {
		return nil
	}
	t := &together{joint: make([]bool, len(p.groups)), job: newJob()}
	for i := range p.groups {
		g := &p.groups[i]
		if g.kind == convolve {
			return nil // it uses its filters many times in each call
		}
		if g.kind != linear || p.plan.Values[g.in[1]].Kind != plan.KindWeight || p.layout[g.in[1]].form == dense {
			continue
		}
		shape, err := p.plan.Values[g.in[1]].Spec.Shape.Eval(nil)
		if err != nil {
			return nil // no weight of a plan that has passed its checks
		}
		k, n := p.layout[g.in[1]].form.matrix(shape)
		if k == 0 || n == 0 {
			continue // nothing to read once for all
		}
		t.joint[i], t.k, t.n = true, max(t.k, k), max(t.n, n)
		if out := p.places[g.out].shape; !slices.Contains(t.outs, out) {
			t.outs = append(t.outs, out)
		}
	}
	if len(t.outs) == 0 {
		return nil
	}
	t.rounds = newRounds(opts.MaxBatch, t.run)
	return t
}

// compute runs the call's groups, in a round with other calls where its
// products have few rows.
func (c *Call) compute(ctx context.Context) error {
	if !c.Gathers() {
		c.s.e.pool.begin()
		defer c.s.e.pool.end()
		return c.steps(ctx)
	}
	m, t := &c.b.member, c.b.prog.together
	m.call, m.ctx, m.err, m.at = c, ctx, nil, 0
	t.rounds.do(m)
	m.ctx = nil
	return m.err
}

// Gathers reports whether the call waits, when it runs, for calls of the same
// program in other sessions that run, to be run together with those that wait
// like it: whether its products have rows, and few enough that there is room for
// as many again.
func (c *Call) Gathers() bool {
	t, rows := c.b.prog.together, 0
	if t == nil {
		return false
	}
	for _, class := range t.outs {
		dims := c.b.dims[class]
		rows = max(rows, c.b.elems[class]/max(dims[len(dims)-1], 1))
	}
	c.b.member.rows = rows
	return rows > 0 && 2*rows <= t.rounds.limit
}

// run runs a round. A call that fails or is cancelled leaves it at once, and
// the others go on.
func (t *together) run(members []*member) (stay []*member) {
	t.e, t.members = members[0].call.s.e, members
	t.step = step{pool: t.e.pool, together: t}
	t.e.pool.begin()
	defer func() {
		t.e.pool.end()
		if r := recover(); r != nil { // nobody waits for ever
			for _, m := range t.members {
				m.settle(internal(r))
			}
			stay = t.members
		}
	}()
	if len(members) == 1 {
		m := members[0]
		m.err = m.call.steps(m.ctx)
		return members
	}
	mem, err := t.e.arenas.get(t.scratch())
	if err != nil { // what each needs by itself it has
		for _, m := range members {
			m.err = m.call.steps(m.ctx)
		}
		return members
	}
	defer t.e.arenas.put(mem)
	t.e.rounds.Add(1)
	t.e.joined.Add(int64(len(members)))
	t.groups(mem)
	for _, m := range t.members {
		m.settle(nil)
	}
	return t.members
}

// settle is the call's, a panic of which is an error of that call alone.
func (m *member) settle(err error) {
	defer func() {
		if r := recover(); r != nil {
			m.err = m.call.s.breaks(r)
		}
	}()
	m.err = m.call.settle(m.ctx, m.at, err)
}

// scratch is the memory of a round's products, in bytes.
func (t *together) scratch() int {
	rows := 0
	for _, m := range t.members {
		rows += m.rows
	}
	return align(4*rows*t.k) + 4*rows*t.n
}

// groups runs the groups in order.
func (t *together) groups(mem []byte) {
	t.e.fault("round")
	for _, m := range t.members {
		m.call.measure()
	}
	for i := 0; i < len(t.joint) && len(t.members) > 0; {
		if t.joint[i] {
			t.product(i, mem)
			i++
		} else {
			t.from = i
			for i < len(t.joint) && !t.joint[i] {
				i++
			}
			t.each(t.from, i)
		}
		t.part()
	}
}

// part lets go the calls that have failed or are cancelled.
func (t *together) part() {
	stay := t.members[:0]
	for _, m := range t.members {
		if m.err == nil && m.at < len(t.joint) && m.ctx.Err() != nil {
			m.err = stopped(m.ctx)
		}
		if m.err == nil {
			stay = append(stay, m)
			continue
		}
		m.settle(m.err)
		if !m.lead {
			m.wake <- struct{}{}
		}
	}
	t.members = stay
}

// each runs groups for each call by itself.
func (t *together) each(from, to int) {
	t.from, t.to = from, to
	t.e.pool.run(t.job, &t.step, len(t.members), 1, eachChunk)
}

func eachChunk(s *step, lo, hi int) {
	for _, m := range s.together.members[lo:hi] {
		m.groups(s.together.from, s.together.to)
	}
}

// groups runs groups of one call.
func (m *member) groups(from, to int) {
	defer func() {
		if r := recover(); r != nil {
			m.err = internal(r)
		}
	}()
	done := m.ctx.Done()
	for m.at = from; m.at < to; m.at++ {
		select {
		case <-done:
			m.err = stopped(m.ctx)
			return
		default:
		}
		if m.err = m.call.group(m.at); m.err != nil {
			return
		}
	}
}

// product runs a group that is a product, for all calls as one.
func (t *together) product(i int, mem []byte) {
	start := time.Now()
	if !t.multiply(i, mem) {
		t.each(i, i+1) // by itself, each finds out whether the fault is its own
		return
	}
	each := time.Since(start) / time.Duration(len(t.members))
	for _, m := range t.members {
		if m.err = m.broken.take(); m.err == nil {
			m.at = i + 1
		}
		if t.e.opts.Profile {
			m.call.times[i] = each
		}
	}
}

// multiply reports whether the product itself was possible.
func (t *together) multiply(i int, mem []byte) (ok bool) {
	defer func() {
		if r := recover(); r != nil {
			ok = false
		}
	}()
	first := &t.members[0].call.b.steps[i]
	p := jointProduct{group: i, packed: first.packed}
	p.k, p.n = first.in[0].Shape[len(first.in[0].Shape)-1], first.out.Shape[len(first.out.Shape)-1]
	for _, m := range t.members {
		a := m.call.b.steps[i].in[0]
		m.broken.first.Store(nil)
		m.at, m.first, m.count = i, p.rows, a.Len()/p.k
		copyDense(mem[4*p.rows*p.k:][:4*a.Len()], a)
		p.rows += m.count
	}
	memory := op.Array{Data: mem}
	p.a, p.c = memory.F32()[:p.rows*p.k], memory.F32()[align(4*p.rows*p.k)/4:][:p.rows*p.n]
	t.now = p
	t.step.cutLinear(p.rows, p.n, p.k)
	t.e.pool.run(t.job, &t.step, t.step.rowBlocks*t.step.colBlocks, 1, jointChunk)
	return true
}

// jointChunk computes one block of rows and columns of a product, and what
// follows the product in each call.
func jointChunk(s *step, lo, hi int) {
	t, p := s.together, &s.together.now
	for i := lo; i < hi; i++ {
		r0, r1, p0, p1 := s.block(i, p.rows, p.n)
		p.packed.product(p.c[r0*p.n:], p.n, p.a[r0*p.k:], p.k, r1-r0, p.n, p.k, p0, p1)
		n0, n1 := p0*kernels.PanelWidth, min(p1*kernels.PanelWidth, p.n)
		for _, m := range t.members {
			m.store(p, max(r0, m.first), min(r1, m.first+m.count), n0, n1)
		}
	}
}

// store takes rows r0 to r1 and columns n0 to n1 of a product, which are the
// call's, and applies the stages to them.
func (m *member) store(p *jointProduct, r0, r1, n0, n1 int) {
	defer func() {
		if r := recover(); r != nil {
			m.broken.set(r)
		}
	}()
	s := &m.call.b.steps[p.group]
	out := s.out.F32()
	for r := r0; r < r1; r++ {
		own := (r - m.first) * p.n
		copy(out[own+n0:own+n1], p.c[r*p.n+n0:r*p.n+n1])
	}
	if r0 < r1 {
		s.finish(r0-m.first, r1-m.first, n0, n1)
	}
}
