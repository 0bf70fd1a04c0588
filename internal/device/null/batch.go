package null

import (
	"slices"

	"github.com/genie-sdk/go/internal/device"
	"github.com/genie-sdk/go/internal/halt"
	"github.com/genie-sdk/go/internal/program"
)

// batch implements [device.Batch].
type batch struct {
	code   *code
	runs   []*run
	failed error // of the last start
}

// Scratch implements [device.Batch].
func (b *batch) Scratch(rows int) int { return program.Align(4 * rows * b.code.width) }

// Start implements [device.Batch]: the product is one piece of work, after
// everything the runs have queued, all of which is done before it.
func (b *batch) Start(i int, runs []device.Run, _ device.Buffer) {
	b.failed = nil
	defer device.Recovered(&b.failed)
	b.runs = b.runs[:0]
	var all program.Cost
	for k, x := range runs {
		r := x.(*run)
		b.runs = append(b.runs, r)
		c := r.cost(i).work
		all.FLOPs, all.Read, all.Written = all.FLOPs+c.FLOPs, all.Read+c.Read, all.Written+c.Written
		if k == 0 {
			all.Weights = c.Weights
		} else {
			all.Read -= c.Weights // the weight is present
		}
	}
	begin, end := b.code.d.queue(b.code.d.time(Work{
		Cost: all, Program: b.code.prog, Group: i, Shape: b.runs[0].bound.Shape, Runs: len(runs),
	}))
	for _, r := range b.runs {
		r.queue = append(r.queue, queued{i, begin, end})
	}
}

// Continue implements [device.Batch]: the product is queued.
func (b *batch) Continue(halt.Func) (done bool, err error) { return b.failed == nil, b.failed }

// Fault implements [device.Batch].
func (*batch) Fault(int) error { return nil }

// Each implements [device.Batch]: one after the other, since queueing takes no
// time.
func (*batch) Each(from, n int, h halt.Func, f func(i int)) (to int) {
	return device.InTurn(from, n, h, f)
}

// Drop implements [device.Batch].
func (b *batch) Drop(k int) { b.runs = slices.Delete(b.runs, k, k+1) }
