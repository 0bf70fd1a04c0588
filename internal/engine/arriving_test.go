package engine

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/budget"
	"github.com/genie-sdk/go/internal/device"
	"github.com/genie-sdk/go/internal/device/cpu"
	"github.com/genie-sdk/go/internal/device/opaque"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// moves copies a value that leaves a session into one that arrives, in pieces.
func moves(t *testing.T, d *Departing, a *Arriving, piece int) {
	t.Helper()
	defer d.Close()
	v, err := d.Tensor()
	require.NoError(t, err)
	require.Len(t, v.Data, int(a.Size()))
	for at := 0; at < len(v.Data); at += piece {
		require.NoError(t, a.Write(v.Data[at:min(at+piece, len(v.Data))], int64(at)))
	}
	require.NoError(t, a.Arrived(context.Background()))
}

// TestMovedRows sends carried state, a few rows at a time, to a session of another
// engine, which continues from it as the first one does.
func TestMovedRows(t *testing.T) {
	for name, open2 := range map[string]device.Open{"cpu": cpu.Open, "opaque": opaque.Open} {
		t.Run(name, func(t *testing.T) {
			ctx := context.Background()
			from, to := open(t, Options{Device: open2, Threads: 1}), open(t, Options{Device: cpu.Open, Threads: 1})
			const rows = 150
			for _, step := range []int{1, 3, 7, 64, rows} {
				s, r := from.NewSession(), to.NewSession()
				prog, err := from.Compile(appendPlan())
				require.NoError(t, err)
				require.NoError(t, appendsAndReads(s, prog, 0, rows))
				for at := 0; at < rows; at += step {
					stop := min(at+step, rows)
					d, err := s.DepartRows(ctx, "rows", 1, at, stop)
					require.NoError(t, err)
					a, err := r.Expect(ctx, transport.TicketSpec{DType: plan.F32, Shape: []int{1, stop - at, 2}, State: "rows", Axis: 1, Start: at})
					require.NoError(t, err)
					moves(t, d, a, 7)
				}
				other, err := to.Compile(appendPlan())
				require.NoError(t, err)
				require.NoError(t, appendsAndReads(r, other, rows, 5))
				require.NoError(t, appendsAndReads(s, prog, rows, 5), "the sender keeps its state")

				// Rows that overwrite: the same ones again.
				d, err := s.DepartRows(ctx, "rows", 1, 10, 90)
				require.NoError(t, err)
				a, err := r.Expect(ctx, transport.TicketSpec{DType: plan.F32, Shape: []int{1, 80, 2}, State: "rows", Axis: 1, Start: 10})
				require.NoError(t, err)
				moves(t, d, a, 1<<20)
				require.NoError(t, appendsAndReads(r, other, rows+5, 1))
				s.Close()
				r.Close()
				require.Zero(t, from.Memory().Held()[budget.Retained])
				require.Zero(t, to.Memory().Held()[budget.Retained])
			}
		})
	}
}

// TestMovedRowsShared overwrites rows in a session whose pages another one shares:
// the other one keeps its own.
func TestMovedRowsShared(t *testing.T) {
	ctx := context.Background()
	e := open(t, Options{Device: opaque.Open, Threads: 1})
	prog, err := e.Compile(appendPlan())
	require.NoError(t, err)
	s, r := e.NewSession(), e.NewSession()
	require.NoError(t, appendsAndReads(s, prog, 0, 10))
	require.NoError(t, r.ShareState(s))
	a, err := r.Expect(ctx, transport.TicketSpec{DType: plan.F32, Shape: []int{1, 2, 2}, State: "rows", Axis: 1, Start: 3})
	require.NoError(t, err)
	require.NoError(t, a.Write(f32(-1, -2, -3, -4), 0))
	require.NoError(t, a.Arrived(ctx))
	require.NoError(t, appendsAndReads(s, prog, 10, 3))
	d, err := r.DepartRows(ctx, "rows", 1, 2, 6)
	require.NoError(t, err)
	v, err := d.Tensor()
	require.NoError(t, err)
	require.Equal(t, f32(4, 5, -1, -2, -3, -4, 10, 11), v.Data)
	d.Close()
	s.Close()
	r.Close()
}

// TestArrivingWaits runs a call that waits for its input, and ends what will not
// arrive.
func TestArrivingWaits(t *testing.T) {
	ctx := context.Background()
	e := open(t, Options{Device: cpu.Open, Threads: 1, MemLimit: 1 << 20})
	s := e.NewSession()
	spec := transport.TicketSpec{DType: plan.F32, Shape: []int{3}}
	a, err := s.Expect(ctx, spec)
	require.NoError(t, err)
	require.True(t, s.Coming(a.Handle()))
	_, err = s.Read(a.Handle())
	require.ErrorIs(t, err, transport.ErrTicket)
	waited := make(chan error, 1)
	go func() { waited <- s.Await(ctx, transport.Handle{}, a.Handle()) }()
	require.NoError(t, a.Write(f32(1, 2), 0))
	require.ErrorIs(t, a.Write(f32(1, 2), 8), transport.ErrTicket)
	require.NoError(t, a.Write(f32(3), 8))
	require.NoError(t, a.Arrived(ctx))
	require.NoError(t, <-waited)
	v, err := s.Read(a.Handle())
	require.NoError(t, err)
	require.Equal(t, f32(1, 2, 3), v.Data)
	require.ErrorIs(t, a.Write(f32(1), 0), transport.ErrTicket)
	require.ErrorIs(t, a.Arrived(ctx), transport.ErrTicket)

	a, err = s.Expect(ctx, spec)
	require.NoError(t, err)
	short, cancel := context.WithTimeout(ctx, time.Millisecond)
	defer cancel()
	require.ErrorIs(t, s.Await(short, a.Handle()), context.DeadlineExceeded)
	go func() { waited <- s.Await(ctx, a.Handle()) }()
	s.Release(a.Handle())
	if err := <-waited; err != nil { // it may have looked after the release
		require.ErrorIs(t, err, transport.ErrTicket)
	}
	require.ErrorIs(t, a.Write(f32(1), 0), transport.ErrTicket)

	a, err = s.Expect(ctx, spec)
	require.NoError(t, err)
	go func() { waited <- s.Await(ctx, a.Handle()) }()
	s.Close()
	t.Log("the call that waited:", <-waited) // it may have looked before or after the end
	require.Error(t, a.Write(f32(1), 0))
	_, err = s.Expect(ctx, spec)
	require.ErrorIs(t, err, transport.ErrClosed)
	s = e.NewSession()
	_, err = s.Expect(ctx, transport.TicketSpec{DType: plan.F32, Shape: []int{1 << 20}})
	require.ErrorIs(t, err, transport.ErrMemory)
	s.Close()
}

// TestRowsThatDoNotFit refuses rows that the state of a session does not fit.
func TestRowsThatDoNotFit(t *testing.T) {
	ctx := context.Background()
	e := open(t, Options{Device: cpu.Open, Threads: 1})
	prog, err := e.Compile(appendPlan())
	require.NoError(t, err)
	s := e.NewSession()
	require.NoError(t, appendsAndReads(s, prog, 0, 4))
	for name, spec := range map[string]transport.TicketSpec{
		"a gap":         {DType: plan.F32, Shape: []int{1, 1, 2}, State: "rows", Axis: 1, Start: 5},
		"a type":        {DType: plan.I32, Shape: []int{1, 1, 2}, State: "rows", Axis: 1, Start: 4},
		"a width":       {DType: plan.F32, Shape: []int{1, 1, 3}, State: "rows", Axis: 1, Start: 4},
		"an axis":       {DType: plan.F32, Shape: []int{1, 4, 2}, State: "rows", Axis: 2, Start: 0},
		"a rank":        {DType: plan.F32, Shape: []int{1, 2}, State: "rows", Axis: 1, Start: 4},
		"a mode":        {DType: plan.F32, Shape: []int{1, 4, 2}, State: "rows", Mode: plan.StateWrite, Axis: -1},
		"no such state": {DType: plan.F32, Shape: []int{1, 4, 2}, State: "other", Mode: plan.StateWrite, Axis: 1},
	} {
		a, err := s.Expect(ctx, spec)
		require.NoError(t, err, name)
		require.ErrorIs(t, a.Arrived(ctx), transport.ErrState, name)
		s.Release(a.Handle())
	}
	for _, rows := range [][3]int{{0, 0, 1}, {1, 3, 2}, {1, 0, 5}, {1, -1, 2}, {3, 0, 1}} {
		_, err := s.DepartRows(ctx, "rows", rows[0], rows[1], rows[2])
		require.ErrorIs(t, err, transport.ErrShape, "%v", rows)
	}
	_, err = s.DepartRows(ctx, "other", 1, 0, 1)
	require.ErrorIs(t, err, transport.ErrState)
	require.NoError(t, appendsAndReads(s, prog, 4, 4), "the state is as before")
	s.Close()
}
