package studies_test

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/baselines/systems"
	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/internal/kernels"
	"github.com/genie-sdk/go/transport/local"
	"github.com/genie-sdk/go/workloads/resnet"
)

// engineConv is a layer as the engine runs it between others: images with
// channels last, filters packed.
type engineConv struct {
	shape       kernels.ConvShape
	epilogue    kernels.ConvEpilogue
	x, w, y     []float32
	outH, outW  int
	threads     int
	unitsAtOnce int
}

func newEngineConv(l convLayer, v systems.Conv, batch, threads int) *engineConv {
	e := &engineConv{
		shape: kernels.ConvShape{
			N: batch, C: l.c, H: l.size, W: l.size, OutC: l.oc, KH: l.k, KW: l.k,
			StrideH: l.stride, StrideW: l.stride, PadH: l.pad, PadW: l.pad, DilH: 1, DilW: 1, Groups: 1,
		},
		threads: threads,
	}
	e.outH, e.outW = e.shape.OutH(), e.shape.OutW()
	turn := func(src []float32, c, pixels int) []float32 {
		dst := make([]float32, len(src))
		kernels.ChannelsLast(dst, src, batch, c, pixels, 0, kernels.LayoutUnits(batch, pixels), nil)
		return dst
	}
	e.x = turn(v.X.Float32s(), l.c, l.size*l.size)
	e.w = make([]float32, e.shape.PackedLen())
	kernels.PackConvFilters(e.w, v.W.Float32s(), e.shape, nil, nil)
	e.y = make([]float32, batch*e.outH*e.outW*l.oc)
	e.epilogue = kernels.ConvEpilogue{Bias: v.B.Float32s(), ReLU: l.relu}
	if v.Residual != nil {
		e.epilogue.Residual = turn(v.Residual.Float32s(), l.oc, e.outH*e.outW)
	}
	e.unitsAtOnce = max(1, e.shape.Units()/(8*threads))
	return e
}

func (e *engineConv) run() {
	units := e.shape.Units()
	var next atomic.Int64
	work := func() {
		for {
			hi := int(next.Add(int64(e.unitsAtOnce)))
			lo := hi - e.unitsAtOnce
			if lo >= units {
				return
			}
			kernels.Conv2D(e.y, e.x, e.w, e.shape, e.epilogue, lo, min(hi, units), nil)
		}
	}
	var wg sync.WaitGroup
	for range e.threads - 1 {
		wg.Go(work)
	}
	work()
	wg.Wait()
}

// result is the output in the layout of the reference system.
func (e *engineConv) result(batch int) systems.Tensor {
	out := make([]float32, len(e.y))
	pixels := e.outH * e.outW
	kernels.ChannelsFirst(out, e.y, batch, e.shape.OutC, pixels, 0, kernels.LayoutUnits(batch, pixels), nil)
	return systems.F32(out, batch, e.shape.OutC, e.outH, e.outW)
}

// BenchmarkResNet50_Engine times the whole network of
// [BenchmarkResNet50_ReferenceSystems], from its checkpoint, on the same
// images; the logits must agree.
func BenchmarkResNet50_Engine(b *testing.B) {
	c := startConvolutions(b, 0)
	ctx := context.Background()
	dir := b.TempDir()
	const most = 8
	images, logits, err := c.Checkpoint(ctx, dir, most)
	if err != nil {
		b.Fatal(err)
	}
	m, err := resnet.Load(ctx, dir, resnet.LoadOptions{})
	if err != nil {
		b.Fatal(err)
	}
	defer m.Close()
	x, want := images.Float32s(), logits.Float32s()
	for _, threads := range threadCounts {
		for _, batch := range []int{1, most} {
			b.Run(resnet50Name("genie", threads.name, batch), func(b *testing.B) {
				s, err := opened(b, local.WithThreads(threads.n)).NewSession(ctx)
				if err != nil {
					b.Fatal(err)
				}
				b.Cleanup(func() { _ = s.Close() })
				feed := genie.Feed{"pixels": genie.Float32s(x[:len(x)/most*batch], batch, 3, 224, 224)}
				var got []float32
				run := func() {
					out, err := s.Run(ctx, feed, m.Logits)
					if err == nil {
						got, err = out[0].Float32s(ctx)
					}
					if err != nil {
						b.Fatal(err)
					}
				}
				run()
				require.InDeltaSlice(b, want[:len(want)/most*batch], got, 1e-4)
				for b.Loop() {
					run()
				}
				require.InDeltaSlice(b, want[:len(want)/most*batch], got, 1e-4)
				b.ReportMetric(float64(batch*b.N)/b.Elapsed().Seconds(), "images/s")
			})
		}
	}
}

// BenchmarkConv_Engine times every layer of ResNet-50 as
// [BenchmarkConv_ReferenceSystems] does.
func BenchmarkConv_Engine(b *testing.B) {
	for _, threads := range threadCounts {
		n := threads.n
		if n == 0 {
			n = runtime.GOMAXPROCS(0)
		}
		for _, batch := range []int{1, 8} {
			for _, l := range resnet50Layers() {
				b.Run(convName("genie", threads.name, batch, l), func(b *testing.B) {
					v := l.input(batch)
					e := newEngineConv(l, v, batch, n)
					e.run()
					if err := l.check(v, batch, e.result(batch)); err != nil {
						b.Fatal(err)
					}
					for b.Loop() {
						e.run()
					}
					b.ReportMetric(l.flops(batch)*float64(b.N)/float64(b.Elapsed().Nanoseconds()), "GF/s")
				})
			}
		}
	}
}
