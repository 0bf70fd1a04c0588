package cuda_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/device"
	"github.com/genie-sdk/go/internal/device/cuda"
	"github.com/genie-sdk/go/internal/device/cuda/driver"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// losses records what a device says of its loss.
type losses struct {
	n     atomic.Int64
	err   error
	freed <-chan struct{}
}

func (l *losses) lost(err error, freed <-chan struct{}) {
	l.err, l.freed = err, freed
	l.n.Add(1)
}

// everything calls all of a device's memory and loads weights.
func everything(d device.Device, c device.Code, v int) (err error) {
	ctx := context.Background()
	a, err := d.Alloc(ctx, device.UseState, 3<<20)
	if err != nil {
		return err
	}
	defer d.Free(device.UseState, a)
	b, err := d.Alloc(ctx, device.UseScratch, 3<<20)
	if err != nil {
		return err
	}
	defer d.Free(device.UseScratch, b)
	data := make([]byte, 3<<20)
	if err := d.Upload(a, 0, data, nil); err != nil {
		return err
	}
	if err := d.CopyRows(device.Piece{Buffer: b, Positions: 3}, 0, device.Piece{Buffer: a, Positions: 3}, 1, 2, device.State{DType: plan.F32, Shape: []int{2, 3, 1 << 17}, Axis: 1}, nil); err != nil {
		return err
	}
	if err := d.Download(data, b, 0, nil); err != nil {
		return err
	}
	if _, err := d.Bytes(b, 10); err != nil {
		return err
	}
	w, err := load(c, v, make([]byte, 4*700*512), 1<<19)
	if err != nil {
		return err
	}
	w.Free()
	return nil
}

// TestEveryCallLosesTheContext fails each call of the driver in turn, with the
// loss of the context. The device says so once, each later call fails with the
// same error, and the context is destroyed when nothing calls it any more.
func TestEveryCallLosesTheContext(t *testing.T) {
	for i := 1; ; i++ {
		s, l := newStored(), &losses{}
		s.plant(nth("", i, sticky))
		d, err := cuda.Open(s, 0, cuda.Options{})(device.Options{Lost: l.lost})
		if err != nil {
			require.ErrorIs(t, err, transport.ErrDevice)
			if i > 1 { // the first is the opening of the context
				require.True(t, s.open.closed)
			}
			continue
		}
		c, v := weighing(t, d, true, plan.F32, plan.F32, 700, 512)
		err = everything(d, c, v)
		if l.n.Load() == 0 {
			require.NoError(t, err)
			require.Greater(t, i, 50)
			d.Close()
			return
		}
		<-l.freed
		require.True(t, s.open.closed)
		require.ErrorIs(t, l.err, transport.ErrDevice)
		if err != nil { // none if a call that frees failed
			require.Equal(t, l.err, err)
		}
		_, ok := errors.AsType[*device.LostError](l.err)
		require.True(t, ok)
		require.ErrorContains(t, l.err, "cuda:0 is lost")
		failed, ok := errors.AsType[*driver.Error](l.err)
		require.True(t, ok)
		require.Equal(t, 700, failed.Code)
		require.Equal(t, l.err, everything(d, c, v))
		d.Close()
		require.EqualValues(t, 1, l.n.Load())
	}
}

// TestEveryCallFails fails each call in turn, except those that wait, and leaves
// the context: that call fails, and the next ones work.
func TestEveryCallFails(t *testing.T) {
	for _, plant := range []func(string) *driver.Error{invalid, outOfMemory} {
		s, l := newStored(), &losses{}
		d := openStored(t, s, cuda.Options{}, device.Options{Lost: l.lost})
		c, v := weighing(t, d, true, plan.F32, plan.F32, 700, 512)
		for i, planted := 1, true; planted; i++ {
			planted = false
			s.plant(nth("", i, func(call string) *driver.Error {
				planted = true
				if call == "synchronize" {
					return nil
				}
				return plant(call)
			}))
			err := everything(d, c, v)
			s.plant(nil)
			if err != nil {
				require.True(t, errors.Is(err, transport.ErrDevice) || errors.Is(err, transport.ErrMemory), "%v", err)
			}
			require.NoError(t, everything(d, c, v))
		}
		require.Zero(t, l.n.Load())
	}
}

// TestWaitFails fails to wait: whatever the reason, the context is lost, since
// what is queued may go on using memory.
func TestWaitFails(t *testing.T) {
	for i := 1; i < 10; i++ {
		s, l := newStored(), &losses{}
		s.plant(nth("synchronize", i, invalid))
		d, err := cuda.Open(s, 0, cuda.Options{})(device.Options{Lost: l.lost})
		require.NoError(t, err)
		c, v := weighing(t, d, true, plan.F32, plan.F32, 700, 512)
		require.ErrorIs(t, everything(d, c, v), transport.ErrDevice)
		<-l.freed
		d.Close()
	}
}

// TestLossWhileInUse loses the context while many goroutines call it.
func TestLossWhileInUse(t *testing.T) {
	for after := 100; after < 1000; after += 100 {
		s, l := newStored(), &losses{}
		d, err := cuda.Open(s, 0, cuda.Options{})(device.Options{Lost: l.lost})
		require.NoError(t, err)
		c, v := weighing(t, d, true, plan.F32, plan.F32, 700, 512)
		s.plant(nth("", after, sticky))
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for {
					if err := everything(d, c, v); err != nil {
						if !errors.Is(err, transport.ErrDevice) {
							t.Errorf("%v", err)
						}
						return
					}
				}
			})
		}
		wg.Wait()
		<-l.freed
		require.EqualValues(t, 1, l.n.Load())
		d.Close()
		require.True(t, s.open.closed)
	}
}
