//go:build genie_cuda

package cudriver

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/device/cuda/driver"
)

// TestNewWithoutDevice verifies that the program starts where there is no GPU, and
// that the driver's error says what is missing.
func TestNewWithoutDevice(t *testing.T) {
	d, err := New()
	if err == nil {
		t.Skipf("there is a driver, of version %d; with the stub in its place: bash .ci/run cuda", d.Version())
	}
	var failed *driver.Error
	require.ErrorAs(t, err, &failed)
	require.Equal(t, "cuInit", failed.Call)
	require.Contains(t, failed.Name, "CUDA_ERROR_")
	require.False(t, failed.Sticky)

	// What is asked through gorgonia.org/cu has the same errors.
	_, err = cuda{}.Devices()
	require.ErrorAs(t, err, &failed)
	require.Equal(t, "cuDeviceGetCount", failed.Call)
	require.Contains(t, failed.Name, "CUDA_ERROR_")
	_, err = cuda{}.Open(0)
	require.ErrorAs(t, err, &failed)
	require.Contains(t, failed.Name, "CUDA_ERROR_")
}

func TestWrap(t *testing.T) {
	require.NoError(t, wrap("cuMemAlloc", nil))
	err := wrap("cuMemAlloc", resultError(2))
	require.ErrorIs(t, err, driver.ErrOutOfMemory)
	require.False(t, driver.IsSticky(err))
	err = wrap("cuStreamSynchronize", resultError(700))
	require.True(t, driver.IsSticky(err))
	require.ErrorContains(t, err, "cuStreamSynchronize: CUDA_ERROR_ILLEGAL_ADDRESS (700)")
	require.ErrorContains(t, wrap("cuMemAlloc", errors.New("odd")), "odd")
}

// resultError is an error as those of gorgonia.org/cu, whose type is not exported.
type resultError int

func (resultError) Error() string { return "" }

// TestClosed verifies that a closed context calls no function of the driver.
func TestClosed(t *testing.T) {
	c := &context{pages: map[*byte]*pages{}}
	c.closed.Store(true)
	s, e, m, f := &stream{ctx: c}, &event{ctx: c}, &module{ctx: c}, &function{ctx: c}
	one := driver.Dim{X: 1, Y: 1, Z: 1}
	for name, call := range map[string]func() error{
		"MemInfo":     func() error { _, _, err := c.MemInfo(); return err },
		"Alloc":       func() error { _, err := c.Alloc(1); return err },
		"Free":        func() error { return c.Free(1) },
		"AllocHost":   func() error { _, err := c.AllocHost(1); return err },
		"NewStream":   func() error { _, err := c.NewStream(); return err },
		"NewEvent":    func() error { _, err := c.NewEvent(); return err },
		"Load":        func() error { _, err := c.Load([]byte{1}); return err },
		"CopyIn":      func() error { return s.CopyIn(1, make([]byte, 1)) },
		"CopyOut":     func() error { return s.CopyOut(make([]byte, 1), 1) },
		"Copy":        func() error { return s.Copy(1, 2, 1) },
		"Fill":        func() error { return s.Fill(1, 0, 1) },
		"Launch":      func() error { return s.Launch(f, one, one, 0, make([]byte, 8)) },
		"Record":      func() error { return s.Record(e) },
		"WaitFor":     func() error { return s.WaitFor(e) },
		"Done":        func() error { _, err := s.Done(); return err },
		"Synchronize": s.Synchronize,
		"event done":  func() error { _, err := e.Done(); return err },
		"event wait":  e.Synchronize,
		"Since":       func() error { _, err := e.Since(e); return err },
		"Function":    func() error { _, err := m.Function("f"); return err },
		"AllowShared": func() error { return f.AllowShared(1) },
	} {
		err := call()
		require.ErrorContains(t, err, "the context is closed", name)
		require.True(t, driver.IsSticky(err), name)
	}
	require.NoError(t, s.Close())
	require.NoError(t, e.Close())
	require.NoError(t, c.FreeHost(make([]byte, 1)))
	require.NoError(t, c.Close())
}

// TestArguments verifies what is refused without asking the driver.
func TestArguments(t *testing.T) {
	c, other := &context{}, &context{}
	s := &stream{ctx: c}
	f, one := &function{ctx: c}, driver.Dim{X: 1, Y: 1, Z: 1}
	for _, err := range []error{
		s.Launch(&function{ctx: other}, one, one, 0, make([]byte, 8)),
		s.Launch(f, one, one, 0, make([]byte, 7)),
		s.Launch(f, one, one, 0, nil),
		s.Launch(f, driver.Dim{X: 1 << 32, Y: 1, Z: 1}, one, 0, make([]byte, 8)),
		s.Launch(f, one, driver.Dim{X: 1, Y: 0, Z: 1}, 0, make([]byte, 8)),
		s.Launch(f, one, one, -1, make([]byte, 8)),
		s.Copy(1, 2, -1),
		s.Fill(1, 0, -1),
		s.Record(&event{ctx: other}),
		s.WaitFor(&event{ctx: other}),
		f.AllowShared(-1),
		c.FreeHost(make([]byte, 1)),
	} {
		var failed *driver.Error
		require.ErrorAs(t, err, &failed)
		require.Equal(t, driver.CodeInvalidValue, failed.Code)
	}
	// Nothing to do is no call.
	require.NoError(t, s.CopyIn(1, nil))
	require.NoError(t, s.CopyOut(nil, 1))
	require.NoError(t, s.Copy(1, 2, 0))
	require.NoError(t, s.Fill(1, 0, 0))
}
