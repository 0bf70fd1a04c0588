package emulator_test

import (
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/device/cuda/driver"
	"github.com/genie-sdk/go/internal/device/cuda/emulator"
)

// words are n words: the remainders of 0, 1, … by 8, from 1 on, mixed.
func words(n int) []byte {
	var b []byte
	for i := range n {
		b = binary.LittleEndian.AppendUint32(b, uint32(i*5%8+1))
	}
	return b
}

// planted are kernels of planted.cu and the errors of those with a fault.
var planted = []struct {
	name         string
	blocks, size int // of the grid and the block
	n            uint64
	want         string
	detail       string
}{
	// The warp that writes what the first one reads has not run yet.
	{"missing_barrier", 2, 64, 0, emulator.UnwrittenRead, "shared memory"},
	{"missing_second_barrier", 1, 64, 4, emulator.DataRace, "of the block wrote, and nothing orders"},
	{"missing_warp_sync", 1, 32, 0, emulator.DataRace, "wrote, and nothing orders"},
	{"byte_race", 1, 64, 0, emulator.DataRace, "wrote, and nothing orders"},
	{"race_of_threads", 1, 64, 0, emulator.DataRace, "an allocation"},
	{"race_of_blocks", 8, 1, 0, emulator.DataRace, "an allocation"},
	{"missing_fence", 8, 1, 0, emulator.DataRace, "an allocation"},
	{"off_by_one", 1, 64, 64, emulator.IllegalAddress, "offset 256"},
	{"shared_off_by_one", 1, 64, 0, emulator.IllegalAddress, "offset 252"},
	{"unwritten_shared", 1, 64, 0, emulator.UnwrittenRead, "offset 68 of the 256 bytes of shared memory"},
	{"unwritten_local", 1, 64, 3, emulator.UnwrittenRead, "local memory"},
	{"misaligned", 1, 16, 0, emulator.MisalignedAddress, "not aligned to 8 bytes"},
	{"divergent_warp", 1, 64, 0, emulator.BarrierDivergence, "16 threads of the warp are at a barrier and 16 are elsewhere"},
	{"divergent_block", 1, 64, 0, emulator.BarrierDivergence, "waits at the barrier of PTX line"},
	{"divergent_shuffle", 1, 32, 0, emulator.BarrierDivergence, "lanes 0xffff0000 are elsewhere"},
	{"missing_wait", 1, 64, 0, emulator.DataRace, "cp.async"},
}

// TestPlanted: the emulator finds each planted fault, and passes the same kernel
// without it, whether blocks run one after another or at once.
func TestPlanted(t *testing.T) {
	ptx := fixture(t, "planted")
	for _, workers := range []int{1, 4} {
		for _, c := range planted {
			for _, twin := range []string{"", "_twin"} {
				t.Run(c.name+twin, func(t *testing.T) {
					m := open(t, emulator.Options{Workers: workers})
					y := m.put(make([]byte, 1024))
					if c.name == "off_by_one" {
						y = m.alloc(4 * int(c.n)) // the fault is just behind it
					}
					x := m.put(words(256))
					f := m.function(ptx, c.name+twin)
					require.NoError(t, m.s.Launch(f, line(c.blocks), line(c.size), 0, args(uint64(x), uint64(y), c.n)))
					err := m.s.Synchronize()
					if twin != "" {
						require.NoError(t, err)
						return
					}
					var e *driver.Error
					require.ErrorAs(t, err, &e)
					require.Equal(t, c.want, e.Name, e.Detail)
					require.True(t, e.Sticky)
					require.Contains(t, e.Detail, "kernel "+c.name+", PTX line ")
					require.Contains(t, e.Detail, c.detail)
					_, err = m.c.Alloc(1)
					require.ErrorIs(t, err, e, "the context is lost")
				})
			}
		}
	}
}

// TestBoundsLevel: the level Bounds finds what it says, and lets races and
// unwritten memory pass.
func TestBoundsLevel(t *testing.T) {
	ptx := fixture(t, "planted")
	for _, c := range planted {
		m := open(t, emulator.Options{Check: emulator.Bounds})
		x, y := m.put(words(256)), m.put(make([]byte, 1024))
		if c.name == "off_by_one" {
			y = m.alloc(4 * int(c.n))
		}
		f := m.function(ptx, c.name)
		require.NoError(t, m.s.Launch(f, line(c.blocks), line(c.size), 0, args(uint64(x), uint64(y), c.n)))
		err := m.s.Synchronize()
		if c.want == emulator.DataRace || c.want == emulator.UnwrittenRead {
			require.NoError(t, err, c.name)
			continue
		}
		var e *driver.Error
		require.ErrorAs(t, err, &e, c.name)
		require.Equal(t, c.want, e.Name)
	}
}

// TestDivergence: threads that part and meet again compute what Go computes.
func TestDivergence(t *testing.T) {
	const n = 1000
	steps := func(v int64) uint32 {
		s := uint32(0)
		for v != 1 {
			if v <= 0 {
				break
			}
			if v&1 != 0 {
				v = 3*v + 1
				if s > 100 {
					return 999
				}
			} else {
				v /= 2
			}
			switch s & 3 {
			case 0:
				s += 2
			case 1:
				s++
			case 2:
				s += 2
			default:
				s--
			}
		}
		return s
	}
	m := open(t, emulator.Options{})
	var in, init []byte
	for i := range n {
		in = binary.LittleEndian.AppendUint32(in, uint32(i*7919%5000))
		init = binary.LittleEndian.AppendUint32(init, 999)
	}
	x, y := m.put(in), m.put(init)
	require.NoError(t, m.s.Launch(m.function(fixture(t, "planted"), "collatz"), line(8), line(160), 0, args(uint64(x), uint64(y), n)))
	out := m.get(y, 4*n)
	for i := range n {
		require.Equal(t, steps(int64(i*7919%5000)), binary.LittleEndian.Uint32(out[4*i:]), i)
	}
}

// TestLaunchLimits: a launch beyond a limit is refused, and the context stays.
func TestLaunchLimits(t *testing.T) {
	m := open(t, emulator.Options{})
	ptx := fixture(t, "planted")
	y := m.put(make([]byte, 4096))
	x := m.put(words(1024))
	a := args(uint64(x), uint64(y), 1)
	f := m.function(ptx, "off_by_one_twin")
	for _, c := range []struct {
		name        string
		grid, block driver.Dim
		shared      int
		args        []byte
		want        string
	}{
		{"threads", line(1), driver.Dim{X: 32, Y: 33, Z: 1}, 0, a, "blocks of {32 33 1} threads"},
		{"no threads", line(1), driver.Dim{X: 32, Y: 0, Z: 1}, 0, a, "blocks of"},
		{"no blocks", line(0), line(1), 0, a, "a grid of"},
		{"grid", driver.Dim{X: 1, Y: 65536, Z: 1}, line(1), 0, a, "a grid of"},
		{"depth", line(1), driver.Dim{X: 1, Y: 1, Z: 65}, 0, a, "blocks of"},
		{"shared", line(1), line(1), 48<<10 + 1, a, "49153 bytes of dynamic shared memory"},
		{"short", line(1), line(1), 0, a[:16], "16 bytes of parameters, and it declares 24"},
		{"long", line(1), line(1), 0, args(1, 2, 3, 4), "32 bytes of parameters"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := m.s.Launch(f, c.grid, c.block, c.shared, c.args)
			var e *driver.Error
			require.ErrorAs(t, err, &e)
			require.Equal(t, emulator.InvalidValue, e.Name)
			require.False(t, e.Sticky)
			require.Contains(t, e.Detail, c.want)
			require.NoError(t, m.s.Launch(f, line(1), line(1024), 0, a))
			require.NoError(t, m.s.Synchronize())
		})
	}
}

// TestDynamicShared: a launch has the shared memory that it asks for, and no
// more, and beyond 48 KiB only after AllowShared.
func TestDynamicShared(t *testing.T) {
	m := open(t, emulator.Options{})
	y := m.put(make([]byte, 4096))
	f := m.function(fixture(t, "planted"), "dynamic_shared")
	const n = 20_000
	a := args(uint64(y), uint64(y), n)
	require.Error(t, m.s.Launch(f, line(1), line(256), 4*n, a))
	require.Error(t, f.AllowShared(164<<10))
	require.NoError(t, f.AllowShared(4*n))
	require.NoError(t, m.s.Launch(f, line(1), line(256), 4*n, a))
	out := m.get(y, 4)
	require.Equal(t, uint32(n-1), binary.LittleEndian.Uint32(out))
	require.NoError(t, m.s.Launch(f, line(1), line(256), 4*n-4, a))
	var e *driver.Error
	require.ErrorAs(t, m.s.Synchronize(), &e)
	require.Equal(t, emulator.IllegalAddress, e.Name)
}

// TestEndless: a kernel that never ends times out, and one that runs ends when
// its context is closed.
func TestEndless(t *testing.T) {
	m := open(t, emulator.Options{Steps: 1 << 20})
	y := m.put(make([]byte, 8))
	f := m.function(fixture(t, "planted"), "endless")
	require.NoError(t, m.s.Launch(f, line(1), line(32), 0, args(0, uint64(y), 0)))
	var e *driver.Error
	require.ErrorAs(t, m.s.Synchronize(), &e)
	require.Equal(t, emulator.LaunchTimeout, e.Name)

	m = open(t, emulator.Options{Eager: true})
	y = m.put(make([]byte, 8))
	f = m.function(fixture(t, "planted"), "endless")
	require.NoError(t, m.s.Launch(f, line(1), line(32), 0, args(0, uint64(y), 0)))
	require.NoError(t, m.c.Close())
	require.ErrorAs(t, m.s.Synchronize(), &e)
	require.Equal(t, emulator.ContextDestroyed, e.Name)
}
