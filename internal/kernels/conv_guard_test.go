//go:build unix

package kernels

import (
	"math/rand/v2"
	"testing"
)

func TestConv2DStaysInBounds(t *testing.T) {
	eachGuard(t, func(_ *testing.T, mem *arena) {
		rng := rand.New(rand.NewPCG(81, 82))
		shapes := []ConvShape{
			simple(1, 5, 7, 19, 1, 1, 0), simple(1, 9, 3, 16, 7, 2, 3), simple(1, 6, 17, 16, 3, 1, 0), simple(1, 8, 16, 16, 3, 1, 1),
			simple(1, 6, 16, 16, 3, 1, 0), grouped(simple(1, 5, 24, 24, 3, 1, 1), 24), grouped(simple(1, 5, 13, 13, 3, 2, 0), 13),
			grouped(simple(1, 4, 12, 36, 2, 1, 1), 3), simple(2, 1, 1, 1, 1, 1, 0),
			simple(1, 5, 9, 33, 1, 1, 0), simple(1, 6, 5, 64, 3, 2, 1), simple(1, 7, 17, 47, 3, 1, 1),
			grouped(simple(1, 3, 33, 33, 3, 1, 1), 33), grouped(simple(1, 3, 65, 65, 3, 1, 1), 65), grouped(simple(1, 3, 111, 111, 1, 1, 0), 111),
		}
		for len(shapes) < 40 {
			if s := randomShape(rng); s.PackedLen() <= guardedSlot/4 && max(s.N*s.H*s.W*s.C, s.N*s.OutH()*s.OutW()*s.OutC) <= guardedSlot/4 {
				shapes = append(shapes, s)
			}
		}
		for _, s := range shapes {
			mem.reset()
			outputs := s.N * s.OutH() * s.OutW() * s.OutC
			packed, out := guarded[float32](mem, s.PackedLen()), guarded[float32](mem, outputs)
			PackConvFilters(packed, mem.copyOf(randoms(rng, s.OutC*s.C/s.Groups*s.KH*s.KW)), s, nil, nil)
			e := ConvEpilogue{Bias: mem.copyOf(randoms(rng, s.OutC)), Residual: mem.copyOf(randoms(rng, outputs)), ReLU: true}
			x := mem.copyOf(randoms(rng, s.N*s.H*s.W*s.C))
			Conv2D(out, x, packed, s, e, 0, s.Units(), nil)
			Conv2D(out, x, packed, s, ConvEpilogue{}, 0, s.Units()/2, nil)
		}
	})
}

func TestPoolingStaysInBounds(t *testing.T) {
	eachGuard(t, func(_ *testing.T, mem *arena) {
		rng := rand.New(rand.NewPCG(83, 84))
		for _, s := range poolShapes {
			mem.reset()
			x, out := mem.copyOf(randoms(rng, s.N*s.H*s.W*s.C)), guarded[float32](mem, s.N*s.OutH()*s.OutW()*s.C)
			MaxPool2D(out, x, s, 0, s.Units(), nil)
			AvgPool2D(out, x, s, true, 0, s.Units(), nil)
		}
		for channels := 1; channels < 20; channels++ {
			for _, pixels := range []int{1, 2, 7, 8, 9, 63, 64, 65, 80} {
				mem.reset()
				x, out := mem.copyOf(randoms(rng, 2*channels*pixels)), guarded[float32](mem, 2*channels*pixels)
				ChannelsLast(out, x, 2, channels, pixels, 0, LayoutUnits(2, pixels), nil)
				ChannelsFirst(out, x, 2, channels, pixels, 0, LayoutUnits(2, pixels), nil)
			}
		}
	})
}
