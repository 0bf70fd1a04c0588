package studies_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/baselines/systems"
	"github.com/genie-sdk/go/internal/benchname"
	"github.com/genie-sdk/go/workloads"
	"github.com/genie-sdk/go/workloads/llm"
)

// decodeBatch is llm-decode with eight prompts at once.
const decodeBatch = "llm-decode8"

func BenchmarkReferenceDecode_PyTorch(b *testing.B) { referenceSystems(b, llm.Decode, pytorch) }
func BenchmarkReferenceDecode_PyTorchCompile(b *testing.B) {
	referenceSystems(b, llm.Decode, pytorchCompile)
}

func BenchmarkReferenceDecode_ONNXRuntime(b *testing.B) { referenceSystems(b, llm.Decode, onnxRuntime) }

func BenchmarkReferenceDecode_LlamaCPP(b *testing.B) { referenceSystems(b, llm.Decode, llamaCPP) }

func BenchmarkReferenceDecodeBatch_PyTorch(b *testing.B) { referenceSystems(b, decodeBatch, pytorch) }

func BenchmarkReferenceDecodeBatch_PyTorchCompile(b *testing.B) {
	referenceSystems(b, decodeBatch, pytorchCompile)
}

func BenchmarkReferenceDecodeBatch_ONNXRuntime(b *testing.B) {
	referenceSystems(b, decodeBatch, onnxRuntime)
}

func BenchmarkReferenceDecodeBatch_LlamaCPP(b *testing.B) { referenceSystems(b, decodeBatch, llamaCPP) }

func BenchmarkReferencePrefill_PyTorch(b *testing.B) { referenceSystems(b, llm.Prefill, pytorch) }

func BenchmarkReferencePrefill_PyTorchCompile(b *testing.B) {
	referenceSystems(b, llm.Prefill, pytorchCompile)
}

func BenchmarkReferencePrefill_ONNXRuntime(b *testing.B) {
	referenceSystems(b, llm.Prefill, onnxRuntime)
}
func BenchmarkReferencePrefill_LlamaCPP(b *testing.B) { referenceSystems(b, llm.Prefill, llamaCPP) }

// referenceSystem is a reference system with the forms in which it is measured.
type referenceSystem struct {
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
	pytorch        = referenceSystem{name: "pytorch", program: systems.PyTorch, within: []within{{"f32", 2e-5}, {"bf16", 5e-2}}}
	pytorchCompile = referenceSystem{name: "pytorch-compile", program: systems.PyTorch, compile: true, within: []within{{"f32", 2e-5}, {"bf16", 5e-2}}}
	onnxRuntime    = referenceSystem{name: "onnxruntime", program: systems.ONNXRuntime, within: []within{{"f32", 2e-5}}}
	// llama.cpp takes GELU from a table of float16 values, and stores keys and
	// values in float16.
	llamaCPP = referenceSystem{name: "llamacpp", program: systems.LlamaCPP, within: []within{{"f32", 5e-3}, {"f16", 5e-3}, {"bf16", 3e-2}, {"q8_0", 1e-1}}}
)

// threadCounts are the numbers of threads by their names in results.
var threadCounts = []struct {
	name string
	n    int
}{{"1", 1}, {"all", 0}}

// golden is the reference of name; one new token for a prefill.
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

// openSystem starts a reference system and verifies it.
func openSystem(ctx context.Context, w *llm.Workload, v referenceSystem, form within, threads int) (*systems.LLM, error) {
	dir, err := llm.ModelDir(ctx, testdata, w.ID().Scale, nil)
	if err != nil {
		return nil, err
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, err
	}
	m, err := systems.OpenLLM(ctx, v.program, systems.Options{Threads: threads}, systems.Load{Dir: dir, DType: form.dtype, Compile: v.compile})
	if err != nil {
		return nil, err
	}
	g, err := m.Generate(ctx, systems.Generate{Prompts: w.Prompts, New: w.New(), Force: w.Want, Logits: true})
	if err == nil {
		_, err = w.Agrees(g.Logits, g.Vocab, form.error)
	}
	if err == nil {
		err = w.Follows(g.Tokens, form.error)
	}
	for i := 0; err == nil && v.compile && i < 2; i++ { // until nothing is recompiled
		_, err = m.Generate(ctx, systems.Generate{Prompts: w.Prompts, New: w.New()})
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s, %s: %w", v.name, form.dtype, err), m.Close())
	}
	return m, nil
}

// referenceSystems times one in all its forms, each verified first.
func referenceSystems(b *testing.B, name string, v referenceSystem) {
	if err := systems.Available(v.program); err != nil {
		b.Skip(err)
	}
	scale, err := workloads.ScaleFromEnv()
	if err != nil {
		b.Fatal(err)
	}
	w := golden(b, name, scale)
	for _, form := range v.within {
		for _, threads := range threadCounts {
			b.Run(llmName(name, v.name, scale, form.dtype, threads.name), func(b *testing.B) { systemCase(b, w, v, form, threads.n) })
		}
	}
}

// llmName is the name of a language model's benchmark with one type of weights.
func llmName(name, baseline string, scale workloads.Scale, dtype, threads string) string {
	return benchname.Of(name, baseline, "model="+llm.ModelName(scale), "net=none", "dtype="+dtype, "threads="+threads)
}

// systemCase times generations, one per operation, by the clock of this
// process; ttft and steps use the system's own clock.
func systemCase(b *testing.B, w *llm.Workload, v referenceSystem, form within, threads int) {
	ctx := context.Background()
	m, err := openSystem(ctx, w, v, form, threads)
	if errors.Is(err, systems.ErrUnavailable) {
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
		g, err := m.Generate(ctx, systems.Generate{Prompts: w.Prompts, New: w.New()})
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

// TestReferenceSystems verifies every available reference system at the tiny
// scale.
func TestReferenceSystems(t *testing.T) {
	if !systems.Tested() {
		t.Skip("GENIE_TEST_REFERENCE_SYSTEMS is not set; genie bench setup, then GENIE_TEST_REFERENCE_SYSTEMS=1 go test -run TestReferenceSystems ./baselines/studies")
	}
	for _, v := range []referenceSystem{pytorch, onnxRuntime, llamaCPP} {
		for _, form := range v.within {
			t.Run(v.name+"/"+form.dtype, func(t *testing.T) {
				if err := systems.Available(v.program); err != nil {
					t.Skip(err)
				}
				for _, name := range []string{llm.Decode, decodeBatch, llm.Prefill} {
					w := golden(t, name, workloads.Tiny)
					m, err := openSystem(t.Context(), w, v, form, 1)
					require.NoError(t, err)
					require.Equal(t, 1, m.Threads)
					g, err := m.Generate(t.Context(), systems.Generate{Prompts: w.Prompts, New: w.New()})
					require.NoError(t, err)
					require.NoError(t, w.Follows(g.Tokens, form.error))
					require.NoError(t, m.Close())
				}
			})
		}
	}
}
