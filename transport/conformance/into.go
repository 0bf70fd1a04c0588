package conformance

import (
	"bytes"
	"context"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// testInto has results in memory of the caller: outputs of a run, and a retained
// value.
func testInto(f *fixture) {
	b := newBuilder("into")
	n := plan.Sym("n")
	x := b.input("x", f32(n))
	sum := b.step("add", f32(n), nil, x, x)
	b.output("sum", sum, plan.Download, plan.CauseActivation)
	b.output("square", b.step("mul", f32(n), nil, x, x), plan.Download, plan.CauseLogits)
	b.output("kept", b.step("sub", f32(n), nil, x, sum), plan.Retain, plan.CauseKV)
	s := f.session()
	ref := f.prepare(s, b)
	for _, n := range []int{1, 8191, 1<<17 + 1, 1<<20 + 3} {
		x := ramp(n, 1)
		var want [3][]float32
		for _, v := range x {
			want[0], want[1], want[2] = append(want[0], 2*v), append(want[1], v*v), append(want[2], -v)
		}
		call := transport.Call{
			Plan: ref, Bindings: []int{n}, Inputs: []transport.Input{data(plan.CauseActivation, floats(x...))},
			Into: [][]byte{make([]byte, 4*n), nil, nil},
		}
		start := f.ex.Ledger().Snapshot()
		res, err := s.Run(f.ctx, call)
		require.NoError(f, err)
		require.Equal(f, floats(want[0]...), res.Outputs[0].Tensor.Data)
		require.Equal(f, floats(want[1]...), res.Outputs[1].Tensor.Data)
		if got := res.Outputs[0].Tensor.Data; &got[0] == &call.Into[0][0] {
			require.Equal(f, floats(want[0]...), call.Into[0])
		}
		into := make([]byte, 4*n)
		f.readInto(s, res.Outputs[2].Handle, into, floats(want[2]...))
		if got := f.ex.Ledger().Snapshot().Sub(start); f.exact() {
			require.EqualValues(f, 4*n, got.Sent[plan.CauseActivation])
			require.EqualValues(f, 4*n, got.Received[plan.CauseActivation])
			require.EqualValues(f, 4*n, got.Received[plan.CauseLogits])
			require.EqualValues(f, 4*n, got.Received[plan.CauseKV])
		}
	}
	f.wrongInto(s, ref)
}

// readInto reads a retained value into memory, where the session can.
func (f *fixture) readInto(s transport.Session, h transport.Handle, into, want []byte) {
	r, ok := s.(transport.IntoReader)
	if !ok {
		got, err := s.Read(f.ctx, h)
		require.NoError(f, err)
		require.Equal(f, want, got.Data)
		return
	}
	got, err := r.ReadInto(f.ctx, h, into)
	require.NoError(f, err)
	require.Same(f, &into[0], &got.Data[0])
	require.Equal(f, want, into)
	_, err = r.ReadInto(f.ctx, h, make([]byte, len(into)+1))
	require.ErrorIs(f, err, transport.ErrShape)
	require.NoError(f, s.Release(f.ctx, h))
	_, err = r.ReadInto(f.ctx, h, into)
	require.ErrorIs(f, err, transport.ErrStaleHandle)
}

// wrongInto gives memory of wrong lengths, which is noticed before the run, and
// memory to a call that is cancelled.
func (f *fixture) wrongInto(s transport.Session, ref transport.PlanRef) {
	call := transport.Call{Plan: ref, Bindings: []int{2}, Inputs: []transport.Input{data(plan.CauseActivation, floats(1, 2))}}
	runs := f.stats().Runs
	for _, into := range [][][]byte{{make([]byte, 7), nil, nil}, {nil, make([]byte, 9), nil}, {{}, nil, nil}, {make([]byte, 8)}} {
		call.Into = into
		_, err := s.Run(f.ctx, call)
		require.ErrorIs(f, err, transport.ErrShape)
	}
	require.Equal(f, runs, f.stats().Runs)

	const n = 1 << 20
	call = transport.Call{
		Plan: ref, Bindings: []int{n}, Inputs: []transport.Input{data(plan.CauseActivation, make([]byte, 4*n))},
		Into: [][]byte{make([]byte, 4*n), make([]byte, 4*n), nil},
	}
	for range 10 {
		ctx, cancel := context.WithCancel(f.ctx)
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_, _ = s.Run(ctx, call) // it may have been faster than the cancelling
		}()
		cancel()
		<-ended
		for _, b := range call.Into[:2] { // the race detector sees a late write too
			for i := range b {
				b[i] = 0xA5
			}
		}
	}
	require.NoError(f, s.Reset(f.ctx))
	_, err := s.Run(f.ctx, transport.Call{Plan: ref, Bindings: []int{1}, Inputs: []transport.Input{data(plan.CauseActivation, floats(1))}})
	require.NoError(f, err)
	for _, b := range call.Into[:2] {
		require.Empty(f, bytes.Trim(b, "\xA5"))
	}
}
