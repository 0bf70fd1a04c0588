package studies_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/baselines/systems"
	"github.com/genie-sdk/go/internal/benchname"
)

// convLibraries are the libraries of the convolutions; the first is the
// reference of whole networks.
var convLibraries = []string{systems.TorchContiguous, systems.TorchChannelsLast, systems.TorchPacked, systems.ORT}

// convLayer is a layer of ResNet-50 on images of 224 by 224, with its batch
// normalization folded into weights and bias.
type convLayer struct {
	c, size, oc, k, stride, pad int
	relu, residual              bool
	times                       int // how often the network contains it
}

func (l convLayer) String() string {
	s := fmt.Sprintf("%dx%d-%d-k%d-s%d", l.c, l.size, l.oc, l.k, l.stride)
	if l.residual {
		s += "-add"
	}
	if l.relu {
		s += "-relu"
	}
	return s
}

func (l convLayer) out() int { return (l.size+2*l.pad-l.k)/l.stride + 1 }

func (l convLayer) flops(batch int) float64 {
	return 2 * float64(batch*l.oc*l.out()*l.out()) * float64(l.c*l.k*l.k)
}

// resnet50Layers are its distinct layers.
func resnet50Layers() []convLayer {
	layers := []convLayer{{c: 3, size: 224, oc: 64, k: 7, stride: 2, pad: 3, relu: true, times: 1}}
	in, size, stride := 64, 56, 1
	for stage, blocks := range []int{3, 4, 6, 3} {
		width, half := 64<<stage, size/stride
		first, others := blocks, 0 // blocks with the first block's 3x3 layer, and blocks with another
		if stride == 2 {
			first, others = 1, blocks-1
		}
		layers = append(layers,
			convLayer{c: in, size: size, oc: width, k: 1, stride: 1, relu: true, times: 1},
			convLayer{c: width, size: size, oc: width, k: 3, stride: stride, pad: 1, relu: true, times: first},
			convLayer{c: width, size: half, oc: 4 * width, k: 1, stride: 1, relu: true, residual: true, times: blocks},
			convLayer{c: in, size: size, oc: 4 * width, k: 1, stride: stride, times: 1},
			convLayer{c: 4 * width, size: half, oc: width, k: 1, stride: 1, relu: true, times: blocks - 1},
		)
		if others > 0 {
			layers = append(layers, convLayer{c: width, size: half, oc: width, k: 3, stride: 1, pad: 1, relu: true, times: others})
		}
		in, size, stride = 4*width, half, 2
	}
	return layers
}

// input generates a layer's tensors from a seed.
func (l convLayer) input(batch int) systems.Conv {
	rng := rand.New(rand.NewPCG(1, 2))
	make32 := func(scale float64, shape ...int) systems.Tensor {
		n := 1
		for _, d := range shape {
			n *= d
		}
		x := make([]float32, n)
		for i := range x {
			x[i] = float32(scale * rng.NormFloat64())
		}
		return systems.F32(x, shape...)
	}
	v := systems.Conv{
		Stride: l.stride, Pad: l.pad, ReLU: l.relu,
		X: make32(1, batch, l.c, l.size, l.size),
		W: make32(1/math.Sqrt(float64(l.c*l.k*l.k)), l.oc, l.c, l.k, l.k),
		B: make32(1, l.oc),
	}
	if l.residual {
		r := make32(1, batch, l.oc, l.out(), l.out())
		v.Residual = &r
	}
	return v
}

// check computes some of the outputs in float64 and compares.
func (l convLayer) check(v systems.Conv, batch int, y systems.Tensor) error {
	o := l.out()
	if want := []int{batch, l.oc, o, o}; !slices.Equal(y.Shape, want) {
		return fmt.Errorf("shape %v, want %v", y.Shape, want)
	}
	x, w, bias, got := v.X.Float32s(), v.W.Float32s(), v.B.Float32s(), y.Float32s()
	var residual []float32
	if l.residual {
		residual = v.Residual.Float32s()
	}
	rng := rand.New(rand.NewPCG(3, 4))
	for range 500 {
		i := rng.IntN(len(got))
		n, oc, oy, ox := i/(l.oc*o*o), i/(o*o)%l.oc, i/o%o, i%o
		sum := float64(bias[oc])
		for c := range l.c {
			for ky := range l.k {
				for kx := range l.k {
					iy, ix := oy*l.stride-l.pad+ky, ox*l.stride-l.pad+kx
					if iy >= 0 && iy < l.size && ix >= 0 && ix < l.size {
						sum += float64(x[((n*l.c+c)*l.size+iy)*l.size+ix]) * float64(w[((oc*l.c+c)*l.k+ky)*l.k+kx])
					}
				}
			}
		}
		if l.residual {
			sum += float64(residual[i])
		}
		if l.relu {
			sum = max(sum, 0)
		}
		if d := math.Abs(sum - float64(got[i])); !(d <= 1e-4) {
			return fmt.Errorf("output %d of %v is %g, want %g", i, l, got[i], sum)
		}
	}
	return nil
}

func startConvolutions(b *testing.B, threads int) *systems.Convolutions {
	b.Helper()
	if err := systems.Available(systems.ResNet); err != nil {
		b.Skip(err)
	}
	c, err := systems.StartConvolutions(context.Background(), systems.Options{Threads: threads})
	if errors.Is(err, systems.ErrUnavailable) {
		b.Skip(err)
	}
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := c.Close(); err != nil {
			b.Error(err)
		}
	})
	return c
}

// convName is the name of one layer's benchmark.
func convName(baseline, threads string, batch int, l convLayer) string {
	return benchname.Of("conv", baseline, "threads="+threads, fmt.Sprintf("batch=%d", batch), fmt.Sprintf("layer=%v", l))
}

// resnet50Name is the name of the whole network's benchmark.
func resnet50Name(baseline, threads string, batch int) string {
	return benchname.Of("resnet50", baseline, "net=none", "threads="+threads, fmt.Sprintf("batch=%d", batch))
}

// reportOwn reports the times of b.N operations that a reference system
// repeated itself and timed by its own clock, so that no tensor moves in
// between: their mean as ns/op, and the minimum.
func reportOwn(b *testing.B, times []time.Duration) (mean time.Duration) {
	b.Helper()
	if len(times) != b.N {
		b.Fatalf("%d operations were timed, not %d", len(times), b.N)
	}
	for _, d := range times {
		mean += d
	}
	mean /= time.Duration(len(times))
	b.ReportMetric(float64(mean), "ns/op")
	b.ReportMetric(float64(slices.Min(times)), "min-ns")
	return mean
}

// repeat requests b.N operations from a reference system, however long they
// take.
func repeat(b *testing.B) systems.Timing {
	b.Helper()
	return systems.Timing{Repeat: b.N, For: time.Hour}
}

// BenchmarkConv_ReferenceSystems times every layer of ResNet-50 with every
// library.
func BenchmarkConv_ReferenceSystems(b *testing.B) {
	for _, threads := range threadCounts {
		c := startConvolutions(b, threads.n)
		for _, batch := range []int{1, 8} {
			for _, l := range resnet50Layers() {
				v := l.input(batch)
				for _, library := range convLibraries {
					b.Run(convName(library, threads.name, batch, l), func(b *testing.B) {
						times, y, err := c.Layer(context.Background(), library, v, repeat(b))
						if err == nil {
							err = l.check(v, batch, y)
						}
						if err != nil {
							b.Fatal(err)
						}
						b.ReportMetric(l.flops(batch)/float64(reportOwn(b, times)), "GF/s")
					})
				}
			}
		}
	}
}

// BenchmarkResNet50_ReferenceSystems times the whole network with every
// library; the logits must agree.
func BenchmarkResNet50_ReferenceSystems(b *testing.B) {
	for _, threads := range threadCounts {
		c := startConvolutions(b, threads.n)
		for _, batch := range []int{1, 8} {
			var want []float32
			for _, library := range convLibraries {
				b.Run(resnet50Name(library, threads.name, batch), func(b *testing.B) {
					// The first call builds the network, which takes long.
					if _, _, err := c.ResNet50(context.Background(), library, batch, systems.Timing{Repeat: 1}); err != nil {
						b.Fatal(err)
					}
					b.ResetTimer()
					times, y, err := c.ResNet50(context.Background(), library, batch, repeat(b))
					if err != nil {
						b.Fatal(err)
					}
					got := y.Float32s()
					if want == nil {
						want = got
					}
					require.InDeltaSlice(b, want, got, 1e-4)
					b.ReportMetric(float64(batch)/reportOwn(b, times).Seconds(), "images/s")
				})
			}
		}
	}
}

// TestConvLayers checks the list: the convolutions of a ResNet-50 do 8.2 GFLOP
// per image when each layer is multiplied by its number of occurrences.
func TestConvLayers(t *testing.T) {
	layers := resnet50Layers()
	require.Len(t, layers, 24)
	total := 0.0
	for _, l := range layers {
		total += float64(l.times) * l.flops(1)
	}
	require.InDelta(t, 8.18e9, total, 0.01e9)
}
