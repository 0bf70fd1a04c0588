package steptime_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/fleet/steptime"
	"github.com/genie-sdk/go/semantic"
	"github.com/genie-sdk/go/transport/plan"
)

// llama is the sizes of an 8B model.
func llama() steptime.Decoder {
	return steptime.Decoder{Layers: 32, Hidden: 4096, Heads: 32, KVHeads: 8, Inner: 14336, Vocab: 128256, Storage: plan.BF16}
}

func TestDecodingReadsTheWeights(t *testing.T) {
	d := llama()
	for _, name := range []string{"h100", "l4"} {
		device, ok := semantic.PublishedNamed(name)
		require.True(t, ok)
		times, err := d.Times(device)
		require.NoError(t, err)
		// The embedding is not read but for one row.
		read := float64(d.WeightBytes()-int64(d.Vocab*d.Hidden*2)) / device.Bandwidth
		require.GreaterOrEqual(t, times.Decode(1), read, name)
		require.Less(t, times.Decode(1), 2*read, name)
		require.Less(t, times.Decode(8), 2*times.Decode(1), "a batch reads the weights once")
		require.Greater(t, times.Row(4096), times.Row(64))
		require.Greater(t, times.Prefill(2048, 0), times.Prefill(64, 0))
		require.GreaterOrEqual(t, times.Prefill(512, 4096), times.Prefill(512, 0))
		require.Zero(t, times.Decode(0)+times.Prefill(0, 0))
		require.Equal(t, device.Source, times.Source)
	}
}

func TestLines(t *testing.T) {
	l := steptime.Line{At: []int{2, 4}, Seconds: []float64{1, 3}}
	for n, want := range map[int]float64{2: 1, 3: 2, 4: 3, 6: 5} {
		require.InDelta(t, want, l.Value(n), 1e-12)
	}
	require.Zero(t, (&steptime.Line{}).Value(5))
	require.InDelta(t, 7, (&steptime.Line{At: []int{1}, Seconds: []float64{7}}).Value(9), 0)
}

func TestTimesRefuseSizesThatAreNoDecoder(t *testing.T) {
	for name, change := range map[string]func(*steptime.Decoder){
		"no layers": func(d *steptime.Decoder) { d.Layers = 0 }, "many layers": func(d *steptime.Decoder) { d.Layers = 1 << 20 },
		"no width": func(d *steptime.Decoder) { d.Hidden = 0 }, "heads": func(d *steptime.Decoder) { d.Heads = 3 },
		"shared heads": func(d *steptime.Decoder) { d.KVHeads = 5 }, "no tokens": func(d *steptime.Decoder) { d.Vocab = 1 },
		"storage": func(d *steptime.Decoder) { d.Storage = plan.I32 }, "a large weight": func(d *steptime.Decoder) { d.Hidden, d.Vocab = 1<<16, 1<<20 },
	} {
		d := llama()
		change(&d)
		_, err := d.Times(semantic.ReferenceDevice())
		require.ErrorIs(t, err, steptime.ErrDecoder, name)
	}
}
