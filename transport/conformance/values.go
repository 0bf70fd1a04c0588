package conformance

import (
	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

func testValues(f *fixture) {
	s := f.session()
	ref := f.prepare(s, plainAffine())
	res := f.run(s, ref, []int{2}, data(plan.CauseActivation, floats(1, 0, 1, 1)))
	require.Len(f, res.Outputs, 1)
	out := res.Outputs[0]
	require.True(f, out.Handle.IsZero())
	require.Equal(f, plan.F32, out.Tensor.DType)
	require.Equal(f, []int{2, 3}, out.Tensor.Shape)
	require.Equal(f, []float32{11, 22, 33, 15, 27, 39}, toFloats(out.Tensor.Data))
	require.Positive(f, res.Elapsed)

	// Results belong to the caller: another run leaves them unchanged.
	f.run(s, ref, []int{2}, data(plan.CauseActivation, floats(0, 0, 0, 0)))
	require.Equal(f, []float32{11, 22, 33, 15, 27, 39}, toFloats(out.Tensor.Data))
}

func testShapes(f *fixture) {
	s := f.session()
	ref := f.prepare(s, plainAffine())
	for _, rows := range []int{1, 3, 2, 0, 17} {
		res := f.run(s, ref, []int{rows}, data(plan.CauseActivation, make([]byte, 8*rows)))
		require.Equal(f, []int{rows, 3}, res.Outputs[0].Tensor.Shape)
		require.Len(f, res.Outputs[0].Tensor.Data, 12*rows)
	}

	b := newBuilder("lookup")
	n := plan.Sym("n")
	ids := b.input("ids", i32(n))
	e := b.step("embedding", f32(n, plan.C(2)), nil, b.weight("table", plan.F32, floats(0, 1, 10, 11, 20, 21), 3, 2), ids)
	top := b.step("argmax", i32(n), plan.Attrs{plan.Int("axis", 1)}, e)
	b.output("rows", e, plan.Download, plan.CauseActivation)
	b.output("top", top, plan.Download, plan.CauseToken)
	ref = f.prepare(s, b)
	res := f.run(s, ref, []int{3}, data(plan.CauseToken, ints(2, 0, 2)))
	require.Equal(f, []float32{20, 21, 0, 1, 20, 21}, toFloats(res.Outputs[0].Tensor.Data))
	require.Equal(f, plan.I32, res.Outputs[1].Tensor.DType)
	require.Equal(f, []int{3}, res.Outputs[1].Tensor.Shape)
	require.Equal(f, ints(1, 1, 1), res.Outputs[1].Tensor.Data)
}

func testStorage(f *fixture) {
	s := f.session()
	ref := f.prepare(s, affine(plan.BF16, halves(1, 2, 3, 4, 5, 6)))
	res := f.run(s, ref, []int{1}, data(plan.CauseActivation, floats(1, 1)))
	require.Equal(f, []float32{15, 27, 39}, toFloats(res.Outputs[0].Tensor.Data))
}

// testLargeTensors moves tensors that do not fit one frame or message, with
// sizes around those of frames.
func testLargeTensors(f *fixture) {
	b := newBuilder("double")
	n := plan.Sym("n")
	x := b.input("x", f32(n))
	y := b.input("y", f32(n))
	b.output("sum", b.step("add", f32(n), nil, x, y), plan.Download, plan.CauseActivation)
	b.output("again", b.step("mul", f32(n), nil, x, y), plan.Download, plan.CauseLogits)
	s := f.session()
	ref := f.prepare(s, b)
	for _, n := range []int{511, 512, 513, 1 << 17, 1<<17 + 1, 3<<20 + 5} {
		x, y := ramp(n, 1), ramp(n, 3)
		res := f.run(s, ref, []int{n}, data(plan.CauseActivation, floats(x...)), data(plan.CauseKV, floats(y...)))
		sum, product := toFloats(res.Outputs[0].Tensor.Data), toFloats(res.Outputs[1].Tensor.Data)
		require.Len(f, sum, n)
		for i := range x {
			if sum[i] != x[i]+y[i] || product[i] != x[i]*y[i] {
				require.Failf(f, "wrong element", "%d of %d", i, n)
			}
		}
	}
}

func testProgress(f *fixture) {
	b := newBuilder("big")
	const n = 1 << 19
	x := b.input("x", f32(plan.C(n)))
	w := b.weight("w", plan.F32, floats(ramp(n, 2)...), n)
	v := b.weight("v", plan.F32, floats(ramp(n, 5)...), n)
	y := b.step("add", f32(plan.C(n)), nil, b.step("add", f32(plan.C(n)), nil, x, w), v)
	b.output("y", y, plan.Download, plan.CauseActivation)
	s := f.session()
	last := int64(-1)
	ref, err := s.Prepare(f.ctx, &b.p, b.weights, func(done, total int64) {
		require.EqualValues(f, 8*n, total)
		require.GreaterOrEqual(f, done, last)
		last = done
	})
	require.NoError(f, err)
	require.EqualValues(f, 8*n, last)
	res := f.run(s, ref, nil, data(plan.CauseActivation, make([]byte, 4*n)))
	require.InDelta(f, 9, toFloats(res.Outputs[0].Tensor.Data)[1], 0)

	// A second Prepare finds everything in place.
	_, err = s.Prepare(f.ctx, &b.p, nil, func(int64, int64) { require.Fail(f, "progress of nothing") })
	require.NoError(f, err)
}

func testKept(f *fixture) {
	keep := newBuilder("keep")
	n := plan.Sym("n")
	x := keep.input("x", f32(n))
	keep.output("twice", keep.step("add", f32(n), nil, x, x), plan.Retain, plan.CauseActivation)
	keep.output("square", keep.step("mul", f32(n), nil, x, x), plan.Download, plan.CauseActivation)
	s := f.session()
	ref := f.prepare(s, keep)
	first := f.run(s, ref, []int{3}, data(plan.CauseActivation, floats(1, 2, 3)))
	twice := first.Outputs[0]
	require.False(f, twice.Handle.IsZero())
	require.Nil(f, twice.Tensor.Data)
	require.Equal(f, []int{3}, twice.Tensor.Shape)
	require.Equal(f, []float32{1, 4, 9}, toFloats(first.Outputs[1].Tensor.Data))

	second := f.run(s, ref, []int{3}, transport.Input{Handle: twice.Handle, Cause: plan.CauseActivation})
	require.Equal(f, []float32{4, 16, 36}, toFloats(second.Outputs[1].Tensor.Data))
	for h, want := range map[transport.Handle][]float32{twice.Handle: {2, 4, 6}, second.Outputs[0].Handle: {4, 8, 12}} {
		got, err := s.Read(f.ctx, h)
		require.NoError(f, err)
		require.Equal(f, plan.F32, got.DType)
		require.Equal(f, []int{3}, got.Shape)
		require.Equal(f, want, toFloats(got.Data))
	}
	f.fails(transport.ErrShape, s, ref, []int{2}, transport.Input{Handle: twice.Handle})
	require.NoError(f, s.Release(f.ctx, twice.Handle))
	_, err := s.Read(f.ctx, second.Outputs[0].Handle)
	require.NoError(f, err)
}

func testStaleHandles(f *fixture) {
	b := newBuilder("keep")
	x := b.input("x", f32(plan.C(2)))
	b.output("y", b.step("add", f32(plan.C(2)), nil, x, x), plan.Retain, plan.CauseActivation)
	s := f.session()
	ref := f.prepare(s, b)
	in := data(plan.CauseActivation, floats(1, 2))
	h := f.run(s, ref, nil, in).Outputs[0].Handle

	other := f.session()
	otherRef := f.prepare(other, b)
	stranger := f.open(f.T)
	defer func() { require.NoError(f, stranger.Close()) }()
	far, err := stranger.NewSession(f.ctx)
	require.NoError(f, err)
	for name, use := range map[string]struct {
		s transport.Session
		h transport.Handle
	}{
		"another session":       {other, h},
		"another executor":      {far, h},
		"another epoch":         {s, transport.Handle{Session: h.Session, ID: h.ID, Epoch: h.Epoch + 1, Generation: h.Generation}},
		"another generation":    {s, transport.Handle{Session: h.Session, ID: h.ID, Epoch: h.Epoch, Generation: h.Generation + 1}},
		"an id never given out": {s, transport.Handle{Session: h.Session, ID: h.ID + 99, Epoch: h.Epoch, Generation: h.Generation}},
	} {
		_, err := use.s.Read(f.ctx, use.h)
		require.ErrorIs(f, err, transport.ErrStaleHandle, name)
		require.NoError(f, use.s.Release(f.ctx, use.h), name)
	}
	f.fails(transport.ErrStaleHandle, other, otherRef, nil, transport.Input{Handle: h})

	_, err = s.Read(f.ctx, h)
	require.NoError(f, err, "strangers must not release it")
	require.NoError(f, s.Release(f.ctx, h, h))
	_, err = s.Read(f.ctx, h)
	require.ErrorIs(f, err, transport.ErrStaleHandle)
	f.fails(transport.ErrStaleHandle, s, ref, nil, transport.Input{Handle: h})
	next := f.run(s, ref, nil, in).Outputs[0].Handle
	require.NotEqual(f, h, next, "a handle is never given out again")
}

// testTwoForms uses one weight in ways that an executor may store in two
// layouts.
func testTwoForms(f *fixture) {
	b := newBuilder("tied")
	x := b.input("x", f32(plan.C(1), plan.C(2)))
	content := floats(1, 2, 3, 4)
	w := b.weight("w", plan.F32, content, 2, 2)
	v := b.weight("v", plan.F32, content, 2, 2)
	b.output("xw", b.step("matmul", f32(plan.C(1), plan.C(2)), matmul(false), x, w), plan.Download, plan.CauseActivation)
	b.output("xvT", b.step("matmul", f32(plan.C(1), plan.C(2)), matmul(true), x, v), plan.Download, plan.CauseActivation)
	s := f.session()
	res := f.run(s, f.prepare(s, b), nil, data(plan.CauseActivation, floats(1, 10)))
	require.Equal(f, []float32{31, 42}, toFloats(res.Outputs[0].Tensor.Data))
	require.Equal(f, []float32{21, 43}, toFloats(res.Outputs[1].Tensor.Data))
}
