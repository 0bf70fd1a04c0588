package baselines_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime/debug"
	"testing"

	"github.com/genie-sdk/go/baselines"
	"github.com/genie-sdk/go/baselines/results"
	"github.com/genie-sdk/go/internal/memory"
	"github.com/genie-sdk/go/transport/link"
	"github.com/genie-sdk/go/workloads"
	"github.com/genie-sdk/go/workloads/llm"
)

const testdata = "../testdata"

// units declares the figures that only the benchmarks of this package have.
const units = `Unit link-frac better=higher
Unit link-B/s better=higher
Unit raw-B/s better=higher
Unit round-trips/op better=lower
Unit overhead-ns/tok better=lower
Unit kernels-ns/tok better=lower
Unit peer-ns better=lower
Unit peer-min-ns better=lower
`

func TestMain(m *testing.M) {
	if os.Getenv(envEcho) != "" {
		if err := runEcho(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	if baselines.Child() {
		if err := baselines.RunChild(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	flag.Parse()
	if f := flag.Lookup("test.bench"); f != nil && f.Value.String() != "" {
		for _, u := range results.DefaultUnits() {
			fmt.Println("Unit", u)
		}
		fmt.Print(units)
	}
	os.Exit(m.Run())
}

// workload is the one of a name with one sequence.
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

// cells times a workload, in all its variants, with some baselines.
func cells(b *testing.B, name string, bases ...baselines.Baseline) {
	scale, err := workloads.ScaleFromEnv()
	if err != nil {
		b.Fatal(err)
	}
	all, err := baselines.WorkloadsFromEnv(context.Background(), testdata, name, scale)
	if err != nil {
		b.Fatal(err)
	}
	if len(all) == 0 {
		b.Skipf("no checkpoint of %s is for %s: name one, %s=gpt2=DIR,resnet=DIR,clip=DIR", baselines.EnvCheckpoints, name, baselines.EnvCheckpoints)
	}
	for _, w := range all {
		for _, base := range bases {
			s := baselines.Spec{Workload: w, Baseline: base, Net: os.Getenv(link.EnvNet)}
			b.Run(s.Label(), func(b *testing.B) { cell(b, s) })
		}
	}
}

// cell opens and verifies a cell, then times it.
func cell(b *testing.B, s baselines.Spec) {
	ctx := context.Background()
	debug.FreeOSMemory() // what the cell before left
	memory.ResetPeak()
	c, err := baselines.Open(ctx, s)
	if errors.Is(err, baselines.ErrUnavailable) {
		b.Skip(err)
	}
	if err != nil {
		b.Fatal(err)
	}
	defer func() {
		if err := c.Close(); err != nil {
			b.Error(err)
		}
	}()
	samples := baselines.NewSamples(s.Workload)
	before := ops(b, c)
	b.ReportAllocs()
	for b.Loop() {
		f, err := c.Run(ctx)
		if err != nil {
			b.Fatal(err)
		}
		samples.Add(f)
	}
	b.ReportMetric(float64(samples.Mean()), "ns/op") // a run may be several operations
	for _, m := range samples.Metrics(c.Facts(ctx), ops(b, c)-before) {
		b.ReportMetric(m.Value, m.Unit)
	}
	if s.Baseline.Name == baselines.NoSemantics().Name {
		reportLink(b, samples)
	}
}

func ops(b *testing.B, c baselines.Cell) int64 {
	b.Helper()
	n, err := c.Ops(context.Background())
	if err != nil {
		b.Fatal(err)
	}
	return n
}
