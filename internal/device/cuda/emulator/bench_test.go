package emulator_test

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/benchname"
	"github.com/genie-sdk/go/internal/device/cuda/driver"
	"github.com/genie-sdk/go/internal/device/cuda/emulator"
)

// BenchmarkEmulator measures the instructions of single threads that one worker
// executes in a second, in a product through shared memory.
func BenchmarkEmulator(b *testing.B) {
	const rows, cols, inner = 128, 128, 256
	r := rand.New(rand.NewPCG(7, 8))
	for _, level := range []struct {
		name  string
		check emulator.Check
	}{{"full", emulator.Full}, {"bounds", emulator.Bounds}} {
		b.Run(benchname.Of("emulator", level.name), func(b *testing.B) {
			m := open(b, emulator.Options{Check: level.check, Workers: 1})
			pa, pb, pc := m.put(floatBytes(randoms(r, rows*inner))), m.put(floatBytes(randoms(r, inner*cols))), m.alloc(4*rows*cols)
			f := m.function(fixture(b, "matrix"), "tile")
			a := args(uint64(pa), uint64(pb), uint64(pc), dims(rows, cols), dims(inner, 0))
			before := m.d.Counts().Threads
			b.ReportAllocs()
			for b.Loop() {
				require.NoError(b, m.s.Launch(f, driver.Dim{X: cols / 64, Y: rows / 64, Z: 1}, line(256), 0, a))
				require.NoError(b, m.s.Synchronize())
			}
			b.ReportMetric(float64(m.d.Counts().Threads-before)/b.Elapsed().Seconds(), "instructions/s")
		})
	}
}
