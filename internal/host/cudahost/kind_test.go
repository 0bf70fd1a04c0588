package cudahost

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/device/cuda/driver"
	"github.com/genie-sdk/go/internal/device/cuda/emulator"
	"github.com/genie-sdk/go/internal/engine"
	"github.com/genie-sdk/go/internal/host"
)

// paced is a driver of one device that does nothing and takes a fixed time for it.
type paced struct {
	took     time.Duration
	memory   int64 // that is left
	launches int
	open     int
}

func (d *paced) Version() int          { return 12090 }
func (d *paced) Devices() (int, error) { return 1, nil }

func (d *paced) Describe(i int) (driver.Properties, error) {
	if i != 0 {
		return driver.Properties{}, driver.NewError("cuDeviceGet", 101, "")
	}
	return driver.Properties{Name: "Paced", Major: 9, Memory: 1 << 30, Multiprocessors: 4, SharedPerBlock: 200 << 10}, nil
}

func (d *paced) Open(int) (driver.Context, error) { d.open++; return &pacedContext{d}, nil }

// pacedContext is a context, and streams, events and modules, of it.
type pacedContext struct{ d *paced }

func (c *pacedContext) Properties() driver.Properties   { p, _ := c.d.Describe(0); return p }
func (c *pacedContext) MemInfo() (int64, int64, error)  { return c.d.memory, 1 << 30, nil }
func (c *pacedContext) Free(driver.Ptr) error           { return nil }
func (c *pacedContext) AllocHost(n int) ([]byte, error) { return make([]byte, n), nil }
func (c *pacedContext) FreeHost([]byte) error           { return nil }
func (c *pacedContext) Close() error                    { c.d.open--; return nil }

func (c *pacedContext) Alloc(n int64) (driver.Ptr, error) {
	if n > c.d.memory {
		return 0, driver.NewError("cuMemAlloc", driver.CodeOutOfMemory, "")
	}
	c.d.memory -= n
	return 1 << 20, nil
}

func (c *pacedContext) NewStream() (driver.Stream, error)      { return pacedStream{d: c.d}, nil }
func (c *pacedContext) NewEvent() (driver.Event, error)        { return pacedEvent{d: c.d}, nil }
func (c *pacedContext) Load([]byte) (driver.Module, error)     { return pacedModule{}, nil }
func (pacedModule) Function(string) (driver.Function, error)   { return pacedModule{}, nil }
func (pacedModule) AllowShared(int) error                      { return nil }
func (e pacedEvent) Since(driver.Event) (time.Duration, error) { return e.d.took, nil }
func (s pacedStream) Fill(driver.Ptr, byte, int64) error       { return nil }
func (s pacedStream) Copy(driver.Ptr, driver.Ptr, int64) error { return nil }
func (s pacedStream) Record(driver.Event) error                { return nil }
func (s pacedStream) Synchronize() error                       { return nil }
func (s pacedStream) Launch(driver.Function, driver.Dim, driver.Dim, int, []byte) error {
	s.d.launches++
	return nil
}

type (
	pacedModule struct{}
	pacedEvent  struct {
		driver.Event
		d *paced
	}
	pacedStream struct {
		driver.Stream
		d *paced
	}
)

func TestList(t *testing.T) {
	k := Kind(func() (driver.Driver, error) { return &paced{}, nil })
	got, err := k.List()
	require.NoError(t, err)
	require.Equal(t, []host.DeviceInfo{{Model: "Paced", Capability: "9.0", Driver: "CUDA 12.9", Memory: 1 << 30}}, got)
	devices := host.Devices{k}
	require.NoError(t, devices.Find("cuda:0"))
	require.True(t, host.IsNameError(devices.Find("cuda:1")))
}

// TestStartOnce verifies that a driver is started when it is needed, once.
func TestStartOnce(t *testing.T) {
	starts, broken := 0, errors.New("no GPU")
	k := Kind(func() (driver.Driver, error) { starts++; return nil, broken })
	require.Zero(t, starts)
	_, err := k.List()
	require.ErrorIs(t, err, broken)
	_, err = k.Probe(context.Background(), 0)
	require.ErrorIs(t, err, broken)
	require.Equal(t, 1, starts)
}

func TestProbe(t *testing.T) {
	of := size{bytes: 1 << 20, m: 64, k: 128, n: 256}
	d := &paced{took: time.Millisecond, memory: 1 << 30}
	rates, err := probe(context.Background(), d, 0, of)
	require.NoError(t, err)
	require.InDelta(t, 2*float64(1<<20)/1e-3, rates.Copies, 1)
	require.Len(t, rates.Products, 2)
	for i, dtype := range []string{"f32", "bf16"} {
		require.Equal(t, dtype, rates.Products[i].DType)
		require.InDelta(t, 2*64*128*256/1e-3, rates.Products[i].FLOPs, 1)
	}
	require.Positive(t, d.launches)
	require.Zero(t, d.open, "its context is closed")

	for memory, says := range map[int64]string{0: "memory: ", 4 << 20: ""} {
		d := &paced{took: time.Millisecond, memory: memory}
		_, err := probe(context.Background(), d, 0, of)
		if says == "" {
			require.NoError(t, err)
		} else {
			require.ErrorContains(t, err, says)
		}
		require.Zero(t, d.open)
	}
	d = &paced{took: time.Millisecond, memory: 1 << 10}
	_, err = probe(context.Background(), d, 0, of)
	require.ErrorIs(t, err, driver.ErrOutOfMemory)
	require.ErrorContains(t, err, "products of f32")
	require.Zero(t, d.open)

	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err = probe(ctx, &paced{took: time.Millisecond, memory: 1 << 30}, 0, of)
	require.ErrorIs(t, err, context.Canceled)
}

// TestEmulator measures and opens the emulator's device, whose checks find wrong
// operands of the probes.
func TestEmulator(t *testing.T) {
	d := emulator.New(emulator.Options{Memory: 64 << 20})
	rates, err := probe(context.Background(), d, 0, size{bytes: 1 << 16, m: 20, k: 70, n: 40})
	require.NoError(t, err)
	require.Positive(t, rates.Copies)
	require.Len(t, rates.Products, 2)

	k := Kind(func() (driver.Driver, error) { return d, nil })
	open, err := host.Devices{k}.Open("cuda:0", host.MissingOnCPU, nil)
	require.NoError(t, err)
	e, err := host.Open(engine.Options{Device: open})
	require.NoError(t, err)
	require.Contains(t, e.Stats().CPU, "cuda-sm")
	require.NoError(t, e.Close())
}
