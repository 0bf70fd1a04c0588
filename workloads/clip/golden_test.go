package clip_test

import (
	"context"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/internal/worker/workertest"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/semantic"
	"github.com/genie-sdk/go/workloads/clip"
)

const goldens = "../../testdata/clip"

// golden is what testdata/scripts/make_clip_goldens.py writes.
type golden struct {
	Tokens [][]int32   `json:"tokens"`
	Mask   [][]int32   `json:"mask"`
	Image  [][]float32 `json:"image_embeds"`
	Text   [][]float32 `json:"text_embeds"`
	Logits [][]float32 `json:"logits_per_image"`
}

func load(t *testing.T, name string) (*clip.Model, golden) {
	t.Helper()
	var g golden
	text, err := os.ReadFile(filepath.Join(goldens, name, "golden.json"))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &g))
	m, err := clip.Load(t.Context(), filepath.Join(goldens, name), clip.LoadOptions{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = m.Close() })
	return m, g
}

// pixels are the images of the script.
func pixels(n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(math.Sin(0.37*float64(i)) + 0.5*math.Cos(0.011*float64(i)))
	}
	return x
}

// feed is the first images and texts of a golden, as many as it says.
func (g golden) feed(c clip.Config, images, texts int) genie.Feed {
	size := c.Vision.Channels * c.Vision.Image * c.Vision.Image
	seq := len(g.Tokens[0])
	return genie.Feed{
		"pixels": genie.Float32s(pixels(images*size), images, c.Vision.Channels, c.Vision.Image, c.Vision.Image),
		"tokens": genie.Int32s(slices.Concat(g.Tokens[:texts]...), texts, seq),
		"mask":   genie.Int32s(slices.Concat(g.Mask[:texts]...), texts, seq),
	}
}

// requireNear compares with what transformers computed, in units of the
// largest element.
func requireNear(t *testing.T, want, got []float32, what string) {
	t.Helper()
	top := 0.0
	for _, v := range want {
		top = max(top, math.Abs(float64(v)))
	}
	require.Len(t, got, len(want), what)
	require.InDeltaSlice(t, want, got, 1e-5*top, what)
}

// TestGoldens compares with what transformers computes, in-process and on
// workers, under each policy: the same bits everywhere.
func TestGoldens(t *testing.T) {
	ctx := context.Background()
	w := workertest.Start(t, nil)
	dirs, err := os.ReadDir(goldens)
	require.NoError(t, err)
	require.Len(t, dirs, 3)
	for _, d := range dirs {
		t.Run(d.Name(), func(t *testing.T) {
			m, g := load(t, d.Name())
			images, texts := len(g.Image), len(g.Text)
			outputs := []*lazy.Tensor{m.ImageEmbeds, m.TextEmbeds, m.LogitsPerImage}
			want := [][]float32{slices.Concat(g.Image...), slices.Concat(g.Text...), slices.Concat(g.Logits...)}
			var first [][]float32
			for _, url := range []string{"local:", "tcp://" + w.TCP, "grpc://" + w.GRPC} {
				for _, policy := range []semantic.Policy{semantic.Blind(), semantic.Resident(), semantic.Full()} {
					got := run(ctx, t, url, policy, g.feed(m.Config, images, texts), outputs)
					for i, o := range m.Graph.Outputs() {
						requireNear(t, want[i], got[i], o.Name)
					}
					if first == nil {
						first = got
					}
					require.Equal(t, first, got, "%s: %T", url, policy)
				}
			}
			// One image and one text have the bits of many.
			one := run(ctx, t, "local:", semantic.Full(), g.feed(m.Config, 1, 1), outputs)
			for i := range one {
				require.Equal(t, first[i][:len(one[i])], one[i])
			}
			// What is not asked for is not needed.
			alone := run(ctx, t, "local:", semantic.Full(), g.feed(m.Config, images, texts), outputs[2:])
			require.Equal(t, first[2], alone[0])
		})
	}
}

func run(ctx context.Context, t *testing.T, url string, policy semantic.Policy, feed genie.Feed, outputs []*lazy.Tensor) [][]float32 {
	t.Helper()
	client, err := genie.Open(ctx, url, genie.WithPolicy(policy))
	require.NoError(t, err)
	defer client.Close()
	s, err := client.NewSession(ctx)
	require.NoError(t, err)
	defer s.Close()
	values, err := s.Run(ctx, feed, outputs...)
	require.NoError(t, err)
	out := make([][]float32, len(values))
	for i, v := range values {
		out[i], err = v.Float32s(ctx)
		require.NoError(t, err)
	}
	return out
}

// TestPadding verifies that what stands behind a text, and how much of it,
// changes no bit, and that padding before it does only as positions do.
func TestPadding(t *testing.T) {
	ctx := context.Background()
	m, g := load(t, "quick")
	text := g.Tokens[1][:3] // two words and the end
	embeds := func(after int, pad int32) []float32 {
		tokens, mask := slices.Clone(text), []int32{1, 1, 1}
		for range after {
			tokens, mask = append(tokens, pad), append(mask, 0)
		}
		feed := genie.Feed{"tokens": genie.Int32s(tokens, 1, len(tokens)), "mask": genie.Int32s(mask, 1, len(mask))}
		return run(ctx, t, "local:", semantic.Full(), feed, []*lazy.Tensor{m.TextEmbeds})[0]
	}
	short := embeds(0, 0)
	requireNear(t, g.Text[1], short, "without padding")
	require.Equal(t, short, embeds(3, 0))
	require.Equal(t, short, embeds(7, 96), "the first end token counts")
}

// TestTooLong verifies that a text longer than the model's positions is an
// error.
func TestTooLong(t *testing.T) {
	m, _ := load(t, "quick")
	client, err := genie.Open(t.Context(), "local:")
	require.NoError(t, err)
	defer client.Close()
	s, err := client.NewSession(t.Context())
	require.NoError(t, err)
	defer s.Close()
	n := m.Config.Text.Positions + 1
	feed := genie.Feed{"tokens": genie.Int32s(make([]int32, n), 1, n), "mask": genie.Int32s(make([]int32, n), 1, n)}
	_, err = s.Run(t.Context(), feed, m.TextEmbeds)
	require.ErrorIs(t, err, genie.ErrShape)
}
