package onnx_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/lazy/onnx"
	"github.com/genie-sdk/go/semantic"
	"github.com/genie-sdk/go/transport/plan"
)

const exports = "testdata/exports"

// TestExports runs models that both exporters of PyTorch wrote, in this process and
// on a worker, and compares them with PyTorch.
func TestExports(t *testing.T) {
	sessions := executors(t)
	for _, c := range modelCases(t, exports) {
		for i := range c.Runs {
			r := &c.Runs[i]
			p := c.open(t, r, onnx.WithoutCarries())
			require.Empty(t, p.Fixed(), "%s: a shape depends on the content of an input", c.name)
			for name, s := range sessions {
				t.Run(c.name+"/"+name, func(t *testing.T) { c.check(t, s, p, r) })
			}
		}
	}
}

// TestExportsAreUnderstood: the attention of every layer, the caches and the phases
// of exported models are recognised.
func TestExportsAreUnderstood(t *testing.T) {
	for _, c := range modelCases(t, exports) {
		t.Run(c.name, func(t *testing.T) {
			p := c.open(t, &c.Runs[0])
			srg, err := semantic.Analyze(p.Graph)
			require.NoError(t, err)
			family, _, _ := strings.Cut(c.name, "-")
			attentions := map[int]bool{}
			for _, n := range srg.Nodes {
				if n.Attention > 0 {
					attentions[n.Attention] = true
				}
			}
			want := map[string]int{"gpt2": 2, "llama": 2, "bert": 2, "vit": 2, "clip": 4, "resnet": 0}
			require.Len(t, attentions, want[family])
			phase := func(b plan.Bindings) semantic.Phase {
				profile, err := srg.ProfileOf(b)
				require.NoError(t, err)
				return profile.Phase
			}
			sizes := func(past, seq int) plan.Bindings {
				b := plan.Bindings{}
				for _, in := range p.Inputs() {
					for _, d := range in.Shape() {
						for _, sym := range d.Symbols(nil) {
							b[sym] = 2
						}
					}
				}
				if family == "gpt2" || family == "llama" {
					b["past"], b["seq"] = past, seq
				}
				return b
			}
			switch family {
			case "gpt2", "llama":
				require.Len(t, srg.Caches, 4)
				require.Equal(t, semantic.PhasePrefill, phase(sizes(0, 5)))
				require.Equal(t, semantic.PhaseDecode, phase(sizes(5, 1)))
			case "bert":
				require.Equal(t, semantic.PhaseTextEncoding, phase(sizes(0, 0)))
			case "vit", "resnet":
				require.Equal(t, semantic.PhaseVisionEncoding, phase(sizes(0, 0)))
			case "clip":
				require.Equal(t, semantic.PhaseFusion, phase(sizes(0, 0)))
				require.Len(t, srg.Branches, 2)
			}
		})
	}
}

// TestExportedDecoder decodes token by token with the caches on the executor: the
// logits are those of one run over all tokens.
func TestExportedDecoder(t *testing.T) {
	sessions := executors(t)
	for _, c := range modelCases(t, exports) {
		family, _, _ := strings.Cut(c.name, "-")
		if family != "gpt2" && family != "llama" {
			continue
		}
		p := c.open(t, &c.Runs[0])
		for name, s := range sessions {
			t.Run(c.name+"/"+name, func(t *testing.T) {
				tokens := []int64{5, 80, 13, 2, 44, 7}
				run := func(from, to int) []float32 {
					positions := make([]int64, to-from)
					for i := range positions {
						positions[i] = int64(from + i)
					}
					got, err := s.Run(t.Context(), genie.Feed{
						"input_ids":    genie.Int64s(tokens[from:to], 1, to-from),
						"position_ids": genie.Int64s(positions, 1, to-from),
					}, p.Output("logits"))
					require.NoError(t, err)
					x, err := got[0].Float32s(t.Context())
					require.NoError(t, err)
					return x
				}
				whole := run(0, len(tokens))
				require.NoError(t, s.Reset(t.Context()))
				parts := run(0, 3)
				for i := 3; i < len(tokens); i++ {
					parts = append(parts, run(i, i+1)...)
				}
				require.InDeltaSlice(t, whole, parts, 1e-5)
				require.NoError(t, s.Reset(t.Context()))
			})
		}
	}
}
