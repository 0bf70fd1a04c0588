package steptime_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/fleet/steptime"
	"github.com/genie-sdk/go/semantic"
	"github.com/genie-sdk/go/transport/plan"
)

func sizes() steptime.Decoder {
	return steptime.Decoder{Layers: 32, Hidden: 4096, Heads: 32, KVHeads: 8, Inner: 14336, Vocab: 128256, Storage: plan.BF16}
}

// A decode step reads all weights once, and each sequence its cache: by the
// bandwidth of the data sheet these are lower bounds, which launches exceed little.
func TestDecodeReadsWeightsAndCaches(t *testing.T) {
	d := sizes()
	gpu, ok := semantic.PublishedNamed("h100")
	require.True(t, ok)
	times, err := d.Times(gpu)
	require.NoError(t, err)
	read := float64(d.WeightBytes()) / gpu.Bandwidth
	require.InEpsilon(t, read, times.Decode(1), 0.15)
	require.Less(t, times.Decode(64), 1.5*times.Decode(1), "sequences share the reading")
	require.InEpsilon(t, float64(2000*d.RowBytes(4))/gpu.Bandwidth, times.Row(2000), 0.1)
	require.Greater(t, times.Prefill(512, 4096), times.Prefill(512, 0))
	require.Greater(t, times.Prefill(512, 0), times.Prefill(64, 0))
	require.Zero(t, times.Prefill(0, 10))
	require.Zero(t, times.Decode(0))
}

// Layers are alike, so a decoder's time grows by as much with each.
func TestLayersAreAlike(t *testing.T) {
	var at [3]float64
	for i := range at {
		d := steptime.Decoder{Layers: 2 + i, Hidden: 256, Heads: 8, KVHeads: 8, Inner: 1024, Vocab: 1000, Storage: plan.F32}
		times, err := d.Times(semantic.ReferenceDevice())
		require.NoError(t, err)
		at[i] = times.Prefill(128, 256)
	}
	require.InEpsilon(t, at[1]-at[0], at[2]-at[1], 1e-6)
	require.Positive(t, at[1]-at[0])
}

func TestDecodersThatAreRefused(t *testing.T) {
	for name, change := range map[string]func(d *steptime.Decoder){
		"layers":  func(d *steptime.Decoder) { d.Layers = 0 },
		"width":   func(d *steptime.Decoder) { d.Hidden = 1 << 20 },
		"heads":   func(d *steptime.Decoder) { d.Heads = 33 },
		"kv":      func(d *steptime.Decoder) { d.KVHeads = 5 },
		"vocab":   func(d *steptime.Decoder) { d.Vocab = 0 },
		"storage": func(d *steptime.Decoder) { d.Storage = plan.I32 },
		"weight":  func(d *steptime.Decoder) { d.Hidden, d.Vocab = 1<<16, 1<<20 },
	} {
		d := sizes()
		change(&d)
		_, err := d.Times(semantic.ReferenceDevice())
		require.ErrorIs(t, err, steptime.ErrDecoder, name)
	}
}
