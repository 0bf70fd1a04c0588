package studies_test

import (
	"context"
	"testing"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/transport/local"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/workloads"
	"github.com/genie-sdk/go/workloads/gpt2"
	"github.com/genie-sdk/go/workloads/llm"
)

func BenchmarkReferenceDecode_Engine(b *testing.B)      { engines(b, llm.Decode) }
func BenchmarkReferenceDecodeBatch_Engine(b *testing.B) { engines(b, decodeBatch) }
func BenchmarkReferencePrefill_Engine(b *testing.B)     { engines(b, llm.Prefill) }

// weightTypes are the engine's weight types, with the allowed errors compared
// to reference systems with the same type.
var weightTypes = []struct {
	within
	storage plan.DType
	opts    []local.Option
}{
	{within: within{"f32", 2e-5}, storage: plan.F32},
	{within: within{"bf16", 5e-2}, storage: plan.BF16},
	{within: within{"f16", 5e-3}, storage: plan.F16},
	{within: within{"int8", 1e-1}, storage: plan.F32, opts: []local.Option{local.WithInt8Weights()}},
}

// engines times the engine in this process as [referenceSystems] times others: the same
// checkpoint in several types, the same prompts, each verified first.
func engines(b *testing.B, name string) {
	scale, err := workloads.ScaleFromEnv()
	if err != nil {
		b.Fatal(err)
	}
	w := golden(b, name, scale)
	for _, weights := range weightTypes {
		if scale == workloads.Tiny && weights.storage != plan.F32 {
			continue // no checkpoint
		}
		b.Run(llmName(name, "genie", scale, weights.dtype, "all"), func(b *testing.B) {
			ctx := context.Background()
			dir, err := llm.ModelDirAs(ctx, testdata, scale, weights.storage, nil)
			if err != nil {
				b.Fatal(err)
			}
			m, err := gpt2.Load(ctx, dir, gpt2.LoadOptions{})
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() { _ = m.Close() })
			engineCase(b, opened(b, weights.opts...), m, w, weights.error)
		})
	}
}

func engineCase(b *testing.B, client *genie.Client, m *gpt2.Model, w *llm.Workload, tolerance float64) {
	var t timings
	run := func() *genie.Generation {
		ctx := context.Background()
		s, err := client.NewSession(ctx)
		if err != nil {
			b.Fatal(err)
		}
		defer s.Close()
		out, err := genie.Generate(ctx, s, m.LM, genie.GenerateRequest{Prompts: w.Prompts, MaxNew: w.New(), IgnoreEOS: true})
		if err != nil {
			b.Fatal(err)
		}
		if err := w.Follows(out.Tokens, tolerance); err != nil {
			b.Fatal(err)
		}
		return out
	}
	run()
	for b.Loop() {
		out := run()
		t.add(out.TTFT, out.Steps)
	}
	t.report(b, w)
}
