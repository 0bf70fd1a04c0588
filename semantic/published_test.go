package semantic

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// TestPublishedGPU checks which figures a GPU gets, by the names that drivers
// give.
func TestPublishedGPU(t *testing.T) {
	for name, want := range map[string][3]float64{ // TFLOP/s of float32 and bfloat16, GB/s
		"NVIDIA H200":               {67, 989, 4800},
		"NVIDIA H200 NVL":           {60, 835, 4800},
		"NVIDIA H100 80GB HBM3":     {67, 989, 3350},
		"NVIDIA H100 PCIe":          {51, 756, 2000},
		"NVIDIA H100 NVL":           {60, 835, 3900},
		"NVIDIA GH200 480GB":        {67, 989, 4000},
		"NVIDIA A100-SXM4-80GB":     {19.5, 312, 2039},
		"NVIDIA A100-SXM4-40GB":     {19.5, 312, 1555},
		"NVIDIA A100 80GB PCIe":     {19.5, 312, 1935},
		"NVIDIA L4":                 {30.3, 121, 300},
		"NVIDIA L40S":               {91.6, 362, 864},
		"NVIDIA L40":                {90.5, 181, 864},
		"NVIDIA A10":                {31.2, 125, 600},
		"NVIDIA A10G":               {}, // another GPU than the A10
		"NVIDIA GeForce RTX 4090":   {},
		"something altogether else": {},
	} {
		d, ok := PublishedGPU(GPU{Name: name})
		require.Equal(t, want[0] > 0, ok, name)
		require.InDelta(t, want[0]*1e12, d.FLOPS, 1, name)
		require.InDelta(t, want[1]*1e12, d.HalfFLOPS, 1, name)
		require.InDelta(t, want[2]*1e9, d.Bandwidth, 1, name)
		if ok {
			require.Contains(t, d.Source, "published: NVIDIA")
			require.Contains(t, d.Source, "not measured")
		}
	}
	for _, name := range PublishedGPUs() {
		d, ok := PublishedNamed(name)
		require.True(t, ok)
		same, ok := PublishedGPU(GPU{Name: "NVIDIA " + name})
		require.True(t, ok)
		require.Equal(t, d, same, "%s is hidden by an earlier name", name)
	}
}

// TestDerivedGPU holds what follows from clocks and units against the data
// sheets of GPUs of each architecture.
func TestDerivedGPU(t *testing.T) {
	for sheet, g := range map[string]GPU{
		"a100":     {"", 8, 0, 108, 1410e3, 1593e3, 5120},
		"a10":      {"", 8, 6, 72, 1695e3, 6251e3, 384},
		"l4":       {"", 8, 9, 58, 2040e3, 6251e3, 192},
		"h100":     {"", 9, 0, 132, 1980e3, 2619e3, 5120},
		"h200 nvl": {"", 9, 0, 132, 1785e3, 3201e3, 6016},
	} {
		g.Name = "NVIDIA unheard-of"
		d, ok := PublishedGPU(g)
		require.True(t, ok, sheet)
		want, ok := PublishedNamed(sheet)
		require.True(t, ok, sheet)
		require.InEpsilon(t, want.FLOPS, d.FLOPS, 0.05, sheet)
		require.InEpsilon(t, want.HalfFLOPS, d.HalfFLOPS, 0.2, "%s: data sheets give tensor cores at a lower clock", sheet)
		require.InEpsilon(t, want.Bandwidth, d.Bandwidth, 0.05, sheet)
		require.Equal(t, "derived: clocks and units of NVIDIA unheard-of by its driver, not measured", d.Source)
	}
	_, ok := PublishedGPU(GPU{Name: "x", Major: 7, Minor: 5, Multiprocessors: 1, ClockKHz: 1, MemoryClockKHz: 1, BusBits: 1})
	require.False(t, ok, "an architecture that is not known")
	_, ok = PublishedGPU(GPU{Name: "x", Major: 9})
	require.False(t, ok, "a driver that does not give clocks")
}

// TestPredictPublished checks that a prediction uses the rate of the weights'
// type and the launch of each kernel, until the class is measured.
func TestPredictPublished(t *testing.T) {
	const rows, width = 4096, 4096
	predict := func(storage plan.DType, d Device) (Prediction, *Explanation) {
		g := lazy.NewGraph("published")
		x := g.Input("x", lazy.F32, rows, width)
		w := g.AddWeight(transport.Weight{
			Name: "w", Storage: storage, Shape: []int{width, width}, Data: make([]byte, width*width*storage.Size()), Hash: plan.Hash{1},
		})
		g.Output("y", lazy.Softmax(lazy.MatMul(x, w), -1))
		s, err := Analyze(g)
		require.NoError(t, err)
		p, err := s.Predict(d, nil)
		require.NoError(t, err)
		e, err := ExplainOn(d, s, Full(), nil)
		require.NoError(t, err)
		return p, e
	}
	d, ok := PublishedNamed("H100")
	require.True(t, ok)
	const flops, softmax = 2.0 * rows * width * width, 8.0 * rows * width
	full, e := predict(plan.F32, d)
	require.InEpsilon(t, 2*d.Launch+flops/67e12+softmax/3.35e12, full.Kernels, 1e-9)
	require.InEpsilon(t, flops/67e12+softmax/3.35e12, e.Total.Seconds, 1e-9, "nodes, without launches")
	require.Contains(t, e.Text(), "at 67 TFLOP/s and 3.35 TB/s, 989 TFLOP/s with 16-bit weights (published: NVIDIA H100 SXM data sheet, not measured)\n")
	for _, storage := range []plan.DType{plan.BF16, plan.F16} {
		half, e := predict(storage, d)
		require.InEpsilon(t, 2*d.Launch+flops/989e12+softmax/3.35e12, half.Kernels, 1e-9, storage)
		require.InEpsilon(t, flops/989e12+softmax/3.35e12, e.Total.Seconds, 1e-9, storage)
		require.Equal(t, d.Source, e.Device.Source)
	}
	d.Calibration = &Calibration{Kernels: map[Class]Curve{ClassProduct: {{flops, 1}}}}
	measured, _ := predict(plan.BF16, d)
	require.InEpsilon(t, 1+d.Launch+softmax/3.35e12, measured.Kernels, 1e-9, "what was measured counts")
	_, e = predict(plan.F32, ReferenceDevice())
	require.Contains(t, e.Text(), "at 200 GFLOP/s and 25 GB/s\n")
}
