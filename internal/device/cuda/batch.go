package cuda

import (
	"slices"

	"github.com/genie-sdk/go/internal/device"
	"github.com/genie-sdk/go/internal/device/cuda/driver"
	"github.com/genie-sdk/go/internal/device/cuda/kernels"
	"github.com/genie-sdk/go/internal/halt"
)

// batch implements [device.Batch]: one launch for the rows of all runs. From
// their first product on, the runs of a batch queue what they compute
// separately in one stream, too, so that the order of their launches is the
// order on the device, and a product costs no event.
type batch struct {
	code *code

	group    int
	runs     []portion
	rows     []kernels.Rows
	scratch  driver.Ptr
	shared   *shared // of the last batch
	launched bool
	err      error
}

// portion is the part of one run.
type portion struct {
	run    *run
	bound  bool // it has rows, and nothing has failed
	failed error
}

// shared is a stream that several runs use while they are in a batch, all on one
// goroutine at a time. It is given back when the last one has left.
type shared struct {
	st   *stream
	runs int
}

// NewBatch implements [device.Code].
func (c *code) NewBatch() device.Batch { return &batch{code: c} }

// Scratch implements [device.Batch].
func (b *batch) Scratch(rows int) (most int) {
	for i, joint := range b.code.joint {
		if joint {
			l := b.code.layouts[b.code.prog.Groups[i].In[1]]
			k, n := l.matrix()
			m := kernels.Packed{Elem: l.spec.Storage, K: k, N: n}
			most = max(most, b.code.d.kernels.ProductScratch(&m, rows))
		}
	}
	return most
}

// Start implements [device.Batch].
func (b *batch) Start(i int, runs []device.Run, scratch device.Buffer) {
	b.group, b.runs, b.launched, b.err = i, b.runs[:0], false, nil
	defer device.Recovered(&b.err)
	mem := scratch.(*buffer)
	mem.owner = 0
	b.scratch = mem.at
	for _, x := range runs {
		b.runs = append(b.runs, portion{run: x.(*run)})
	}
	if b.err = b.code.d.enter(); b.err != nil {
		return
	}
	defer b.code.d.leave()
	var sh *shared
	if sh, b.err = b.sharedBy(); b.err != nil {
		return
	}
	for k := range b.runs {
		p := &b.runs[k]
		p.bound, p.failed = p.bind(b.group, sh)
	}
	if sh.runs == 0 {
		b.code.d.giveStream(sh.st)
	}
}

// sharedBy is the stream that runs share, or a new one.
func (b *batch) sharedBy() (*shared, error) {
	for k := range b.runs {
		if s := b.runs[k].run.shared; s != nil {
			return s, nil
		}
	}
	if b.shared == nil || b.shared.runs > 0 {
		b.shared = &shared{}
	}
	var err error
	b.shared.st, err = b.code.d.stream()
	return b.shared, err
}

// bind describes the rows of one run, and reports whether there are any.
func (p *portion) bind(group int, sh *shared) (ok bool, err error) {
	defer device.Recovered(&err)
	r := p.run
	if err := r.begin(); err != nil {
		return false, err
	}
	if err := r.joinShared(sh); err != nil {
		return false, err
	}
	r.d.fault("kernel")
	g := &r.groups[group]
	if r.bound.Len(g.of.Out) == 0 {
		return false, nil
	}
	return true, r.d.check(r.bindRows(g, r.st))
}

// Continue implements [device.Batch]: it launches the product as a whole.
func (b *batch) Continue(halt.Func) (done bool, err error) {
	if b.err != nil {
		return false, b.err
	}
	if b.launched {
		return true, nil
	}
	defer device.Recovered(&err)
	if err := b.code.d.enter(); err != nil {
		return false, err
	}
	defer b.code.d.leave()
	b.rows = b.rows[:0]
	var first *run
	for k := range b.runs {
		if p := &b.runs[k]; p.bound && p.failed == nil {
			b.rows = append(b.rows, p.run.groups[b.group].rows[0])
			first = p.run
		}
	}
	if first != nil {
		if err := b.code.d.check(b.code.d.kernels.Product(first.st, &first.groups[b.group].matrix, b.rows, b.scratch)); err != nil {
			return false, err
		}
	}
	b.launched = true
	return true, nil
}

// Fault implements [device.Batch].
func (b *batch) Fault(k int) error {
	err := b.runs[k].failed
	b.runs[k].failed = nil
	return err
}

// Each implements [device.Batch]: launches are short.
func (*batch) Each(from, n int, h halt.Func, f func(i int)) (to int) {
	return device.InTurn(from, n, h, f)
}

// Drop implements [device.Batch].
func (b *batch) Drop(k int) { b.runs = slices.Delete(b.runs, k, k+1) }

// joinShared makes the run queue its groups in a stream with others, after what
// it has queued in its own.
func (r *run) joinShared(s *shared) error {
	if r.shared == s {
		return nil
	}
	if err := r.d.check(r.st.Record(r.queue.left)); err != nil {
		return err
	}
	r.leaveShared()
	s.runs++
	r.shared, r.st = s, s.st
	return r.d.check(s.st.WaitFor(r.queue.left))
}

// leaveShared leaves the shared stream. Nothing of the run is queued there any
// more.
func (r *run) leaveShared() {
	s := r.shared
	if s == nil {
		return
	}
	r.shared = nil
	if s.runs--; s.runs == 0 {
		r.d.giveStream(s.st)
	}
}
