package engine

import (
	"context"
	"time"

	"github.com/genie-sdk/go/internal/halt"
	"github.com/genie-sdk/go/internal/kernels"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/internal/program"
	"github.com/genie-sdk/go/transport/plan"
)

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
	e       *Engine
	members []*member
	mem     []byte // of its products, nil where there is none
	job     *job
	halt    halt.Func // stopped
	step    step      // of the chunks
	// The groups between from and to are under way: one product, or groups that run for each
	// call. done is how many of the product's chunks, or of the members, are.
	from, to, done int
	apart          bool // the product is computed by each call
	begun          bool // it has what memory it gets
	orphaned       bool // the member that leads has left
	now            jointProduct
}

// jointProduct is C = A x B with the rows of several calls: A [rows, k], B [k,
// n] in panels. Each takes its rows of C and goes on with them by itself.
type jointProduct struct {
	group      int
	packed     *weight
	a, c       []float32
	rows, k, n int
}

// The chunks of a joint product are short, since a member that is cancelled waits
// for those that run: so many elements of the matrix, about, of which no column has
// more than jointDepth.
const (
	jointElems = 1 << 20
	jointDepth = 1 << 16
)

// newTogether is how calls of a program run together; nil where no matrix is
// worth being read for several of them.
func newTogether(p *Program, opts Options) *together {
	if opts.MaxBatch < 2 || opts.plain || len(p.Lanes) > 0 {
		return nil
	}
	t := &together{joint: make([]bool, len(p.Groups)), job: newJob()}
	seen := map[int32]bool{}
	for i := range p.Groups {
		g := &p.Groups[i]
		if g.Kind == program.Convolve {
			return nil // it uses its filters many times in each call
		}
		if g.Kind != program.Linear || p.Plan().Values[g.In[1]].Kind != plan.KindWeight || p.layout[g.In[1]].form == dense {
			continue
		}
		shape, err := p.Plan().Values[g.In[1]].Spec.Shape.Eval(nil)
		if err != nil {
			return nil // no weight of a plan that has passed its checks
		}
		k, n := p.layout[g.In[1]].form.matrix(shape)
		if k == 0 || n == 0 || k > jointDepth {
			continue // nothing to read once for all, or chunks that are too long
		}
		t.joint[i], t.k, t.n = true, max(t.k, k), max(t.n, n)
		if out := p.Places[g.Out].Shape; !seen[out] {
			seen[out] = true
			t.outs = append(t.outs, out)
		}
	}
	if len(t.outs) == 0 {
		return nil
	}
	t.halt = t.stopped
	t.rounds = newRounds(opts.MaxBatch, t.run, t.goOn)
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
// as many again, and it does little beside them.
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
	return rows > 0 && 2*rows <= t.rounds.limit && c.b.apart() <= jointApart
}

// run runs a round on the goroutine of the first of its members, who leads. A call
// that fails or is cancelled leaves it at once, and the others go on. When the
// leader leaves run returns early, and somebody else has to call goOn.
func (t *together) run(members []*member) (stay []*member, over bool) {
	t.e, t.members = members[0].call.s.e, members
	t.step = step{pool: t.e.pool, together: t}
	t.from, t.to, t.done, t.orphaned, t.mem = 0, 0, 0, false, nil
	t.e.pool.begin()
	if t.begun = len(members) == 1; !t.begun {
		t.step.halt = t.halt
	}
	return t.goOn()
}

// begin takes the memory of the products. Without it each call computes its own,
// for which it has what it needs.
func (t *together) begin() {
	for _, m := range t.members {
		m.call.measure()
	}
	var err error
	if t.mem, err = t.e.arenas.get(t.scratch()); err != nil {
		t.mem = nil
		return
	}
	t.e.rounds.Add(1)
	t.e.joined.Add(int64(len(t.members)))
}

// goOn runs what is left of a round.
func (t *together) goOn() (stay []*member, over bool) {
	defer func() {
		if r := recover(); r != nil { // nobody waits for ever
			for _, m := range t.members {
				m.settle(internal(r))
			}
			stay, over = t.members, true
		}
		if over {
			t.e.pool.end()
			t.e.arenas.put(t.mem)
			t.mem = nil
		}
	}()
	if t.step.halt == nil {
		m := t.members[0]
		m.err = m.call.steps(m.ctx)
		return t.members, true
	}
	if !t.begun {
		t.begun = true
		t.begin()
	}
	t.orphaned = false
	t.groups()
	if t.orphaned && len(t.members) > 0 {
		return nil, false
	}
	for _, m := range t.members {
		m.settle(nil)
	}
	return t.members, true
}

// stopped reports whether a member is cancelled: those that are wait for a chunk of
// a product, or a part of another member's run, and no longer.
func (t *together) stopped() bool {
	for _, m := range t.members {
		if m.ctx.Err() != nil {
			return true
		}
	}
	return false
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

// groups runs the groups in order, until all members or the leader have left.
func (t *together) groups() {
	t.e.fault("round")
	for len(t.members) > 0 && !t.orphaned {
		if t.from == t.to {
			if t.to == len(t.joint) {
				return
			}
			for t.to++; !t.joint[t.from] && t.to < len(t.joint) && !t.joint[t.to]; {
				t.to++
			}
			t.done, t.apart = 0, false
		}
		if t.joint[t.from] && t.mem != nil && !t.apart {
			t.product()
		} else {
			t.each()
		}
	}
}

// part lets go the calls that have failed or are cancelled. It returns how many of
// those were among the first few.
func (t *together) part(first int) (gone int) {
	stay := t.members[:0]
	for i, m := range t.members {
		if m.err == nil && m.at < len(t.joint) && m.ctx.Err() != nil {
			m.err = stopped(m.ctx)
		}
		if m.err == nil {
			stay = append(stay, m)
			continue
		}
		if i < first {
			gone++
		}
		if m.settle(m.err); m.lead {
			t.orphaned = true
		} else {
			m.wake <- struct{}{}
		}
	}
	t.members = stay
	return gone
}

// each runs groups for each call by itself.
func (t *together) each() {
	t.done = t.e.pool.runFrom(t.job, &t.step, t.done, len(t.members), 1, eachChunk)
	if t.done -= t.part(t.done); t.done == len(t.members) {
		t.from = t.to
	}
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
	for m.at = from; m.at < to; m.at++ {
		if m.err = m.call.group(m.ctx, m.at); m.err != nil {
			return
		}
	}
}

// product runs a group that is a product, for all calls as one, or goes on with
// it.
func (t *together) product() {
	start := time.Now()
	begins := t.done == 0
	if !t.multiply() {
		t.apart, t.done = true, 0 // by itself, each finds out whether the fault is its own
		return
	}
	each := time.Since(start) / time.Duration(len(t.members))
	whole := t.done == t.step.rowBlocks*t.step.colBlocks
	for _, m := range t.members {
		if m.err = m.broken.take(); m.err == nil && whole {
			m.at = t.to
		}
		if t.e.opts.Profile && begins {
			m.call.times[t.from] = each
		} else if t.e.opts.Profile {
			m.call.times[t.from] += each
		}
	}
	if t.part(0); whole {
		t.from = t.to
	}
}

// multiply reports whether the product itself was possible.
func (t *together) multiply() (ok bool) {
	defer func() {
		if r := recover(); r != nil {
			ok = false
		}
	}()
	if t.done == 0 {
		t.gather()
	}
	t.done = t.e.pool.runFrom(t.job, &t.step, t.done, t.step.rowBlocks*t.step.colBlocks, 1, jointChunk)
	return true
}

// gather puts the rows of all calls together and cuts their product into chunks.
func (t *together) gather() {
	i, first := t.from, &t.members[0].call.b.steps[t.from]
	p := jointProduct{group: i, packed: first.packed}
	p.k, p.n = first.in[0].Shape[len(first.in[0].Shape)-1], first.out.Shape[len(first.out.Shape)-1]
	for _, m := range t.members {
		a := m.call.b.steps[i].in[0]
		m.broken.first.Store(nil)
		m.at, m.first, m.count = i, p.rows, a.Len()/p.k
		copyDense(t.mem[4*p.rows*p.k:][:4*a.Len()], a, nil) // few rows
		p.rows += m.count
	}
	memory := op.Array{Data: t.mem}
	p.a, p.c = memory.F32()[:p.rows*p.k], memory.F32()[align(4*p.rows*p.k)/4:][:p.rows*p.n]
	t.now = p
	t.step.cutLinear(p.rows, p.n, p.k)
	most := max(grainPanels, jointElems/(p.k*kernels.PanelWidth))
	t.step.colBlocks = max(t.step.colBlocks, (kernels.Panels(p.n)+most-1)/most)
}

// jointChunk computes one block of rows and columns of a product, and what
// follows the product in each call.
func jointChunk(s *step, lo, hi int) {
	t, p := s.together, &s.together.now
	for i := lo; i < hi; i++ {
		r0, r1, p0, p1 := s.block(i, p.rows, p.n)
		p.packed.product(p.c[r0*p.n:], p.n, p.a[r0*p.k:], p.k, r1-r0, p.n, p.k, p0, p1, nil)
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
