package mixed

import (
	"slices"

	"github.com/genie-sdk/go/internal/device"
	"github.com/genie-sdk/go/internal/halt"
)

// batch implements [device.Batch]: that of the device, for groups that the device runs.
type batch struct {
	code   *code
	own    device.Batch
	runs   []device.Run // of the device
	failed []error      // by run
}

// Scratch implements [device.Batch].
func (b *batch) Scratch(rows int) int { return b.own.Scratch(rows) }

// Start implements [device.Batch].
func (b *batch) Start(i int, runs []device.Run, scratch device.Buffer) {
	b.runs, b.failed = b.runs[:0], b.failed[:0]
	for _, x := range runs {
		r := x.(*run)
		b.runs, b.failed = append(b.runs, r.primary), append(b.failed, r.join(i))
	}
	b.own.Start(b.code.at[i], b.runs, scratch.(*buffer).own)
}

// join prepares a run for a product with others.
func (r *run) join(i int) (err error) {
	defer device.Recovered(&err)
	if r.lacks(i, onDevice) {
		if _, err := r.flush(i); err != nil {
			return err
		}
		if err := r.bring(i, onDevice); err != nil {
			return err
		}
	}
	r.writes(i, onDevice)
	r.queued = true
	return nil
}

// Continue implements [device.Batch].
func (b *batch) Continue(h halt.Func) (done bool, err error) { return b.own.Continue(h) }

// Fault implements [device.Batch].
func (b *batch) Fault(k int) error {
	own := b.own.Fault(k)
	if err := b.failed[k]; err != nil {
		b.failed[k] = nil
		return err
	}
	return own
}

// Each implements [device.Batch].
func (b *batch) Each(from, n int, h halt.Func, f func(i int)) (to int) {
	return b.own.Each(from, n, h, f)
}

// Drop implements [device.Batch].
func (b *batch) Drop(k int) {
	b.own.Drop(k)
	b.runs, b.failed = slices.Delete(b.runs, k, k+1), slices.Delete(b.failed, k, k+1)
}
