package kernels

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/device/cuda/driver"
	"github.com/genie-sdk/go/internal/device/cuda/emulator"
)

// rig is the kernels loaded on an emulated device, and a stream that records
// which kernels it launches.
type rig struct {
	t        *testing.T
	ctx      driver.Context
	st       driver.Stream
	set      *Set
	launched map[string]bool
	held     []driver.Ptr
}

// shared is a context that all tests use: most of the time of a small test would
// be that of loading the kernels.
var shared = sync.OnceValues(func() (*rig, error) {
	ctx, err := emulator.New(emulator.Options{Memory: 1 << 30}).Open(0)
	if err != nil {
		return nil, err
	}
	set, err := LoadPTX(ctx)
	return &rig{ctx: ctx, set: set}, err
})

func newRig(t *testing.T) *rig {
	t.Helper()
	r, err := shared()
	require.NoError(t, err)
	st, err := r.ctx.NewStream()
	require.NoError(t, err)
	m := &rig{t: t, ctx: r.ctx, set: &Set{functions: r.set.functions, props: r.set.props, indexed: r.set.indexed}, launched: map[string]bool{}}
	names := map[driver.Function]string{}
	for name, f := range m.set.functions {
		names[f] = name
	}
	m.st = &recorder{Stream: st, launch: func(f driver.Function) { m.launched[names[f]] = true }}
	t.Cleanup(func() {
		m.free()
		require.NoError(t, st.Close())
	})
	return m
}

// free waits for all work and frees what the test allocated.
func (m *rig) free() {
	m.t.Helper()
	require.NoError(m.t, m.st.Synchronize())
	for _, p := range m.held {
		require.NoError(m.t, m.ctx.Free(p))
	}
	m.held = nil
}

// recorder is a stream that tells which kernels it launches.
type recorder struct {
	driver.Stream
	launch func(f driver.Function)
}

// Launch implements [driver.Stream].
func (r *recorder) Launch(f driver.Function, grid, block driver.Dim, shared int, args []byte) error {
	r.launch(f)
	return r.Stream.Launch(f, grid, block, shared, args)
}

// alloc allocates device memory until free.
func (m *rig) alloc(n int) driver.Ptr {
	m.t.Helper()
	at, err := m.ctx.Alloc(int64(max(n, 1)))
	require.NoError(m.t, err)
	m.held = append(m.held, at)
	return at
}

// in copies to the device, and out from it after all work.
func (m *rig) in(at driver.Ptr, b []byte) {
	m.t.Helper()
	require.NoError(m.t, m.st.CopyIn(at, b))
	require.NoError(m.t, m.st.Synchronize())
}

func (m *rig) out(b []byte, at driver.Ptr) {
	m.t.Helper()
	require.NoError(m.t, m.st.CopyOut(b, at))
	require.NoError(m.t, m.st.Synchronize())
}
