package cuda_test

import (
	"context"
	"sync"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/device/cuda"
	"github.com/genie-sdk/go/internal/device/cuda/driver"
	"github.com/genie-sdk/go/internal/device/cuda/emulator"
	"github.com/genie-sdk/go/internal/engine"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/internal/planmaker"
	"github.com/genie-sdk/go/transport/plan"
)

// held is a driver that tells of copies from memory that is not page-locked: the
// driver may read it until the stream is waited for, which must be the next call.
type held struct {
	driver.Driver
	t      *testing.T
	copies *int
}

func (h held) Open(i int) (driver.Context, error) {
	c, err := h.Driver.Open(i)
	return &heldContext{Context: c, held: h}, err
}

type heldContext struct {
	driver.Context
	held
	mu     sync.Mutex
	locked [][]byte
}

func (c *heldContext) AllocHost(n int) ([]byte, error) {
	b, err := c.Context.AllocHost(n)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.locked = append(c.locked, b)
	return b, err
}

func (c *heldContext) NewStream() (driver.Stream, error) {
	s, err := c.Context.NewStream()
	return &heldStream{Stream: s, c: c}, err
}

// pageable reports whether memory is none of the page-locked.
func (c *heldContext) pageable(b []byte) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := uintptr(unsafe.Pointer(unsafe.SliceData(b)))
	for _, p := range c.locked {
		if from := uintptr(unsafe.Pointer(unsafe.SliceData(p))); at >= from && at < from+uintptr(len(p)) {
			return false
		}
	}
	return true
}

type heldStream struct {
	driver.Stream
	c       *heldContext
	pending bool
}

func (s *heldStream) CopyIn(dst driver.Ptr, src []byte) error {
	if s.pending = s.c.pageable(src); s.pending {
		*s.c.copies++
	}
	return s.Stream.CopyIn(dst, src)
}

func (s *heldStream) Synchronize() error {
	s.pending = false
	return s.Stream.Synchronize()
}

func (s *heldStream) Launch(f driver.Function, grid, block driver.Dim, shared int, args []byte) error {
	if s.pending {
		s.c.t.Error("a launch follows a copy from memory that nothing refers to")
	}
	return s.Stream.Launch(f, grid, block, shared, args)
}

// TestManySmallInputs has more small inputs than the page-locked memory of a
// queue takes.
func TestManySmallInputs(t *testing.T) {
	const inputs, n = 16, 1000
	m := planmaker.New(nil)
	p := m.Plan()
	p.Name = "a sum of many"
	spec := plan.Spec{DType: plan.F32, Shape: op.Static([]int{n})}
	sum := m.Input(spec)
	for range inputs - 1 {
		v, ok := m.Apply("add", nil, sum, m.Input(spec))
		require.True(t, ok)
		sum = v
	}
	p.Outputs = []plan.Output{{Name: "sum", Value: sum, Place: plan.Download}}
	m.Assign()
	require.NoError(t, p.Validate())

	copies := 0
	e, err := engine.New(engine.Options{Device: cuda.Open(held{emulator.New(emulator.Options{Memory: 1 << 30}), t, &copies}, 0, cuda.Options{})})
	require.NoError(t, err)
	defer func() { require.NoError(t, e.Close()) }()
	prog, err := e.Compile(p)
	require.NoError(t, err)
	s := e.NewSession()
	defer s.Close()
	c, err := s.NewCall(prog, nil)
	require.NoError(t, err)
	defer c.Release()
	want := make([]float32, n)
	for i := range inputs {
		x := make([]float32, n)
		for k := range x {
			x[k] = float32(i*k%17 - 8)
			want[k] += x[k]
		}
		require.NoError(t, c.SetInput(i, op.FromF32(x, n).Data))
	}
	require.NoError(t, c.Run(context.Background()))
	out, _ := c.Output(0)
	require.Equal(t, want, (&op.Array{Data: out.Data}).F32())
	require.Equal(t, 1, copies)
}
