package kernels

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestConvolutionsOfWrongSizesPanic(t *testing.T) {
	f := func(n int) []float32 { return make([]float32, n) }
	s := simple(1, 4, 2, 3, 3, 1, 1)
	packed := f(s.PackedLen())
	run := func(s ConvShape, out, x int, e ConvEpilogue) { Conv2D(f(out), f(x), packed, s, e, 0, 1, nil) }
	p := PoolShape{N: 1, H: 4, W: 4, C: 2, KH: 2, KW: 2, StrideH: 2, StrideW: 2}
	for name, call := range map[string]func(){
		"x":               func() { run(s, 48, 31, ConvEpilogue{}) },
		"out":             func() { run(s, 47, 32, ConvEpilogue{}) },
		"bias":            func() { run(s, 48, 32, ConvEpilogue{Bias: f(2)}) },
		"residual":        func() { run(s, 48, 32, ConvEpilogue{Residual: f(47)}) },
		"packed":          func() { Conv2D(f(48), f(32), packed[1:], s, ConvEpilogue{}, 0, 1, nil) },
		"units":           func() { Conv2D(f(48), f(32), packed, s, ConvEpilogue{}, 0, s.Units()+1, nil) },
		"groups":          func() { run(grouped(s, 2), 48, 32, ConvEpilogue{}) },
		"stride":          func() { run(s.with(func(s *ConvShape) { s.StrideW = 0 }), 48, 32, ConvEpilogue{}) },
		"pad":             func() { run(s.with(func(s *ConvShape) { s.PadH = -1 }), 48, 32, ConvEpilogue{}) },
		"window":          func() { run(s.with(func(s *ConvShape) { s.KH = 7 }), 48, 32, ConvEpilogue{}) },
		"overflow":        func() { run(s.with(func(s *ConvShape) { s.N = math.MaxInt / 4 }), 48, 32, ConvEpilogue{}) },
		"overflow side":   func() { run(s.with(func(s *ConvShape) { s.PadH = math.MaxInt / 2 }), 48, 32, ConvEpilogue{}) },
		"overflow packed": func() { s.with(func(s *ConvShape) { s.C, s.OutC = 1<<31, 1<<31 }).PackedLen() },
		"pack dst":        func() { PackConvFilters(packed[1:], f(54), s, nil, nil) },
		"pack filters":    func() { PackConvFilters(packed, f(53), s, nil, nil) },
		"fold":            func() { FoldBatchNorm(make([]float64, 3), f(2), f(2), f(2), f(2), f(2), 1, nil) },
		"fold bias":       func() { FoldBatchNorm(make([]float64, 2), f(1), f(2), f(2), f(2), f(2), 1, nil) },
		"pool x":          func() { MaxPool2D(f(8), f(31), p, 0, 2, nil) },
		"pool out":        func() { AvgPool2D(f(7), f(32), p, true, 0, 2, nil) },
		"pool rows":       func() { MaxPool2D(f(8), f(32), p, 1, 3, nil) },
		"pool pad":        func() { p := p; p.PadW = 2; MaxPool2D(f(8), f(32), p, 0, 1, nil) },
		"layout":          func() { ChannelsLast(f(5), f(6), 1, 2, 3, 0, 1, nil) },
		"layout src":      func() { ChannelsFirst(f(6), f(5), 1, 2, 3, 0, 1, nil) },
	} {
		t.Run("call="+name, func(t *testing.T) {
			defer func() {
				require.Contains(t, fmt.Sprint(recover()), "kernels: ")
			}()
			call()
		})
	}
}
