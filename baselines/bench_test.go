package baselines_test

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"runtime/debug"
	"testing"
	"time"

	"github.com/genie-sdk/go/baselines"
	"github.com/genie-sdk/go/internal/memory"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/workloads"
	"github.com/genie-sdk/go/workloads/llm"
)

const testdata = "../testdata"

// units declares the figures to benchstat.
const units = `Unit tok/s better=higher
Unit ttft-ns better=lower
Unit step-ns better=lower
Unit wire-B/tok better=lower
Unit rtts/tok better=lower assume=exact
Unit remote-ops/op better=higher assume=exact
Unit link-frac better=higher
Unit link-B/s better=higher
Unit raw-B/s better=higher
Unit overhead-ns/tok better=lower
Unit kernels-ns/tok better=lower
Unit client-peak-B better=lower
Unit worker-peak-B better=lower
Unit images/s better=higher
Unit GF/s better=higher
Unit peer-ns better=lower
Unit peer-min-ns better=lower
`

func TestMain(m *testing.M) {
	if os.Getenv(baselines.EnvWorker) != "" {
		if err := baselines.RunWorker(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	flag.Parse()
	if f := flag.Lookup("test.bench"); f != nil && f.Value.String() != "" {
		fmt.Print(units)
	}
	os.Exit(m.Run())
}

func BenchmarkLLMDecode_LocalGorgonia(b *testing.B) { gorgonia(b, llm.Decode) }
func BenchmarkLLMDecode_CaptureOnly(b *testing.B)   { cell(b, llm.Decode, baselines.CaptureOnly()) }

func BenchmarkLLMDecode_LocalRemote(b *testing.B) { cell(b, llm.Decode, baselines.LocalRemote()) }

func BenchmarkLLMDecode_NoSemantics(b *testing.B)    { cell(b, llm.Decode, baselines.NoSemantics()) }
func BenchmarkLLMDecode_Full(b *testing.B)           { cell(b, llm.Decode, baselines.Full()) }
func BenchmarkLLMDecode_FullRPC(b *testing.B)        { cell(b, llm.Decode, baselines.FullRPC()) }
func BenchmarkLLMPrefill_LocalGorgonia(b *testing.B) { gorgonia(b, llm.Prefill) }
func BenchmarkLLMPrefill_CaptureOnly(b *testing.B)   { cell(b, llm.Prefill, baselines.CaptureOnly()) }

func BenchmarkLLMPrefill_LocalRemote(b *testing.B) { cell(b, llm.Prefill, baselines.LocalRemote()) }

func BenchmarkLLMPrefill_NoSemantics(b *testing.B) { cell(b, llm.Prefill, baselines.NoSemantics()) }
func BenchmarkLLMPrefill_Full(b *testing.B)        { cell(b, llm.Prefill, baselines.Full()) }
func BenchmarkLLMPrefill_FullRPC(b *testing.B)     { cell(b, llm.Prefill, baselines.FullRPC()) }

func workload(b *testing.B, name string) *llm.Workload {
	b.Helper()
	scale, err := workloads.ScaleFromEnv()
	if err != nil {
		b.Fatal(err)
	}
	w, err := llm.Load(testdata, name, scale)
	if err != nil {
		b.Fatal(err)
	}
	return w
}

func label(w *llm.Workload, baseline string) string {
	return fmt.Sprintf("workload=%s/baseline=%s/model=%s/net=loopback", w.Name, baseline, llm.ModelName(w.Scale))
}

// cell opens and verifies a cell, then times it.
func cell(b *testing.B, name string, base baselines.Baseline) {
	w := workload(b, name)
	b.Run(label(w, base.Name), func(b *testing.B) {
		ctx := context.Background()
		debug.FreeOSMemory() // what the cell before left
		memory.ResetPeak()
		c, err := baselines.OpenCell(ctx, testdata, w, base)
		if err != nil {
			b.Fatal(err)
		}
		defer func() {
			if err := c.Close(); err != nil {
				b.Error(err)
			}
		}()
		var t totals
		b.ReportAllocs()
		for b.Loop() {
			f, err := c.Run(ctx)
			if err != nil {
				b.Fatal(err)
			}
			t.add(f)
		}
		t.report(b)
		b.ReportMetric(float64(memory.PeakRSS()), "client-peak-B")
		if p := c.WorkerPeak(ctx); p > 0 {
			b.ReportMetric(float64(p), "worker-peak-B")
		}
		if base.Name == baselines.NoSemantics().Name {
			reportLink(b, &t)
		}
	})
}

// totals adds up the runs of a cell.
type totals struct {
	runs, prompt, steps  int
	ttft, step, transfer time.Duration
	sent, received       [plan.NumCauses]int64
	bytes, rtts, ops     int64
}

// add counts a run: per-token figures of the steps after the first token, or
// of the prompt when there is no other.
func (t *totals) add(f *baselines.Figures) {
	t.runs++
	t.prompt += f.Prompt
	t.steps += len(f.Steps)
	t.ttft += f.TTFT
	moved := f.Rest
	for i, s := range f.Steps {
		t.step += s
		t.transfer += s - f.Executor[i+1]
	}
	if len(f.Steps) == 0 {
		moved = f.First
		t.transfer += f.TTFT - f.Executor[0]
	}
	for c := range moved.Sent {
		t.sent[c] += moved.Sent[c]
		t.received[c] += moved.Received[c]
	}
	t.bytes += moved.SocketSent + moved.SocketReceived
	t.rtts += moved.RoundTrips
	t.ops += f.RemoteOps
}

func (t *totals) report(b *testing.B) {
	tokens, spent := float64(t.steps), t.step
	if t.steps == 0 {
		tokens, spent = float64(t.prompt), t.ttft
	} else {
		b.ReportMetric(float64(t.step.Nanoseconds())/tokens, "step-ns")
	}
	b.ReportMetric(tokens/spent.Seconds(), "tok/s")
	b.ReportMetric(float64(t.ttft.Nanoseconds())/float64(t.runs), "ttft-ns")
	b.ReportMetric(float64(t.ops)/float64(t.runs), "remote-ops/op")
	b.ReportMetric(float64(t.bytes)/tokens, "wire-B/tok")
	b.ReportMetric(float64(t.rtts)/tokens, "rtts/tok")
	if t.bytes == 0 {
		return
	}
	for c := range plan.NumCauses {
		if n := t.sent[c] + t.received[c]; n > 0 {
			b.ReportMetric(float64(n)/tokens, plan.Cause(c).String()+"-wire-B/tok")
		}
	}
}

// reportLink compares the rate at which a cell moves its bytes with that of a
// raw socket that moves as many, from memory to memory, here and now.
func reportLink(b *testing.B, t *totals) {
	per := t.runs
	if t.steps > 0 {
		per = t.steps
	}
	raw, err := rawSocketRate(int(t.bytes) / per)
	if err != nil {
		b.Fatal(err)
	}
	rate := float64(t.bytes) / t.transfer.Seconds()
	b.ReportMetric(rate, "link-B/s")
	b.ReportMetric(raw, "raw-B/s")
	b.ReportMetric(rate/raw, "link-frac")
}

// rawSocketRate is the rate of a loopback TCP connection between two
// goroutines that moves total bytes out of one region into another, in bytes a
// second, over five times. It does nothing else: no framing, no checksum.
func rawSocketRate(total int) (rate float64, err error) {
	src, dst := make([]byte, total), make([]byte, total)
	for i := 0; i < total; i += 4096 {
		src[i], dst[i] = 1, 2
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	const times = 5
	var spent time.Duration
	for range times {
		go func() {
			c, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				return
			}
			defer c.Close()
			_, _ = c.Write(src)
		}()
		c, err := l.Accept()
		if err != nil {
			return 0, err
		}
		start := time.Now()
		_, err = io.ReadFull(c, dst)
		spent += time.Since(start)
		_ = c.Close()
		if err != nil {
			return 0, fmt.Errorf("raw socket: %w", err)
		}
	}
	return times * float64(total) / spent.Seconds(), nil
}

// gorgonia times the stock Gorgonia cell.
func gorgonia(b *testing.B, name string) {
	w := workload(b, name)
	b.Run(label(w, baselines.LocalGorgoniaName), func(b *testing.B) {
		debug.FreeOSMemory() // what the cell before left
		memory.ResetPeak()
		g, err := baselines.OpenGorgonia(context.Background(), testdata, w)
		if err != nil {
			b.Fatal(err)
		}
		defer g.Close()
		var t totals
		b.ReportAllocs()
		for b.Loop() {
			f, err := g.Run()
			if err != nil {
				b.Fatal(err)
			}
			t.add(f)
		}
		t.report(b)
		b.ReportMetric(float64(memory.PeakRSS()), "client-peak-B")
	})
}
