package kernels

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
)

type benchConv struct{ size, c, out, kernel, stride int }

// The convolutions of ResNet-50, each once.
var resnet50 = []benchConv{
	{224, 3, 64, 7, 2},
	{56, 64, 64, 1, 1},
	{56, 64, 64, 3, 1},
	{56, 64, 256, 1, 1},
	{56, 256, 64, 1, 1},
	{56, 256, 128, 1, 1},
	{56, 128, 128, 3, 2},
	{28, 128, 512, 1, 1},
	{56, 256, 512, 1, 2},
	{28, 512, 128, 1, 1},
	{28, 128, 128, 3, 1},
	{28, 512, 256, 1, 1},
	{28, 256, 256, 3, 2},
	{14, 256, 1024, 1, 1},
	{28, 512, 1024, 1, 2},
	{14, 1024, 256, 1, 1},
	{14, 256, 256, 3, 1},
	{14, 1024, 512, 1, 1},
	{14, 512, 512, 3, 2},
	{7, 512, 2048, 1, 1},
	{14, 1024, 2048, 1, 2},
	{7, 2048, 512, 1, 1},
	{7, 512, 512, 3, 1},
}

func (c benchConv) shape(batch int) ConvShape {
	return ConvShape{
		N: batch, H: c.size, W: c.size, C: c.c, OutC: c.out, KH: c.kernel, KW: c.kernel,
		StrideH: c.stride, StrideW: c.stride, PadH: c.kernel / 2, PadW: c.kernel / 2, DilH: 1, DilW: 1, Groups: 1,
	}
}

func directFLOPs(s ConvShape) int {
	return 2 * s.N * s.OutH() * s.OutW() * s.OutC * s.KH * s.KW * s.C / s.Groups
}

// inGoroutines computes all units of a convolution as the engine does.
func inGoroutines(threads int, units int, f func(lo, hi int)) {
	var wg sync.WaitGroup
	for i := 1; i < threads; i++ {
		wg.Go(func() { f(i*units/threads, (i+1)*units/threads) })
	}
	f(0, units/threads)
	wg.Wait()
}

func BenchmarkConv2D(b *testing.B) {
	rng := rand.New(rand.NewPCG(51, 52))
	eachPathBench(b, func(b *testing.B, prefix string) {
		for _, batch := range []int{1, 8} {
			for _, c := range resnet50 {
				s := c.shape(batch)
				x, packed := randoms(rng, s.N*s.H*s.W*s.C), make([]float32, s.PackedLen())
				PackConvFilters(packed, randoms(rng, s.OutC*s.C*s.KH*s.KW), s)
				out, e := make([]float32, s.N*s.OutH()*s.OutW()*s.OutC), ConvEpilogue{Bias: randoms(rng, s.OutC), ReLU: true}
				for _, threads := range []int{1, 2} {
					b.Run(fmt.Sprintf("%s/batch=%d/size=%d/in=%d/out=%d/kernel=%d/stride=%d/threads=%d", prefix, batch, c.size, c.c, c.out, c.kernel, c.stride, threads), func(b *testing.B) {
						b.ReportAllocs()
						for b.Loop() {
							inGoroutines(threads, s.Units(), func(lo, hi int) { Conv2D(out, x, packed, s, e, lo, hi) })
						}
						report(b, directFLOPs(s), 0)
					})
				}
			}
		}
	})
}
