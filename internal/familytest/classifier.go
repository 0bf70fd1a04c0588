package familytest

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/internal/worker/workertest"
	"github.com/genie-sdk/go/semantic"
	"github.com/genie-sdk/go/workloads"
)

// Waves are the images of the golden.json of classifiers: synthetic pixels, the
// same in every implementation.
func Waves(n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(math.Sin(0.37*float64(i)) + 0.5*math.Cos(0.011*float64(i)))
	}
	return x
}

// golden is the golden.json of a classifier: another implementation's results
// for [Waves] of this size.
type golden struct {
	Size     int         `json:"size"` // height and width, if they are equal
	Height   int         `json:"height"`
	Width    int         `json:"width"`
	Channels int         `json:"channels"` // 3 if absent
	Logits   [][]float64 `json:"logits"`
}

func readGolden(t *testing.T, dir string) golden {
	t.Helper()
	g := golden{Channels: 3}
	text, err := os.ReadFile(filepath.Join(dir, "golden.json"))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &g))
	require.NotEmpty(t, g.Logits)
	if g.Size > 0 {
		g.Height, g.Width = g.Size, g.Size
	}
	return g
}

// within is an allowed difference from the golden, relative to its largest
// logit: of float32 from float64 or from another order of summation.
const within = 1e-5

// Classifier compares a classifier of images with its golden.json, in-process
// and on a worker over either transport, under each policy and at each batch
// size: the logits are those of the golden, and their bits are the same
// everywhere.
func Classifier(t *testing.T, f workloads.Family, dir string) {
	t.Helper()
	w := workertest.Start(t, nil)
	g := readGolden(t, dir)
	var want []float64
	top := 0.0
	for _, row := range g.Logits {
		for _, v := range row {
			want, top = append(want, v), max(top, math.Abs(v))
		}
	}
	m, err := f.Load(t.Context(), dir, workloads.FamilyOptions{Height: g.Height, Width: g.Width})
	require.NoError(t, err)
	defer func() { require.NoError(t, m.Close()) }()
	require.Len(t, m.Classifier.Labels, len(g.Logits[0]))
	one := g.Channels * g.Height * g.Width
	images := Waves(len(g.Logits) * one)
	var first []float32
	for _, url := range []string{"local:", "tcp://" + w.TCP, "grpc://" + w.GRPC} {
		for _, policy := range []semantic.Policy{semantic.Blind(), semantic.Resident(), semantic.Full()} {
			client, err := genie.Open(t.Context(), url, genie.WithPolicy(policy))
			require.NoError(t, err)
			s, err := client.NewSession(t.Context())
			require.NoError(t, err)
			for n := len(g.Logits); n > 0; n-- { // one image has the same bits as many
				feed := genie.Feed{m.Classifier.Pixels: genie.Float32s(images[:n*one], n, g.Channels, g.Height, g.Width)}
				got, err := Values(t.Context(), s, feed, m.Classifier.Logits)
				require.NoError(t, err)
				if first == nil {
					first = got
					require.InDeltaSlice(t, want, widened(got), within*top)
				}
				require.Equal(t, first[:len(first)/len(g.Logits)*n], got, "%s: %s: %d images", url, policy.Name(), n)
			}
			require.NoError(t, s.Close())
			require.NoError(t, client.Close())
		}
	}
}

func widened(x []float32) []float64 {
	out := make([]float64, len(x))
	for i, v := range x {
		out[i] = float64(v)
	}
	return out
}
