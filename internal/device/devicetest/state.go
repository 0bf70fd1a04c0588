package devicetest

import (
	"context"
	"fmt"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/budget"
	"github.com/genie-sdk/go/internal/device"
	"github.com/genie-sdk/go/internal/engine"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// The sizes of [fixture.cached].
const (
	cacheBatch = 2
	cacheHeads = 3
	cacheDim   = 5
)

// cached is attention over a cache of keys and one of values, [batch, heads,
// rows, dim] or, with turned, [batch, rows, heads, dim]. With whole the keys
// are an output, so that they cannot be stored in pages.
func (f *fixture) cached(turned, whole bool) *plan.Plan {
	f.Helper()
	b := f.plan(fmt.Sprintf("cached %v %v", turned, whole))
	axis, dims := 2, func(rows string) []any { return []any{cacheBatch, cacheHeads, rows, cacheDim} }
	heads := func(v int) int { return v }
	if turned {
		axis, dims = 1, func(rows string) []any { return []any{cacheBatch, rows, cacheHeads, cacheDim} }
		heads = func(v int) int { return b.step("transpose", perm(0, 2, 1, 3), v) }
	}
	q, k, v := b.in(plan.F32, dims("new")...), b.in(plan.F32, dims("new")...), b.in(plan.F32, dims("new")...)
	pastK, pastV := b.state(dims("past")...), b.state(dims("past")...)
	keys, values := b.append(axis, pastK, k), b.append(axis, pastV, v)
	s := b.step("matmul", matmul(false, true), heads(q), heads(keys))
	s = b.step("mul", nil, s, b.constant(plan.F32, []byte{0, 0, 0, 0x3f}, 1))
	s = b.step("softmax", plan.Attrs{plan.Int("axis", -1)}, b.step("causal_mask", plan.Attrs{plan.Int("window", 0)}, s))
	b.out(plan.Download, b.step("matmul", matmul(false, false), s, heads(values)))
	if whole {
		b.out(plan.Download, keys)
	}
	return b.done()
}

// rows is the call that appends n rows to past.
func rows(past, n int, seed uint64) call {
	size := cacheBatch * cacheHeads * cacheDim * n
	return call{plan.Bindings{"new": n, "past": past}, [][]byte{floats(size, seed+uint64(past)), floats(size, seed+uint64(past)+1), floats(size, seed+uint64(past)+2)}}
}

// testAppended appends to states along each axis, from empty and beyond every
// capacity.
func testAppended(f *fixture) {
	e := f.engine(nil)
	for axis := range 3 {
		b := f.plan("append")
		dims, more := []any{3, 5, 2}, []any{3, 5, 2}
		dims[axis], more[axis] = "past", "new"
		all := b.append(axis, b.state(dims...), b.in(plan.F32, more...))
		b.out(plan.Download, b.step("reduce", reduce("sum", false, axis), all), all)
		past, each := 0, 30/[]int{3, 5, 2}[axis]
		var calls []call
		for _, n := range []int{0, 1, 3, 64, 1, 0, 300, 7} {
			calls = append(calls, call{plan.Bindings{"past": past, "new": n}, [][]byte{floats(n*each, uint64(past))}})
			past += n
		}
		f.check(e, fmt.Sprint("append along ", axis), b.done(), nil, calls...)
	}
}

// testPages appends to caches stored in pages, with any number of rows in each,
// reads them by a plan that needs them in one piece, and continues in pages.
func testPages(f *fixture) {
	appended := []int{3, 1, 1, 5, 1, 130, 1, 150, 1, 2, 300, 1}
	if f.opts.Slow { // two pages of up to 256 rows
		appended = []int{3, 1, 1, 5, 1, 70, 1, 130, 1, 2, 60, 1}
	}
	for _, turned := range []bool{false, true} {
		e := f.engine(nil)
		paged, whole := f.cached(turned, false), f.cached(turned, true)
		s := f.session(e, paged, nil)
		ref, err := newReference(paged, nil)
		require.NoError(f, err)
		tapped, err := newReference(whole, nil)
		require.NoError(f, err)
		require.Equal(f, []bool{true, true}, s.prog.Paged)
		two := f.session(e, whole, nil)
		two.s.Close()
		two.s = s.s
		past := 0
		for i, n := range appended {
			c, now, by := rows(past, n, 7), s, ref
			if i == 4 || i == 8 {
				now, by = two, tapped
				tapped.states = ref.states
			}
			want, err := by.run(c.sizes, c.in)
			require.NoError(f, err)
			ref.states = by.states
			for k, got := range now.run(c.sizes, c.in...) {
				f.requireNear(want[k], got, fmt.Sprintf("turned %v, %d rows after %d", turned, n, past))
			}
			past += n
		}
		s.s.Reset()
		c := rows(0, 3, 1)
		s.run(c.sizes, c.in...)
		s.s.Close()
		require.Zero(f, e.Memory().Held()[budget.State])
	}
}

// testCopyOnWrite shares a cache among sessions, which all continue it
// concurrently with their own rows.
func testCopyOnWrite(f *fixture) {
	e := f.engine(nil)
	p := f.cached(false, false)
	prefix := 301
	if f.opts.Slow {
		prefix = 133
	}
	first := f.session(e, p, nil)
	c := rows(0, prefix, 1)
	first.run(c.sizes, c.in...)
	held := e.Memory().Held()[budget.State]
	const sharers = 3
	var sessions []*session
	for range sharers {
		s := f.session(e, p, nil)
		require.NoError(f, s.s.ShareState(first.s))
		sessions = append(sessions, s)
	}
	require.Equal(f, held, e.Memory().Held()[budget.State], "what is shared is there once")
	sessions = append(sessions, first)
	f.together(len(sessions), func(i int) {
		s := sessions[i]
		ref, err := newReference(p, nil)
		require.NoError(f, err)
		_, err = ref.run(c.sizes, c.in)
		require.NoError(f, err)
		past := prefix
		for _, n := range []int{1, 2, 9, 1} {
			c := rows(past, n, uint64(1000*i))
			want, err := ref.run(c.sizes, c.in)
			require.NoError(f, err)
			got, _, err := s.try(context.Background(), c.sizes, data(c.in...)...)
			require.NoError(f, err)
			f.requireNear(want[0], got[0], fmt.Sprintf("session %d, %d rows after %d", i, n, past))
			past += n
		}
		s.s.Close()
	})
	require.Zero(f, e.Memory().Held()[budget.State])
}

// testWrittenAndReplaced has states that are written in place and replaced: by
// computed values, by each other, and by their own transposes.
func testWrittenAndReplaced(f *fixture) {
	e := f.engine(nil)
	b := f.plan("written")
	ring, rows, at := b.state(9, 5), b.in(plan.F32, "n", 5), b.in(plan.I64, 1)
	before := b.step("reduce", reduce("sum", false, 0), ring)
	after := b.step("write_rows", plan.Attrs{plan.Int("axis", 0)}, ring, rows, at)
	b.carry(plan.StateWrite, ring, after, 0)
	b.out(plan.Download, before, b.step("reduce", reduce("max", false, 1), after), after)
	p := b.done()
	pos := func(n int) []byte { return []byte{byte(n), 0, 0, 0, 0, 0, 0, 0} }
	f.check(e, "written", p, nil,
		call{plan.Bindings{"n": 2}, [][]byte{floats(10, 1), pos(0)}}, call{plan.Bindings{"n": 3}, [][]byte{floats(15, 2), pos(6)}},
		call{plan.Bindings{"n": 0}, [][]byte{{}, pos(9)}}, call{plan.Bindings{"n": 9}, [][]byte{floats(45, 3), pos(0)}})
	s := f.session(e, p, nil)
	_, _, err := s.try(context.Background(), plan.Bindings{"n": 2}, data(floats(10, 1), pos(8))...)
	if !f.opts.Zeros {
		require.ErrorIs(f, err, transport.ErrShape)
	}
	s.s.Close()

	b = f.plan("replaced")
	x, sum, one, two := b.in(plan.F32, 7), b.state(7), b.state(3, 4), b.state(3, 4)
	b.carry(plan.StateReplace, sum, b.step("add", nil, sum, x), 0)
	b.carry(plan.StateReplace, one, two, 0) // they swap
	b.carry(plan.StateReplace, two, b.step("add", nil, one, b.constant(plan.F32, floats(12, 1), 3, 4)), 0)
	b.out(plan.Download, sum, one, two)
	var calls []call
	for i := range 4 {
		calls = append(calls, call{in: [][]byte{floats(7, uint64(i))}})
	}
	f.check(e, "replaced", b.done(), nil, calls...)
	f.testCrossed(e)

	b = f.plan("overwritten") // one state becomes the old value of another
	ring, last := b.state(9, 5), b.state(9, 5)
	after = b.step("write_rows", plan.Attrs{plan.Int("axis", 0)}, ring, b.in(plan.F32, "n", 5), b.in(plan.I64, 1))
	b.carry(plan.StateWrite, ring, after, 0)
	b.carry(plan.StateReplace, last, ring, 0)
	_, err = e.Compile(b.out(plan.Download, last).done())
	require.ErrorIs(f, err, transport.ErrInvalidPlan)
}

// testCrossed gives states each other's values, and their own transposes.
func (f *fixture) testCrossed(e *engine.Engine) {
	f.Helper()
	b := f.plan("filled")
	for range 3 {
		st := b.state(5, 5)
		b.carry(plan.StateReplace, st, b.step("add", nil, st, b.in(plan.F32, 5, 5)), 0)
		b.out(plan.Download, st)
	}
	fill := f.session(e, b.done(), nil)
	b = f.plan("crossed")
	left, right, square := b.state(5, 5), b.state(5, 5), b.state(5, 5)
	b.carry(plan.StateReplace, left, right, 0)
	b.carry(plan.StateReplace, right, left, 0)
	b.carry(plan.StateReplace, square, b.step("transpose", perm(1, 0), square), 0)
	b.out(plan.Download, left, right, square)
	cross := f.session(e, b.done(), nil)
	cross.s.Close()
	cross.s = fill.s
	defer fill.s.Close()
	one, err := newReference(fill.plan, nil)
	require.NoError(f, err)
	two, err := newReference(cross.plan, nil)
	require.NoError(f, err)
	for i := range 6 {
		s, ref, in := fill, one, [][]byte{floats(25, uint64(i)), floats(25, uint64(i)+7), floats(25, uint64(i)+9)}
		if i%3 > 0 {
			s, ref, in = cross, two, nil
		}
		want, err := ref.run(nil, in)
		require.NoError(f, err)
		one.states, two.states = ref.states, ref.states
		for k, got := range s.run(nil, in...) {
			f.requireNear(want[k], got, fmt.Sprintf("run %d, state %d", i, k))
		}
	}
}

// testRetained retains values on the device, reads them and feeds them back.
func testRetained(f *fixture) {
	d, err := f.open(device.Options{Threads: 1})
	require.NoError(f, err)
	info := d.Info()
	d.Close()
	e := f.engine(nil)
	b := f.plan("retained")
	x := b.in(plan.F32, "n", 7)
	y := b.step("add", nil, x, x)
	b.out(plan.Retain, y, b.step("transpose", perm(1, 0), y), x)
	s := f.session(e, b.done(), nil)
	ref, err := newReference(s.plan, nil)
	require.NoError(f, err)
	in := floats(21, 1)
	sizes := plan.Bindings{"n": 3}
	var last transport.Handle
	for i := range 4 {
		want, err := ref.run(sizes, [][]byte{in})
		require.NoError(f, err)
		from := input{data: in}
		if i > 0 {
			from = input{handle: last}
		}
		_, handles, err := s.try(context.Background(), sizes, from)
		require.NoError(f, err)
		for k, h := range handles {
			held := e.Memory().Held()[budget.Retained]
			for range 2 {
				got, err := s.s.Read(h)
				require.NoError(f, err)
				f.requireNear(want[k], got, "retained")
				if !info.HostAddressable {
					require.Equal(f, held+int64(len(got.Data)), e.Memory().Held()[budget.Retained], "a copy counts, once")
				}
			}
		}
		s.s.Release(last, handles[1])
		_, err = s.s.Read(handles[1])
		require.ErrorIs(f, err, transport.ErrStaleHandle)
		last, in = handles[0], append([]byte(nil), want[0].Data...)
	}
	s.s.Close()
	require.Zero(f, e.Memory().Held()[budget.Retained])
}

// testReleasedInUse releases a value between the call that has it as input and
// its run.
func testReleasedInUse(f *fixture) {
	e := f.engine(func(o *engine.Options) { o.Threads = 1 })
	b := f.plan("retained")
	x := b.in(plan.F32, 257, 7)
	b.out(plan.Retain, b.step("add", nil, x, x))
	s := f.session(e, b.done(), nil)
	ref, err := newReference(s.plan, nil)
	require.NoError(f, err)
	in := floats(257*7, 1)
	want, err := ref.run(nil, [][]byte{in})
	require.NoError(f, err)
	want, err = ref.run(nil, [][]byte{want[0].Data})
	require.NoError(f, err)
	_, handles, err := s.try(context.Background(), nil, data(in)...)
	require.NoError(f, err)
	c, err := s.call(context.Background(), nil, []input{{handle: handles[0]}})
	require.NoError(f, err)
	defer c.Release()
	s.s.Release(handles[0])
	require.NotZero(f, e.Memory().Held()[budget.Retained], "it is used")
	require.NoError(f, c.Run(context.Background()))
	_, h := c.Output(0)
	c.Release()
	got, err := s.s.Read(h)
	require.NoError(f, err)
	f.requireNear(want[0], got, "released in use")
	s.s.Close()
	require.Zero(f, e.Memory().Held()[budget.Retained])
}
