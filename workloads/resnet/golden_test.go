package resnet_test

import (
	"context"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/internal/worker/workertest"
	"github.com/genie-sdk/go/semantic"
	"github.com/genie-sdk/go/workloads/resnet"
)

const goldens = "../../testdata/resnet"

// pixels are the images of testdata/scripts/make_resnet_goldens.py.
func pixels(n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(math.Sin(0.37*float64(i)) + 0.5*math.Cos(0.011*float64(i)))
	}
	return x
}

// TestGoldens compares with what transformers computes, in-process and on
// workers, under each policy.
func TestGoldens(t *testing.T) {
	ctx := context.Background()
	w := workertest.Start(t, nil)
	dirs, err := os.ReadDir(goldens)
	require.NoError(t, err)
	require.Len(t, dirs, 3)
	for _, d := range dirs {
		t.Run(d.Name(), func(t *testing.T) {
			var golden struct {
				Size   int
				Logits [][]float32
			}
			text, err := os.ReadFile(filepath.Join(goldens, d.Name(), "golden.json"))
			require.NoError(t, err)
			require.NoError(t, json.Unmarshal(text, &golden))
			var want []float32
			top := 0.0
			for _, row := range golden.Logits {
				want = append(want, row...)
			}
			for _, v := range want {
				top = max(top, math.Abs(float64(v)))
			}
			m, err := resnet.Load(ctx, filepath.Join(goldens, d.Name()), resnet.LoadOptions{Size: golden.Size})
			require.NoError(t, err)
			defer m.Close()
			batch := len(golden.Logits)
			images := pixels(batch * 3 * golden.Size * golden.Size)
			var first []float32
			for _, url := range []string{"local:", "tcp://" + w.TCP, "grpc://" + w.GRPC} {
				for _, policy := range []semantic.Policy{semantic.Blind(), semantic.Resident(), semantic.Full()} {
					client, err := genie.Open(ctx, url, genie.WithPolicy(policy))
					require.NoError(t, err)
					s, err := client.NewSession(ctx)
					require.NoError(t, err)
					for n := 1; n <= batch; n++ { // one image has the bits of many
						out, err := s.Run(ctx, genie.Feed{"pixels": genie.Float32s(images[:len(images)/batch*n], n, 3, golden.Size, golden.Size)}, m.Logits)
						require.NoError(t, err)
						got, err := out[0].Float32s(ctx)
						require.NoError(t, err)
						require.InDeltaSlice(t, want[:len(want)/batch*n], got, 1e-5*top)
						if n == batch {
							if first == nil {
								first = got
							}
							require.Equal(t, first, got, "%s: %T", url, policy)
						} else if first != nil {
							require.Equal(t, first[:len(got)], got)
						}
					}
					require.NoError(t, s.Close())
					require.NoError(t, client.Close())
				}
			}
		})
	}
}

// TestBadConfig verifies that each broken field is named.
func TestBadConfig(t *testing.T) {
	for text, field := range map[string]string{
		`{`: "", `[]`: "",
		`{"num_channels": 0}`:                     "num_channels",
		`{"embedding_size": -1}`:                  "embedding_size",
		`{"depths": [1, 2]}`:                      "depths",
		`{"depths": [1], "hidden_sizes": [3]}`:    "hidden_sizes[0]",
		`{"depths": [0], "hidden_sizes": [8]}`:    "depths[0]",
		`{"layer_type": "wide"}`:                  "layer_type",
		`{"hidden_act": "prelu"}`:                 "hidden_act",
		`{"depths": [99999], "hidden_sizes":[8]}`: "depths[0]",
	} {
		_, err := resnet.ParseConfig([]byte(text))
		require.ErrorIs(t, err, resnet.ErrConfig, text)
		require.ErrorContains(t, err, field)
	}
	c, err := resnet.ParseConfig([]byte(`{}`))
	require.NoError(t, err)
	require.Equal(t, []int{3, 4, 6, 3}, c.Depths)
	require.Equal(t, 2, c.Classes())
}
