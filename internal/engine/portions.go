package engine

import (
	"context"
	"fmt"

	"github.com/genie-sdk/go/internal/device"
	"github.com/genie-sdk/go/internal/program"
	"github.com/genie-sdk/go/transport"
)

// A run over many rows, such as a prefill, is made in portions while other
// sessions decode: each portion rides in a dynamic batch of their steps, see
// [ride], and appends its rows to the session's state. The session's turn is
// held from the first portion to the last, so that nobody sees the state in
// between, and a run that fails has added no rows.

// portions is the progress of a run that is made in portions.
type portions struct {
	on     bool   // the run is made in portions
	total  int    // rows of the run
	done   int    // rows that are in the state
	past   int    // rows of the state before the run
	each   int    // rows of products for each row of the run
	sizes  []int  // bindings of the portion
	inputs []rows // by input: what the run was given
	mem    []byte // for the inputs of a portion
}

// rows is an input with rows: some pieces, one behind the other, each of which
// has all rows.
type rows struct {
	data   []byte
	pieces int
	size   int // bytes of a row in a piece; 0 for an input without rows
}

// Turn lets a run, or a portion of one, begin when it is its turn. batched says
// that it runs in a dynamic batch, with calls of the same [Program.Batch].
type Turn func(ctx context.Context, batched bool, run func(ctx context.Context) error) error

// Run is [Call.RunInTurns] without turns.
func (c *Call) Run(ctx context.Context) error {
	return c.RunInTurns(ctx, func(ctx context.Context, _ bool, run func(ctx context.Context) error) error { return run(ctx) })
}

// RunInTurns runs the program: in a dynamic batch with concurrent calls of other
// sessions where it has products of few rows, see [Options.MaxBatch], and in
// portions that take part in such batches where it has many, while there are
// any. It asks turn for each.
//
// When ctx is done it stops within milliseconds, in the middle of a step if need
// be, and the error wraps the cause of ctx. State keeps its value, except for
// state written in place: the interrupted step may have corrupted it, so that it
// is lost.
func (c *Call) RunInTurns(ctx context.Context, turn Turn) error {
	c.elapsed = 0
	done := false
	defer func() {
		if !done {
			c.undo()
		}
	}()
	for {
		n, err := c.next(ctx)
		if err != nil {
			return err
		}
		if n == 0 {
			break
		}
		last := c.parts.done+n == c.parts.total
		if err := turn(ctx, true, func(ctx context.Context) error { return c.perform(ctx, true, last) }); err != nil {
			return err
		}
		c.s.e.portions.Add(1)
		if c.parts.done += n; last {
			done = true
			return nil
		}
	}
	if err := turn(ctx, c.Gathers(), c.b.runWhole); err != nil {
		return err
	}
	done = true
	return nil
}

// next binds the next portion and returns its rows; 0 means that the rest is to
// run whole, and is bound.
func (c *Call) next(ctx context.Context) (rows int, err error) {
	defer c.s.guard(&err)
	t, d := c.b.prog.batching, c.b.prog.division
	if d == nil || !c.parts.on && c.Gathers() {
		return 0, nil
	}
	budget := t.batcher.portion()
	if !c.parts.on && (budget == 0 || !c.divide()) {
		return 0, nil
	}
	left := c.parts.total - c.parts.done
	if budget == 0 {
		return 0, c.bindRows(ctx, left)
	}
	n := min(max(budget/c.parts.each, 1), left)
	if err := c.bindRows(ctx, n); err != nil {
		return 0, err
	}
	if c.b.bound.Apart(t.joint) > jointApart { // the others would wait for it
		return 0, c.bindRows(ctx, left)
	}
	c.b.batchCall.rows = c.productRows()
	return n, nil
}

// divide begins a run in portions, if the call can be divided.
func (c *Call) divide() bool {
	b, d, x := c.b, c.b.prog.division, &c.parts
	bindings := b.bound.Bindings()
	x.total, x.past, x.done = bindings[d.Rows], bindings[d.Past], 0
	if x.total < 2 || !d.Begun(b.prog.Plan(), func(i int) []byte { return b.place.Inputs[i].Data }, x.past) {
		return false
	}
	if x.inputs == nil {
		x.inputs = make([]rows, len(d.Inputs))
	}
	size := 0
	for i, axis := range d.Inputs {
		x.inputs[i] = rows{}
		if axis < 0 {
			continue
		}
		v := b.prog.Plan().Inputs[i].Value
		n := b.bound.Bytes(v)
		data := b.place.Inputs[i].Data
		if n == 0 || len(data) != n {
			return false // nothing, or memory of the device
		}
		pieces := 1
		for _, k := range b.bound.Shape(v)[:axis] {
			pieces *= k
		}
		x.inputs[i] = rows{data: data, pieces: pieces, size: n / pieces / x.total}
		size += program.Align(n)
	}
	mem, err := c.s.e.host.get(max(size, 1))
	if err != nil {
		return false
	}
	x.mem, x.each = mem, max(c.productRows()/x.total, 1)
	x.sizes = append(x.sizes[:0], bindings...)
	x.on = true
	return true
}

// bindRows binds the call to the next n rows.
func (c *Call) bindRows(ctx context.Context, n int) error {
	b, d, x := c.b, c.b.prog.division, &c.parts
	x.sizes[d.Rows], x.sizes[d.Past] = n, x.past+x.done
	if err := b.bind(ctx, c.s, x.sizes); err != nil {
		return err
	}
	at := 0
	for i := range x.inputs {
		in := &x.inputs[i]
		if in.size == 0 {
			continue
		}
		part := x.mem[at:][:in.pieces*n*in.size]
		for k := range in.pieces {
			copy(part[k*n*in.size:][:n*in.size], in.data[(k*x.total+x.done)*in.size:])
		}
		b.place.Inputs[i] = device.Input{Data: part}
		at += program.Align(len(part))
	}
	return nil
}

// fits reports whether the memory of the whole run is enough for a portion.
func (b *binding) fits() error {
	if len(b.growing) > 0 || b.bound.Total > b.call.arena.Len() {
		return fmt.Errorf("%w: a portion of a run needs more memory than the run", transport.ErrInternal)
	}
	return nil
}

// appendRows makes the rows that a portion has written part of the state.
func (c *Call) appendRows() {
	for i := range c.b.prog.Plan().States {
		d, st := &c.b.prog.Plan().States[i], c.b.states[i]
		st.shape[d.Axis] = c.b.bound.Shape(d.Out)[d.Axis]
	}
}

// undo removes the rows that portions of a run have appended.
func (c *Call) undo() {
	if !c.parts.on {
		return
	}
	for i := range c.b.prog.Plan().States {
		if st := c.b.states[i]; st != nil {
			st.shape[c.b.prog.Plan().States[i].Axis] = c.parts.past
		}
	}
}

// free gives back the memory for inputs of portions.
func (x *portions) free(e *Engine) {
	if x.mem != nil {
		e.host.put(x.mem)
		x.mem = nil
	}
	x.on = false
	clear(x.inputs)
}
