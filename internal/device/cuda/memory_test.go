package cuda_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/device"
	"github.com/genie-sdk/go/internal/device/cuda"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// openStored opens a device on a driver that stores.
func openStored(t *testing.T, s *stored, o cuda.Options, of device.Options) device.Device {
	t.Helper()
	d, err := cuda.Open(s, 0, o)(of)
	require.NoError(t, err)
	t.Cleanup(func() {
		d.Close()
		require.True(t, s.open.closed)
	})
	return d
}

func draw(n int) []byte {
	b := make([]byte, n)
	r := rand.New(rand.NewPCG(uint64(n), 1))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// TestMemory copies to and from the device, in parts of all sizes.
func TestMemory(t *testing.T) {
	s := newStored()
	d := openStored(t, s, cuda.Options{}, device.Options{})
	ctx := context.Background()
	for _, n := range []int{0, 1, 255, 4096, 1 << 20, 1<<20 + 1, 5<<20 + 77} {
		data := draw(n)
		b, err := d.Alloc(ctx, device.UseScratch, n)
		require.NoError(t, err)
		require.Equal(t, n, b.Len())
		require.NoError(t, d.Upload(b, 0, data, nil))
		got, err := d.Bytes(b, n)
		require.NoError(t, err)
		require.True(t, bytes.Equal(data, got))
		if n > 100 {
			part := make([]byte, n-100)
			require.NoError(t, d.Download(part, b, 50, nil))
			require.True(t, bytes.Equal(data[50:n-50], part))
			require.NoError(t, d.Upload(b, 70, make([]byte, 20), nil))
			clear(data[70:90])
			got, err = d.Bytes(b, n)
			require.NoError(t, err)
			require.True(t, bytes.Equal(data, got))
		}
		d.Free(device.UseScratch, b)
	}
	d.Free(device.UseState, nil)
	state, err := d.Alloc(ctx, device.UseState, 5<<20)
	require.NoError(t, err)
	got, err := d.Bytes(state, 5<<20)
	require.NoError(t, err)
	require.True(t, bytes.Equal(make([]byte, 5<<20), got), "state begins as zeros")
	d.Free(device.UseState, state)
	ended, cancel := context.WithCancel(ctx)
	cancel()
	_, err = d.Alloc(ended, device.UseState, 1)
	require.ErrorIs(t, err, context.Canceled)
}

// TestTransferHalts stops transfers between two pieces.
func TestTransferHalts(t *testing.T) {
	d := openStored(t, newStored(), cuda.Options{}, device.Options{})
	const n = 8 << 20
	data := draw(n)
	b, err := d.Alloc(context.Background(), device.UseState, n)
	require.NoError(t, err)
	for stop := range 12 {
		asked := 0
		h := func() bool {
			asked++
			return asked > stop
		}
		require.NoError(t, d.Upload(b, 0, make([]byte, n), nil))
		require.NoError(t, d.Upload(b, 0, data, h))
		got, err := d.Bytes(b, n)
		require.NoError(t, err)
		came := min(stop, 8) << 20
		require.True(t, bytes.Equal(data[:came], got[:came]))
		require.True(t, bytes.Equal(make([]byte, n-came), got[came:]), "after %d", stop)
		require.NoError(t, d.Upload(b, 0, data, nil))
		asked = 0
		part := make([]byte, n)
		require.NoError(t, d.Download(part, b, 0, h))
		require.True(t, bytes.Equal(data[:came], part[:came]))
		require.True(t, bytes.Equal(make([]byte, n-came), part[came:]), "after %d", stop)
	}
	d.Free(device.UseState, b)
}

// TestMemoryIsReused repeats what a session does with memory: after the first
// time the driver is asked for none.
func TestMemoryIsReused(t *testing.T) {
	s := newStored()
	d := openStored(t, s, cuda.Options{}, device.Options{})
	data := draw(3 << 20)
	had := 0
	for i := range 5 {
		var all []device.Buffer
		for k := range 4 {
			b, err := d.Alloc(context.Background(), device.Use(k%3), 1000+k*300000)
			require.NoError(t, err)
			if device.Use(k%3) == device.UseState {
				got, err := d.Bytes(b, b.Len())
				require.NoError(t, err)
				require.True(t, bytes.Equal(make([]byte, b.Len()), got), "as zeros, whatever had it before")
			}
			require.NoError(t, d.Upload(b, 0, data[:b.Len()], nil))
			all = append(all, b)
		}
		for k, b := range all {
			d.Free(device.Use(k%3), b)
		}
		if i > 0 {
			require.Equal(t, had, s.open.allocs)
		}
		had = s.open.allocs
	}
}

// TestMemoryRefused asks for more than the device may take, and more than the
// driver has.
func TestMemoryRefused(t *testing.T) {
	s := newStored()
	d := openStored(t, s, cuda.Options{Memory: 64 << 20}, device.Options{})
	require.EqualValues(t, 64<<20, d.Info().Memory)
	ctx := context.Background()
	refused := func(n int) *transport.MemoryError {
		t.Helper()
		_, err := d.Alloc(ctx, device.UseState, n)
		require.ErrorIs(t, err, transport.ErrMemory)
		require.NotErrorIs(t, err, transport.ErrDevice)
		m, ok := errors.AsType[*transport.MemoryError](err)
		require.True(t, ok, "%v", err)
		require.Greater(t, m.Need, m.Free)
		require.EqualValues(t, 64<<20, m.Limit)
		require.NotEmpty(t, m.For)
		return m
	}
	_ = refused(64<<20 + 1)
	a, err := d.Alloc(ctx, device.UseScratch, 40<<20)
	require.NoError(t, err)
	require.EqualValues(t, 24<<20, refused(25<<20).Free)
	d.Free(device.UseScratch, a)
	a, err = d.Alloc(ctx, device.UseScratch, 8<<20)
	require.NoError(t, err)
	d.Free(device.UseScratch, a)
	a, err = d.Alloc(ctx, device.UseState, 64<<20)
	require.NoError(t, err, "spare memory goes to others")
	_ = refused(1)
	d.Free(device.UseState, a)
	s.memory = 8 << 20 // others have taken the rest
	_ = refused(9 << 20)
	a, err = d.Alloc(ctx, device.UseState, 7<<20)
	require.NoError(t, err)
	d.Free(device.UseState, a)
	a, err = d.Alloc(ctx, device.UseScratch, 6<<20)
	require.NoError(t, err, "spare memory of another size goes back first")
	d.Free(device.UseScratch, a)

	_, err = cuda.Open(newStored(), 0, cuda.Options{Memory: 2 << 30})(device.Options{})
	require.ErrorIs(t, err, transport.ErrMemory)
	d = openStored(t, newStored(), cuda.Options{}, device.Options{})
	require.EqualValues(t, 15<<26, d.Info().Memory, "a sixteenth is left for others")
}

// TestCopyRows moves positions between pieces of different room.
func TestCopyRows(t *testing.T) {
	d, err := emulated(t)(device.Options{})
	require.NoError(t, err)
	t.Cleanup(d.Close)
	ctx := context.Background()
	for _, axis := range []int{0, 1, 2, 3, -1} {
		for _, dt := range []plan.DType{plan.F32, plan.I64, plan.Bool} {
			t.Run(fmt.Sprint(axis, dt), func(t *testing.T) {
				s := device.State{DType: dt, Shape: []int{2, 3, 4, 5}, Axis: axis}
				size := dt.Size()
				for i, n := range s.Shape {
					if i != axis {
						size *= n
					}
				}
				const from, to, had, room, n = 2, 1, 7, 9, 4
				in, out := size, size
				if axis >= 0 {
					in, out = had*size, room*size
				}
				src, err := d.Alloc(ctx, device.UseState, in)
				require.NoError(t, err)
				dst, err := d.Alloc(ctx, device.UseState, out)
				require.NoError(t, err)
				data := draw(in)
				require.NoError(t, d.Upload(src, 0, data, nil))
				require.NoError(t, d.CopyRows(device.Piece{Buffer: dst, Positions: room}, to, device.Piece{Buffer: src, Positions: had}, from, n, s, nil))
				got, err := d.Bytes(dst, out)
				require.NoError(t, err)
				want := make([]byte, out)
				if axis < 0 {
					copy(want, data)
				} else {
					row := dt.Size()
					for _, m := range s.Shape[axis+1:] {
						row *= m
					}
					for i := range size / row {
						copy(want[(i*room+to)*row:][:n*row], data[(i*had+from)*row:])
					}
				}
				require.True(t, bytes.Equal(want, got))
				d.Free(device.UseState, src)
				d.Free(device.UseState, dst)
			})
		}
	}
}
