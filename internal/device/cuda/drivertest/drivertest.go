// Package drivertest is the suite that each implementation of package driver
// passes: that on a GPU, and the emulator, so that tests which pass on it mean
// something for a GPU.
package drivertest

import (
	"bytes"
	"encoding/binary"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/device/cuda/driver"
)

// Run runs the suite on device 0.
func Run(t *testing.T, d driver.Driver) {
	t.Helper()
	for _, test := range []struct {
		name string
		run  func(*testing.T, *fixture)
	}{
		{"memory", memory},
		{"copies", copies},
		{"page-locked memory", pageLocked},
		{"launches", launches},
		{"order", order},
		{"events", events},
		{"refusals", refusals},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, open(t, d)) })
	}
	t.Run("devices", func(t *testing.T) { devices(t, d) })
	t.Run("a lost context", func(t *testing.T) { lost(t, d) })
}

// fixture is a context with a stream and the kernel add.
type fixture struct {
	driver.Context
	stream driver.Stream
	add    driver.Function
}

func open(t *testing.T, d driver.Driver) *fixture {
	t.Helper()
	c, err := d.Open(0)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	f := &fixture{Context: c}
	f.stream, err = c.NewStream()
	require.NoError(t, err)
	m, err := c.Load([]byte(addPTX))
	require.NoError(t, err)
	f.add, err = m.Function("add")
	require.NoError(t, err)
	return f
}

// alloc allocates memory and fills it.
func (f *fixture) alloc(t *testing.T, content []byte) driver.Ptr {
	t.Helper()
	p, err := f.Alloc(int64(len(content)))
	require.NoError(t, err)
	require.NoError(t, f.stream.CopyIn(p, content))
	return p
}

// read reads memory once the stream is done.
func (f *fixture) read(t *testing.T, p driver.Ptr, n int) []byte {
	t.Helper()
	out := make([]byte, n)
	require.NoError(t, f.stream.CopyOut(out, p))
	require.NoError(t, f.stream.Synchronize())
	return out
}

// launch adds value to n words at p.
func (f *fixture) launch(s driver.Stream, p driver.Ptr, n, value int) error {
	a := addArgs{p, uint32(n), uint32(value)}
	args := bytes.Clone(unsafe.Slice((*byte)(unsafe.Pointer(&a)), unsafe.Sizeof(a)))
	err := s.Launch(f.add, driver.Dim{X: (n + 127) / 128, Y: 1, Z: 1}, driver.Dim{X: 128, Y: 1, Z: 1}, 0, args)
	clear(args) // they have been copied
	return err
}

// words is n words that count from first on.
func words(n, first int) []byte {
	var b []byte
	for i := range n {
		b = binary.LittleEndian.AppendUint32(b, uint32(first+i))
	}
	return b
}

func devices(t *testing.T, d driver.Driver) {
	require.GreaterOrEqual(t, d.Version(), 12000)
	n, err := d.Devices()
	require.NoError(t, err)
	require.Positive(t, n)
	p, err := d.Describe(0)
	require.NoError(t, err)
	require.NotEmpty(t, p.Name)
	require.GreaterOrEqual(t, p.Major, 8)
	require.Positive(t, p.Memory)
	require.Positive(t, p.Multiprocessors)
	require.GreaterOrEqual(t, p.SharedPerBlock, 48<<10)
	c, err := d.Open(0)
	require.NoError(t, err)
	require.Equal(t, p, c.Properties())
	require.NoError(t, c.Close())
	require.NoError(t, c.Close(), "closed twice")
	_, err = d.Describe(n)
	isError(t, err, false)
	_, err = d.Open(n)
	isError(t, err, false)
}

// isError checks that an error is of a driver and names a call and a code.
func isError(t *testing.T, err error, sticky bool) {
	t.Helper()
	var failed *driver.Error
	require.ErrorAs(t, err, &failed)
	require.NotEmpty(t, failed.Call)
	require.NotEmpty(t, failed.Name)
	require.NotZero(t, failed.Code)
	require.Equal(t, sticky, driver.IsSticky(err), "%v", err)
}

func memory(t *testing.T, f *fixture) {
	free, total, err := f.MemInfo()
	require.NoError(t, err)
	require.LessOrEqual(t, free, total)
	var held []driver.Ptr
	for _, n := range []int64{1, 255, 4096, 1 << 20} {
		p, err := f.Alloc(n)
		require.NoError(t, err)
		require.NotZero(t, p)
		require.Zero(t, p%256)
		require.NotContains(t, held, p)
		held = append(held, p)
	}
	for _, p := range held {
		require.NoError(t, f.Free(p))
	}
	_, err = f.Alloc(total + 1<<30)
	require.ErrorIs(t, err, driver.ErrOutOfMemory)
	isError(t, err, false)
	for _, n := range []int64{0, -1} {
		_, err := f.Alloc(n)
		isError(t, err, false)
	}
	p := f.alloc(t, words(4, 1))
	require.Equal(t, words(4, 1), f.read(t, p, 16), "after refusals")
}

func copies(t *testing.T, f *fixture) {
	const n = 70000 // more than a driver copies at once
	from := f.alloc(t, words(n, 5))
	to := f.alloc(t, make([]byte, 4*n))
	require.NoError(t, f.stream.Copy(to, from, 4*n))
	require.Equal(t, words(n, 5), f.read(t, to, 4*n))
	// Parts, of any alignment.
	require.NoError(t, f.stream.CopyIn(to+3, []byte{1, 2, 3}))
	require.NoError(t, f.stream.Fill(to+7, 9, 2))
	require.NoError(t, f.stream.Copy(to+11, from+1, 5))
	want := words(5, 5)
	copy(want[3:], []byte{1, 2, 3})
	copy(want[7:], []byte{9, 9})
	copy(want[11:16], words(2, 5)[1:])
	require.Equal(t, want, f.read(t, to, 20))
	// Nothing.
	require.NoError(t, f.stream.CopyIn(to, nil))
	require.NoError(t, f.stream.CopyOut(nil, to))
	require.NoError(t, f.stream.Copy(to, from, 0))
	require.NoError(t, f.stream.Fill(to, 0, 0))
}

func pageLocked(t *testing.T, f *fixture) {
	for _, n := range []int{1, 4096, 100_001} {
		b, err := f.AllocHost(n)
		require.NoError(t, err)
		require.Len(t, b, n)
		for i := range b {
			b[i] = byte(i * 7)
		}
		p, err := f.Alloc(int64(n))
		require.NoError(t, err)
		require.NoError(t, f.stream.CopyIn(p, b))
		require.NoError(t, f.stream.Synchronize())
		want := bytes.Clone(b)
		clear(b)
		require.NoError(t, f.stream.CopyOut(b, p))
		require.NoError(t, f.stream.Synchronize())
		require.Equal(t, want, b)
		require.NoError(t, f.FreeHost(b))
	}
	require.Error(t, f.FreeHost(make([]byte, 8)), "memory from elsewhere")
	for _, n := range []int{0, -1} {
		_, err := f.AllocHost(n)
		isError(t, err, false)
	}
}

func launches(t *testing.T, f *fixture) {
	const n = 1000
	p := f.alloc(t, words(n, 0))
	for i := range 10 {
		require.NoError(t, f.launch(f.stream, p, n, i))
	}
	require.Equal(t, words(n, 45), f.read(t, p, 4*n))
	done, err := f.stream.Done()
	require.NoError(t, err)
	require.True(t, done)
}
