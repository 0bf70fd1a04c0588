package kernels

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/genie-sdk/go/internal/benchname"
)

type benchConv struct{ size, c, out, kernel, stride, count int }

// The convolutions of ResNet-50 and how often it has them.
var resnet50 = []benchConv{
	{224, 3, 64, 7, 2, 1},
	{56, 64, 64, 1, 1, 1},
	{56, 64, 64, 3, 1, 3},
	{56, 64, 256, 1, 1, 4},
	{56, 256, 64, 1, 1, 2},
	{56, 256, 128, 1, 1, 1},
	{56, 128, 128, 3, 2, 1},
	{28, 128, 512, 1, 1, 4},
	{56, 256, 512, 1, 2, 1},
	{28, 512, 128, 1, 1, 3},
	{28, 128, 128, 3, 1, 3},
	{28, 512, 256, 1, 1, 1},
	{28, 256, 256, 3, 2, 1},
	{14, 256, 1024, 1, 1, 6},
	{28, 512, 1024, 1, 2, 1},
	{14, 1024, 256, 1, 1, 5},
	{14, 256, 256, 3, 1, 5},
	{14, 1024, 512, 1, 1, 1},
	{14, 512, 512, 3, 2, 1},
	{7, 512, 2048, 1, 1, 3},
	{14, 1024, 2048, 1, 2, 1},
	{7, 2048, 512, 1, 1, 2},
	{7, 512, 512, 3, 1, 2},
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
	eachPathBench(b, func(b *testing.B, path string) {
		for _, batch := range []int{1, 8} {
			for _, c := range resnet50 {
				s := c.shape(batch)
				x, packed := randoms(rng, s.N*s.H*s.W*s.C), make([]float32, s.PackedLen())
				PackConvFilters(packed, randoms(rng, s.OutC*s.C*s.KH*s.KW), s, nil, nil)
				out, e := make([]float32, s.N*s.OutH()*s.OutW()*s.OutC), ConvEpilogue{Bias: randoms(rng, s.OutC), ReLU: true}
				for _, threads := range []int{1, 2} {
					if batch > 1 && !benchAll() {
						continue
					}
					layer := fmt.Sprintf("layer=%dx%d-%d-k%d-s%d", c.c, c.size, c.out, c.kernel, c.stride)
					b.Run(benchname.Of("conv2d", path, fmt.Sprintf("batch=%d", batch), layer, fmt.Sprintf("threads=%d", threads)), func(b *testing.B) {
						b.ReportAllocs()
						for b.Loop() {
							inGoroutines(threads, s.Units(), func(lo, hi int) { Conv2D(out, x, packed, s, e, lo, hi, nil) })
						}
						report(b, directFLOPs(s), 0)
					})
				}
			}
		}
	})
}

// All convolutions of ResNet-50 in turn, each with its own filters, as they are
// when a model runs: out of the caches.
func BenchmarkResNet50Convolutions(b *testing.B) {
	rng := rand.New(rand.NewPCG(53, 54))
	eachPathBench(b, func(b *testing.B, path string) {
		for _, batch := range []int{1, 8} {
			type layer struct {
				ConvShape
				packed []float32
			}
			var layers []layer
			var in, out, flops int
			for _, c := range resnet50 {
				s := c.shape(batch)
				packed := make([]float32, s.PackedLen())
				PackConvFilters(packed, randoms(rng, s.OutC*s.C*s.KH*s.KW), s, nil, nil)
				for range c.count {
					layers = append(layers, layer{s, slices.Clone(packed)})
					flops += directFLOPs(s)
				}
				in, out = max(in, s.N*s.H*s.W*s.C), max(out, s.N*s.OutH()*s.OutW()*s.OutC)
			}
			x, y, bias := randoms(rng, in), make([]float32, out), randoms(rng, 2048)
			for _, threads := range []int{1, 2} {
				b.Run(benchname.Of("resnet50-convolutions", path, fmt.Sprintf("batch=%d", batch), fmt.Sprintf("threads=%d", threads)), func(b *testing.B) {
					for b.Loop() {
						for _, l := range layers {
							inGoroutines(threads, l.Units(), func(lo, hi int) {
								Conv2D(y, x, l.packed, l.ConvShape, ConvEpilogue{Bias: bias[:l.OutC], ReLU: true}, lo, hi, nil)
							})
						}
					}
					report(b, flops, 0)
				})
			}
		}
	})
}
