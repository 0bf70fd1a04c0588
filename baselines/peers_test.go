package baselines_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
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

// golden is the reference of name; one new token of a prefill.
func golden(tb testing.TB, name string, scale workloads.Scale) *llm.Workload {
	tb.Helper()
	most := math.MaxInt
	if name == llm.Prefill {
		most = 1
	}
	w, err := llm.Golden(testdata, strings.TrimPrefix(name, "llm-"), scale, most)
	if errors.Is(err, fs.ErrNotExist) {
		tb.Skipf("%s has no reference at scale %s", name, scale)
	}
	require.NoError(tb, err)
	return w
}

// openPeer starts a peer and verifies it.
func openPeer(ctx context.Context, w *llm.Workload, v rival, form within, threads int) (*peer.LLM, error) {
	dir, err := llm.ModelDir(ctx, testdata, w.ID().Scale, nil)
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
	g, err := m.Generate(ctx, peer.Generate{Prompts: w.Prompts, New: w.New(), Force: w.Want, Logits: true})
	if err == nil {
		_, err = w.Agrees(g.Logits, g.Vocab, form.error)
	}
	if err == nil {
		err = w.Follows(g.Tokens, form.error)
	}
	for i := 0; err == nil && v.compile && i < 2; i++ { // until nothing is compiled anew
		_, err = m.Generate(ctx, peer.Generate{Prompts: w.Prompts, New: w.New()})
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
	w := golden(b, name, scale)
	for _, form := range v.within {
		for _, threads := range threadCounts {
			cell := fmt.Sprintf("workload=%s/baseline=%s/model=%s/net=none/dtype=%s/threads=%s", name, v.name, llm.ModelName(scale), form.dtype, threads.name)
			b.Run(cell, func(b *testing.B) { peerCell(b, w, v, form, threads.n) })
		}
	}
}

func peerCell(b *testing.B, w *llm.Workload, v rival, form within, threads int) {
	ctx := context.Background()
	m, err := openPeer(ctx, w, v, form, threads)
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
		g, err := m.Generate(ctx, peer.Generate{Prompts: w.Prompts, New: w.New()})
		if err == nil {
			err = w.Follows(g.Tokens, form.error)
		}
		if err != nil {
			b.Fatal(err)
		}
		t.add(g.TTFT, g.Steps)
	}
	t.report(b, w)
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

func (t *timings) report(b *testing.B, w *llm.Workload) {
	b.Helper()
	b.ReportMetric(float64(t.ttft.Nanoseconds())/float64(t.runs), "ttft-ns")
	if t.steps > 0 {
		b.ReportMetric(float64(t.step.Nanoseconds())/float64(t.steps), "step-ns")
		b.ReportMetric(float64(t.steps*len(w.Prompts))/t.step.Seconds(), "tok/s")
	} else {
		b.ReportMetric(float64(t.runs*len(w.Prompts)*len(w.Prompts[0]))/t.ttft.Seconds(), "tok/s")
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
					w := golden(t, name, workloads.Tiny)
					m, err := openPeer(t.Context(), w, v, form, 1)
					require.NoError(t, err)
					require.Equal(t, 1, m.Threads)
					g, err := m.Generate(t.Context(), peer.Generate{Prompts: w.Prompts, New: w.New()})
					require.NoError(t, err)
					require.NoError(t, w.Follows(g.Tokens, form.error))
					require.NoError(t, m.Close())
				}
			})
		}
	}
}
