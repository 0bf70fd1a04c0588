package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/budget"
	"github.com/genie-sdk/go/internal/device/opaque"
	"github.com/genie-sdk/go/transport"
)

// told records what an engine reports of its device.
type told struct {
	mu  sync.Mutex
	all []DeviceState
}

func (t *told) add(s DeviceState, _ error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.all = append(t.all, s)
}

func (t *told) list() []DeviceState {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append([]DeviceState(nil), t.all...)
}

func openFaulty(t *testing.T) (*Engine, *opaque.Faults, *told) {
	t.Helper()
	b, w := &opaque.Faults{}, &told{}
	e := open(t, Options{Device: b.Open, Threads: 1, MemLimit: 64 << 20})
	e.OnDevice(w.add)
	return e, b, w
}

// work uses the device for everything: it loads a weight, runs with a state that
// grows, and reads a retained value.
func work(e *Engine, s *Session, past, n int) error {
	p, w := sumPlan(3, 1<<10)
	prog, err := e.Compile(p)
	if err != nil {
		return err
	}
	if err := s.Use(prog); err != nil {
		return err
	}
	for _, v := range e.Missing(prog) {
		ww, err := e.PutWeight(prog, v)
		if err != nil {
			return err
		}
		defer ww.Abort()
		if _, err := ww.Write(w); err != nil {
			return err
		}
		if err := ww.Commit(); err != nil {
			return err
		}
	}
	if err := adds(s, prog); err != nil {
		return err
	}
	rows, err := e.Compile(appendPlan())
	if err != nil {
		return err
	}
	return appendsAndReads(s, rows, past, n)
}

func adds(s *Session, prog *Program) error {
	c, err := s.NewCall(prog, nil)
	if err != nil {
		return err
	}
	defer c.Release()
	if err := c.SetInput(0, make([]byte, 4<<10)); err != nil {
		return err
	}
	return c.Run(context.Background())
}

func appendsAndReads(s *Session, rows *Program, past, n int) error {
	c, err := s.NewCall(rows, []int{past, n})
	if err != nil {
		return err
	}
	defer c.Release()
	x := make([]float32, 2*n)
	for i := range x {
		x[i] = float32(2*past + i)
	}
	if err := c.SetInput(0, f32(x...)); err != nil {
		return err
	}
	if err := c.Run(context.Background()); err != nil {
		return err
	}
	_, h := c.Output(1)
	all, err := s.Read(h)
	if err != nil {
		return err
	}
	want := make([]float32, 2*(past+n))
	for i := range want {
		want[i] = float32(i)
	}
	if !bytes.Equal(f32(want...), all.Data) {
		return fmt.Errorf("%v, not %v", all.Data, want)
	}
	s.Release(h)
	return nil
}

// TestDeviceLost loses the device at each place at which it is called. The call
// that it was doing fails with the device's error, sessions that were open are
// lost, and a new session does all the same on the device that is opened anew,
// while nothing of the lost one counts any more.
func TestDeviceLost(t *testing.T) {
	for _, at := range []string{"alloc", "copy", "weight", "kernel"} {
		t.Run(at, func(t *testing.T) {
			for after := 1; ; after++ {
				e, b, w := openFaulty(t)
				idle, s := e.NewSession(), e.NewSession()
				require.NoError(t, work(e, idle, 0, 5))
				if at == "weight" || at == "alloc" { // which idle has loaded
					idle.Close()
					e.Memory().Reclaim()
					idle = e.NewSession()
				}
				b.Lose(at, after)
				err := work(e, s, 0, 70)
				if err == nil {
					require.Greater(t, after, 1)
					return
				}
				require.ErrorIs(t, err, transport.ErrDevice)
				require.ErrorIs(t, err, opaque.ErrPlanted)
				for range 2 {
					err = work(e, s, 0, 1)
					require.ErrorIs(t, err, transport.ErrSessionLost)
					require.ErrorIs(t, err, opaque.ErrPlanted)
				}
				require.ErrorIs(t, work(e, idle, 0, 1), transport.ErrSessionLost)
				again := e.NewSession()
				require.NoError(t, work(e, again, 0, 5))
				require.NoError(t, work(e, again, 5, 70))
				again.Close()
				e.renewing.Wait()
				e.Memory().Reclaim()
				held := e.Memory().Held()
				for _, k := range []budget.Kind{budget.Weights, budget.Packed, budget.State, budget.Retained, budget.Scratch} {
					require.Zero(t, held[k], "the sessions that are lost are open, and hold nothing: %v", held)
				}
				require.Equal(t, 2, b.Opened())
				require.Equal(t, []DeviceState{DeviceLost, DeviceOpen}, w.list())
				_, err = e.Ready()
				require.NoError(t, err)
				require.NoError(t, e.Close())
			}
		})
	}
}

// TestDeviceFails fails one call: the device and other sessions stay.
func TestDeviceFails(t *testing.T) {
	e, b, w := openFaulty(t)
	s := e.NewSession()
	require.NoError(t, work(e, s, 0, 5))
	b.Fail("kernel", 1)
	require.ErrorIs(t, work(e, s, 5, 1), transport.ErrDevice)
	require.NoError(t, work(e, s, 5, 1))
	require.Empty(t, w.list())
}

// TestDeviceLostDuringUpload loses the device between the pieces of a weight.
func TestDeviceLostDuringUpload(t *testing.T) {
	e, b, _ := openFaulty(t)
	s := e.NewSession()
	p, content := sumPlan(3, 1<<10)
	prog, err := e.Compile(p)
	require.NoError(t, err)
	require.NoError(t, s.Use(prog))
	ww, err := e.PutWeight(prog, e.Missing(prog)[0])
	require.NoError(t, err)
	_, err = ww.Write(content[:100])
	require.NoError(t, err)
	require.Positive(t, ww.Held())
	b.Lose("kernel", 1)
	require.ErrorIs(t, work(e, e.NewSession(), 0, 1), transport.ErrDevice)
	_, err = e.Compile(p) // waits for the device
	require.NoError(t, err)
	_, err = ww.Write(content[100:])
	require.ErrorIs(t, err, transport.ErrDevice)
	require.ErrorIs(t, ww.Commit(), transport.ErrDevice)
	require.Zero(t, ww.Held())
	ww.Abort()
	require.NoError(t, work(e, e.NewSession(), 0, 1))
}

// TestDeviceLostUnderACall loses the device while a finished call of another
// session has not been released: the device is opened without waiting for that
// for long, and the call's memory counts until its release.
func TestDeviceLostUnderACall(t *testing.T) {
	t.Parallel()
	e, b, _ := openFaulty(t)
	slow := e.NewSession()
	require.NoError(t, work(e, slow, 0, 3))
	p, _ := sumPlan(3, 1<<10)
	prog, err := e.Compile(p)
	require.NoError(t, err)
	c, err := slow.NewCall(prog, nil)
	require.NoError(t, err)
	require.NoError(t, c.SetInput(0, make([]byte, 4<<10)))
	require.NoError(t, c.Run(context.Background()))
	b.Lose("kernel", 1)
	require.ErrorIs(t, work(e, e.NewSession(), 0, 1), transport.ErrDevice)
	begin := time.Now()
	require.NoError(t, work(e, e.NewSession(), 0, 1))
	require.GreaterOrEqual(t, time.Since(begin), drainTime-time.Second, "the loss was some time earlier")
	out, _ := c.Output(0)
	require.Len(t, out.Data, 4<<10)
	held := e.Memory().Held()[budget.State]
	c.Release()
	require.Eventually(t, func() bool { return e.Memory().Held()[budget.State] < held }, 10*time.Second, time.Millisecond)
}

// TestDeviceGivenUp loses the device again and again: it is opened anew after
// growing delays, and given up in the end. One that stays for a while is
// opened anew at once.
func TestDeviceGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, b, w := openFaulty(t)
		loses := func() time.Duration {
			s := e.NewSession()
			defer s.Close()
			_, err := e.Compile(appendPlan())
			require.NoError(t, err)
			b.Lose("alloc", 1)
			require.ErrorIs(t, work(e, s, 0, 1), transport.ErrDevice)
			begin := time.Now()
			_, _ = e.Compile(appendPlan())
			return time.Since(begin)
		}
		for range 3 {
			require.Zero(t, loses())
			<-time.After(staysFor)
		}
		require.Zero(t, loses())
		for i := range maxLosses - 2 {
			require.Equal(t, renewAfter<<i, loses())
		}
		_, err := e.Ready()
		require.NoError(t, err)
		require.Zero(t, loses())
		synctest.Wait()
		givenUp, err := e.Ready()
		require.True(t, givenUp)
		require.ErrorIs(t, err, transport.ErrDevice)
		require.ErrorContains(t, err, "not opened again")
		opened := b.Opened()
		for range 3 {
			_, err := e.Compile(appendPlan())
			require.ErrorIs(t, err, transport.ErrDevice)
		}
		<-time.After(time.Hour)
		require.Equal(t, opened, b.Opened(), "nothing tries")
		list := w.list()
		require.Equal(t, DeviceGivenUp, list[len(list)-1])
		require.NoError(t, e.Close())
	})
}

// TestDeviceDoesNotOpen fails to open the lost device some times.
func TestDeviceDoesNotOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, b, _ := openFaulty(t)
		s := e.NewSession()
		b.LoseFor("alloc", 1, 3)
		require.ErrorIs(t, work(e, s, 0, 1), transport.ErrDevice)
		require.NoError(t, work(e, e.NewSession(), 0, 1))
		require.NoError(t, e.Close())
	})
}

// TestCloseWhileDeviceIsLost closes the engine at every stage of a loss.
func TestCloseWhileDeviceIsLost(t *testing.T) {
	for _, wait := range []time.Duration{0, renewAfter / 2, renewAfter} {
		synctest.Test(t, func(t *testing.T) {
			e, b, _ := openFaulty(t)
			for range 2 {
				b.Lose("alloc", 1)
				require.ErrorIs(t, work(e, e.NewSession(), 0, 1), transport.ErrDevice)
			}
			<-time.After(wait)
			require.NoError(t, e.Close())
		})
	}
}

// TestBatchLosesDevice loses the device while many sessions run at once.
func TestBatchLosesDevice(t *testing.T) {
	e, b, _ := openFaulty(t)
	list := make([]*Session, 8)
	for i := range list {
		list[i] = e.NewSession()
		require.NoError(t, work(e, list[i], 0, 3))
	}
	b.Lose("kernel", 20)
	var wg sync.WaitGroup
	for _, s := range list {
		wg.Go(func() {
			for past := 3; ; past++ {
				err := work(e, s, past, 1)
				if err == nil {
					continue
				}
				if !errors.Is(err, transport.ErrDevice) {
					t.Errorf("%v", err)
				}
				s.Close()
				return
			}
		})
	}
	wg.Wait()
	s := e.NewSession()
	require.NoError(t, work(e, s, 0, 3))
	require.NoError(t, work(e, s, 3, 3))
}
