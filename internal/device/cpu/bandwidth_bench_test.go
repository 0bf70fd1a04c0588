package cpu

import (
	"fmt"
	"sync"
	"testing"

	"github.com/genie-sdk/go/internal/benchname"
	"github.com/genie-sdk/go/internal/kernels"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// BenchmarkElements runs elementwise operators on arrays that are far larger than
// the caches, on all threads, beside the probe of how fast memory is read. The
// rate of an operator is that of the bytes that it must read and write.
func BenchmarkElements(b *testing.B) {
	const n = 1 << 26
	threads := 2
	d := alone(b, threads)
	x, y, z := op.NewArray(plan.F32, n), op.NewArray(plan.F32, n), op.NewArray(plan.F32, n)
	for i := range x.F32() {
		x.F32()[i], y.F32()[i], z.F32()[i] = float32(i%1000)/1000+0.5, float32(i%777)/777+0.5, 1
	}
	report := func(b *testing.B, bytes int) {
		b.ReportMetric(float64(bytes)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GB/s")
	}
	name := func(what string) string {
		return benchname.Of("elements", kernels.Path(), "op="+what, fmt.Sprintf("threads=%d", threads), "n=64Mi")
	}
	b.Run(name("probe-read"), func(b *testing.B) {
		for b.Loop() {
			var wg sync.WaitGroup
			for i := range threads {
				wg.Go(func() { kernels.ProbeRead(x.F32()[i*n/threads : (i+1)*n/threads]) })
			}
			wg.Wait()
		}
		report(b, 4*n)
	})
	shape := []int{n / 4096, 4096}
	view := func(a *op.Array, shape ...int) *op.Array {
		return &op.Array{DType: a.DType, Shape: shape, Strides: op.ContiguousStrides(shape), Data: a.Data}
	}
	mask := op.NewArray(plan.Bool, n)
	for i := range mask.Data {
		mask.Data[i] = byte(i & 1)
	}
	for _, c := range []struct {
		name  string
		bytes int
		o     op.Op
		out   *op.Array
		in    []*op.Array
	}{
		{"add", 12 * n, op.Add(), z, []*op.Array{x, y}},
		{"add-row", 8 * n, op.Add(), view(z, shape...), []*op.Array{view(x, shape...), view(y, 4096)}},
		{"add-column", 8 * n, op.Add(), view(z, shape...), []*op.Array{view(x, shape...), view(y, shape[0], 1)}},
		{"add-mask", 8 * n, op.Add(), view(z, 64, 16, 256, 256), []*op.Array{view(x, 64, 16, 256, 256), view(y, 64, 1, 1, 256)}},
		{"mul-scalar", 8 * n, op.Mul(), z, []*op.Array{x, view(y, 1)}},
		{"max", 12 * n, op.Max(), z, []*op.Array{x, y}},
		{"sqrt", 8 * n, op.Sqrt{}, z, []*op.Array{x}},
		{"exp", 8 * n, op.Exp{}, z, []*op.Array{x}},
		{"log", 8 * n, op.Log(), z, []*op.Array{x}},
		{"sin", 8 * n, op.Sin(), z, []*op.Array{x}},
		{"erf", 8 * n, op.Erf(), z, []*op.Array{x}},
		{"tanh", 8 * n, op.Tanh{}, z, []*op.Array{x}},
		{"pow", 12 * n, op.Pow(), z, []*op.Array{x, y}},
		{"where", 13 * n, op.Where{}, z, []*op.Array{mask, x, y}},
		{"less", 9 * n, op.Less(), mask, []*op.Array{x, y}},
	} {
		s := elementStep(b, d, c.o, c.out, c.in...)
		b.Run(name(c.name), func(b *testing.B) {
			for b.Loop() {
				if err := runPointwise(s); err != nil {
					b.Fatal(err)
				}
			}
			report(b, c.bytes)
		})
	}
}
