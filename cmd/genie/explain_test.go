package main

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/familytest"
	"github.com/genie-sdk/go/semantic"
	"github.com/genie-sdk/go/workloads"
	"github.com/genie-sdk/go/workloads/families"
)

var update = flag.Bool("update", false, "write the goldens")

// TestExplainVision compares the output for tiny checkpoints with goldens, and
// checks the JSON.
func TestExplainVision(t *testing.T) {
	for _, tt := range []struct {
		name     string
		args     []string
		phases   []string
		branches []string // modalities
	}{
		{"resnet", []string{"--model", filepath.Join("..", "..", "testdata", "resnet", "basic"), "--batch", "2"}, []string{"vision_encoding"}, nil},
		{
			"clip",
			[]string{"--model", filepath.Join("..", "..", "testdata", "clip", "plain"), "--batch", "2", "--texts", "3"},
			[]string{"vision_encoding", "text_encoding", "multimodal_fusion"},
			[]string{"vision", "text"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			args := append([]string{"explain"}, tt.args...)
			text := cli(t, args...)
			require.Zero(t, text.code, text.stderr)
			text.stdout = regexp.MustCompile(`\.go:\d+ *`).ReplaceAllString(text.stdout, ".go:N ")
			golden := filepath.Join("testdata", "explain", tt.name+".txt")
			if *update {
				require.NoError(t, os.MkdirAll(filepath.Dir(golden), 0o755))
				require.NoError(t, os.WriteFile(golden, []byte(text.stdout), 0o600))
			}
			want, err := os.ReadFile(golden)
			require.NoError(t, err)
			require.Equal(t, string(want), text.stdout)

			e := decode[struct {
				Graph    string `json:"graph"`
				Bindings map[string]int
				Phases   []struct {
					Phase string                 `json:"phase"`
					Nodes int                    `json:"nodes"`
					Cost  semantic.ExplainedCost `json:"cost"`
				} `json:"phases"`
				Branches []struct {
					Modality string `json:"modality"`
					Nodes    []int  `json:"nodes"`
				} `json:"branches"`
				Nodes []struct {
					Residency string                 `json:"residency"`
					Cost      semantic.ExplainedCost `json:"cost"`
				} `json:"nodes"`
				Total semantic.ExplainedCost `json:"total"`
			}](t, append(args, "--json")...)
			require.Equal(t, tt.name, e.Graph)
			require.Equal(t, 2, max(e.Bindings["batch"], e.Bindings["images"]))
			var phases, branches []string
			sum := semantic.ExplainedCost{}
			for _, p := range e.Phases {
				phases = append(phases, p.Phase)
				require.Positive(t, p.Nodes)
				sum.FLOPs += p.Cost.FLOPs
				sum.Seconds += p.Cost.Seconds
			}
			for _, b := range e.Branches {
				branches = append(branches, b.Modality)
				require.NotEmpty(t, b.Nodes)
			}
			require.Equal(t, tt.phases, phases)
			require.Equal(t, tt.branches, branches)
			require.InEpsilon(t, e.Total.FLOPs, sum.FLOPs, 1e-9)
			require.InEpsilon(t, e.Total.Seconds, sum.Seconds, 1e-9)
			seen := map[string]int{}
			for _, n := range e.Nodes {
				seen[n.Residency]++
			}
			for _, residency := range []string{"persistent_weight", "external_input", "external_output", "ephemeral_activation"} {
				require.Positive(t, seen[residency], residency)
			}
		})
	}
}

// TestExplainFlags requires flags that fit the model.
func TestExplainFlags(t *testing.T) {
	dir := func(name ...string) string {
		return filepath.Join(append([]string{"..", "..", "testdata"}, name...)...)
	}
	for _, args := range [][]string{
		{"--model", dir("resnet", "basic"), "--phase", "decode"},
		{"--model", dir("resnet", "basic"), "--seq", "3"},
		{"--model", dir("clip", "plain"), "--phase", "prefill"},
		{"--model", dir("clip", "plain"), "--past", "1"},
		{"--model", dir("clip", "plain"), "--seq", "9999"},
		{"--model", dir("clip", "plain"), "--texts", "0"},
		{"--model", basic, "--phase", "decode", "--texts", "2"},
		{"--model", basic, "--phase", "prefill", "--seq", "0"},
	} {
		r := cli(t, append([]string{"explain"}, args...)...)
		require.Equal(t, 2, r.code, "%v: %s", args, r.stderr)
	}
	r := cli(t, "explain", "--model", t.TempDir())
	require.Equal(t, 1, r.code)
	require.Contains(t, r.stderr, "config.json")
	other := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(other, "config.json"), []byte(`{"model_type": "llama"}`), 0o600))
	r = cli(t, "explain", "--model", other)
	require.Equal(t, 1, r.code, "what is wrong with the checkpoint is wrong with every command that takes one")
	for _, f := range families.All() {
		require.Contains(t, r.stderr, strconv.Quote(f.Name))
	}
}

// TestExplainEveryModel explains each checkpoint of the tree, with the sizes
// from the table of families.
func TestExplainEveryModel(t *testing.T) {
	for _, c := range familytest.Checkpoints(t, filepath.Join("..", "..")) {
		args := []string{"explain", "--model", c.Dir, "--batch", "2", "--json"}
		if c.Family.Takes(workloads.SizePast) {
			args = append(args, "--phase", "decode", "--past", "3")
		}
		e := decode[struct {
			Nodes []struct {
				Phase string `json:"phase"`
			} `json:"nodes"`
			Kernels []semantic.ExplainedKernel `json:"kernels"`
			Slow    semantic.ExplainedSlow     `json:"slow"`
		}](t, args...)
		require.NotEmpty(t, e.Nodes, c.Name)
		require.NotEmpty(t, e.Kernels, c.Name)
		references := 0
		for _, k := range e.Kernels {
			require.NotEmpty(t, k.Kernel, "%s: %s", c.Name, k.Name)
			require.NotEmpty(t, k.Steps, "%s: %s", c.Name, k.Name)
			if k.Reference {
				references++
			}
		}
		require.Equal(t, references, e.Slow.Kernels, c.Name)
		for _, n := range e.Nodes {
			require.NotEmpty(t, n.Phase, c.Name)
		}
	}
}

// TestExplainGPU checks that costs on a GPU say that they are of published
// figures.
func TestExplainGPU(t *testing.T) {
	args := []string{"explain", "--model", filepath.Join("..", "..", "testdata", "gpt2", "bf16"), "--phase", "decode", "--gpu"}
	text := cli(t, append(args, "h200")...)
	require.Zero(t, text.code, text.stderr)
	const source = "published: NVIDIA H200 SXM data sheet, not measured"
	require.Contains(t, text.stdout, "at 67 TFLOP/s and 4.8 TB/s, 989 TFLOP/s with 16-bit weights ("+source+")\n")
	e := decode[struct{ Device semantic.Device }](t, append(args, "h200", "--json")...)
	require.Equal(t, source, e.Device.Source)
	require.InDelta(t, 4.8e12, e.Device.Bandwidth, 1)
	unknown := cli(t, append(args, "h2")...)
	require.Equal(t, 2, unknown.code)
	require.Contains(t, unknown.stderr, `--gpu is "h2"; there is a10, `)
}
