package baselines_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/baselines/peer"
	"github.com/genie-sdk/go/workloads"
	"github.com/genie-sdk/go/workloads/llm"
)

// decodeBatch is llm-decode with eight prompts at once.
const decodeBatch = "llm-decode8"

func BenchmarkRivalDecode_PyTorch(b *testing.B)             { peers(b, llm.Decode, pytorch) }
func BenchmarkRivalDecode_PyTorchCompile(b *testing.B)      { peers(b, llm.Decode, pytorchCompile) }
func BenchmarkRivalDecode_ONNXRuntime(b *testing.B)         { peers(b, llm.Decode, onnxRuntime) }
func BenchmarkRivalDecode_LlamaCPP(b *testing.B)            { peers(b, llm.Decode, llamaCPP) }
func BenchmarkRivalDecodeBatch_PyTorch(b *testing.B)        { peers(b, decodeBatch, pytorch) }
func BenchmarkRivalDecodeBatch_PyTorchCompile(b *testing.B) { peers(b, decodeBatch, pytorchCompile) }
func BenchmarkRivalDecodeBatch_ONNXRuntime(b *testing.B)    { peers(b, decodeBatch, onnxRuntime) }
func BenchmarkRivalDecodeBatch_LlamaCPP(b *testing.B)       { peers(b, decodeBatch, llamaCPP) }
func BenchmarkRivalPrefill_PyTorch(b *testing.B)            { peers(b, llm.Prefill, pytorch) }
func BenchmarkRivalPrefill_PyTorchCompile(b *testing.B)     { peers(b, llm.Prefill, pytorchCompile) }
func BenchmarkRivalPrefill_ONNXRuntime(b *testing.B)        { peers(b, llm.Prefill, onnxRuntime) }
func BenchmarkRivalPrefill_LlamaCPP(b *testing.B)           { peers(b, llm.Prefill, llamaCPP) }

// rival is a peer in the forms that are measured.
type rival struct {
	name, program string
	compile       bool
	// within bounds the error of logits for each type of weights, as a fraction
	// of the largest one.
	within []within
}

type within struct {
	dtype string
	error float64
}

var (
	pytorch        = rival{name: "pytorch", program: peer.PyTorch, within: []within{{"f32", 2e-5}, {"bf16", 5e-2}}}
	pytorchCompile = rival{name: "pytorch-compile", program: peer.PyTorch, compile: true, within: []within{{"f32", 2e-5}, {"bf16", 5e-2}}}
	onnxRuntime    = rival{name: "onnxruntime", program: peer.ONNXRuntime, within: []within{{"f32", 2e-5}}}
	// llama.cpp looks GELU up in a table of float16 values, and keeps keys and
	// values in float16.
	llamaCPP = rival{name: "llamacpp", program: peer.LlamaCPP, within: []within{{"f32", 5e-3}, {"f16", 5e-3}, {"bf16", 3e-2}, {"q8_0", 1e-1}}}
)

// threadCounts are the numbers of threads by their names in results.
var threadCounts = []struct {
	name string
	n    int
}{{"1", 1}, {"all", 0}}

// reference is a golden: what transformers computes in float32.
type reference struct {
	name    string
	scale   workloads.Scale
	Prompts [][]int `json:"prompts"`
	Greedy  [][]int `json:"greedy"`
	Top     [][]struct {
		MaxAbs float64   `json:"max_abs"`
		IDs    []int     `json:"ids"`
		Logits []float64 `json:"logits"`
	} `json:"top"` // [prompt][new]
}

func loadReference(tb testing.TB, name string, scale workloads.Scale) *reference {
	tb.Helper()
	file := filepath.Join(testdata, "llm", fmt.Sprintf("%s-%s.json", scale, strings.TrimPrefix(name, "llm-")))
	text, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		tb.Skipf("%s has no reference at scale %s", name, scale)
	}
	require.NoError(tb, err)
	r := &reference{name: name, scale: scale}
	require.NoError(tb, json.Unmarshal(text, r), file)
	return r
}

// limit is the reference with fewer new tokens.
func (r *reference) limit(tokens int) *reference {
	short := *r
	short.Greedy = slices.Clone(r.Greedy)
	for i, g := range short.Greedy {
		short.Greedy[i] = g[:min(tokens, len(g))]
	}
	return &short
}

func (r *reference) tokens() int { return len(r.Greedy[0]) }

// check compares a generation that was fed the reference's tokens: logits, and
// the choices that are not closer calls than the error that is allowed.
func (r *reference) check(g *peer.Generation, tolerance float64) error {
	for p, greedy := range r.Greedy {
		for i, want := range greedy {
			top := r.Top[p][i]
			row := g.Logits[(i*len(r.Greedy)+p)*g.Vocab:][:g.Vocab]
			for j, id := range top.IDs {
				if d := math.Abs(float64(row[id])-top.Logits[j]) / top.MaxAbs; !(d <= tolerance) {
					return fmt.Errorf("%w: sequence %d, token %d: logit %d is %g, want %g: off by %.1e of the largest, %.1e allowed",
						workloads.ErrMismatch, p, i, id, row[id], top.Logits[j], d, tolerance)
				}
			}
			if got := g.Tokens[p][i]; got != want && !r.close(p, i, tolerance) {
				return fmt.Errorf("%w: sequence %d, token %d is %d, want %d", workloads.ErrMismatch, p, i, got, want)
			}
		}
	}
	return nil
}

// close reports whether an error within the tolerance can change a choice.
func (r *reference) close(prompt, i int, tolerance float64) bool {
	top := r.Top[prompt][i]
	return top.Logits[0]-top.Logits[1] <= 2*tolerance*top.MaxAbs
}

// follows compares the text of a free generation up to its first close call.
func (r *reference) follows(g *peer.Generation, tolerance float64) error {
	for p, greedy := range r.Greedy {
		for i, want := range greedy {
			if r.close(p, i, tolerance) {
				break
			}
			if g.Tokens[p][i] != want {
				return fmt.Errorf("%w: sequence %d: tokens %v, want %v", workloads.ErrMismatch, p, g.Tokens[p], greedy)
			}
		}
	}
	return nil
}

// openPeer starts a peer and verifies it.
func openPeer(ctx context.Context, r *reference, v rival, form within, threads int) (*peer.LLM, error) {
	dir, err := llm.ModelDir(ctx, testdata, r.scale, nil)
	if err != nil {
		return nil, err
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, err
	}
	m, err := peer.OpenLLM(ctx, v.program, peer.Options{Threads: threads}, peer.Load{Dir: dir, DType: form.dtype, Compile: v.compile})
	if err != nil {
		return nil, err
	}
	g, err := m.Generate(ctx, peer.Generate{Prompts: r.Prompts, New: r.tokens(), Force: r.Greedy, Logits: true})
	if err == nil {
		err = r.check(g, form.error)
	}
	for i := 0; err == nil && v.compile && i < 2; i++ { // until nothing is compiled anew
		_, err = m.Generate(ctx, peer.Generate{Prompts: r.Prompts, New: r.tokens()})
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s, %s: %w", v.name, form.dtype, err), m.Close())
	}
	return m, nil
}

// peers times a rival in all its forms, each verified first.
func peers(b *testing.B, name string, v rival) {
	if err := peer.Available(v.program); err != nil {
		b.Skip(err)
	}
	scale, err := workloads.ScaleFromEnv()
	if err != nil {
		b.Fatal(err)
	}
	r := loadReference(b, name, scale)
	if name == llm.Prefill {
		r = r.limit(1)
	}
	for _, form := range v.within {
		for _, threads := range threadCounts {
			cell := fmt.Sprintf("workload=%s/baseline=%s/model=%s/net=none/dtype=%s/threads=%s", name, v.name, llm.ModelName(scale), form.dtype, threads.name)
			b.Run(cell, func(b *testing.B) { peerCell(b, r, v, form, threads.n) })
		}
	}
}

func peerCell(b *testing.B, r *reference, v rival, form within, threads int) {
	ctx := context.Background()
	m, err := openPeer(ctx, r, v, form, threads)
	if errors.Is(err, peer.ErrUnavailable) {
		b.Skip(err)
	}
	if err != nil {
		b.Fatal(err)
	}
	defer func() {
		if err := m.Close(); err != nil {
			b.Error(err)
		}
	}()
	var t timings
	for b.Loop() {
		g, err := m.Generate(ctx, peer.Generate{Prompts: r.Prompts, New: r.tokens()})
		if err == nil {
			err = r.follows(g, form.error)
		}
		if err != nil {
			b.Fatal(err)
		}
		t.add(g.TTFT, g.Steps)
	}
	t.report(b, r)
}

// timings are those of generations.
type timings struct {
	ttft, step  time.Duration // sums
	runs, steps int
}

func (t *timings) add(ttft time.Duration, steps []time.Duration) {
	t.runs++
	t.ttft += ttft
	for _, d := range steps {
		t.step += d
		t.steps++
	}
}

func (t *timings) report(b *testing.B, r *reference) {
	b.Helper()
	b.ReportMetric(float64(t.ttft.Nanoseconds())/float64(t.runs), "ttft-ns")
	if t.steps > 0 {
		b.ReportMetric(float64(t.step.Nanoseconds())/float64(t.steps), "step-ns")
		b.ReportMetric(float64(t.steps*len(r.Prompts))/t.step.Seconds(), "tok/s")
	} else {
		b.ReportMetric(float64(t.runs*len(r.Prompts)*len(r.Prompts[0]))/t.ttft.Seconds(), "tok/s")
	}
}

// TestPeers verifies every peer that there is at the tiny scale.
func TestPeers(t *testing.T) {
	if os.Getenv("GENIE_PEERS") == "" {
		t.Skip("GENIE_PEERS is not set; genie bench setup, then GENIE_PEERS=1 go test -run TestPeers ./baselines")
	}
	for _, v := range []rival{pytorch, onnxRuntime, llamaCPP} {
		for _, form := range v.within {
			t.Run(v.name+"/"+form.dtype, func(t *testing.T) {
				if err := peer.Available(v.program); err != nil {
					t.Skip(err)
				}
				for _, name := range []string{llm.Decode, decodeBatch, llm.Prefill} {
					r := loadReference(t, name, workloads.Tiny)
					m, err := openPeer(t.Context(), r, v, form, 1)
					require.NoError(t, err)
					require.Equal(t, 1, m.Threads)
					g, err := m.Generate(t.Context(), peer.Generate{Prompts: r.Prompts, New: r.tokens()})
					require.NoError(t, err)
					require.NoError(t, r.follows(g, form.error))
					require.NoError(t, m.Close())
				}
			})
		}
	}
}
