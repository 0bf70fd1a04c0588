package baselines_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"testing"

	"github.com/genie-sdk/go/baselines"
	"github.com/genie-sdk/go/baselines/results"
	"github.com/genie-sdk/go/internal/benchname"
	"github.com/genie-sdk/go/internal/memory"
	"github.com/genie-sdk/go/transport/link"
	"github.com/genie-sdk/go/workloads"
)

const testdata = "../testdata"

func TestMain(m *testing.M) {
	if baselines.Child() {
		if err := baselines.RunChild(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	benchname.Declare(os.Stdout, append(results.DefaultUnits(), "link-frac better=higher", "link-B/s better=higher", "raw-B/s better=higher")...)
	os.Exit(m.Run())
}

// cases times a workload, in all its variants, with some baselines.
func cases(b *testing.B, name string, bases ...baselines.Baseline) {
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
			b.Run(s.Label(), func(b *testing.B) { benchCase(b, s) })
		}
	}
}

// benchCase opens and verifies a case, then times it.
func benchCase(b *testing.B, s baselines.Spec) {
	ctx := context.Background()
	debug.FreeOSMemory() // memory that the previous case left behind
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
	// A run may be several operations, such as the batches of a stream, and a
	// reference system's times use its own clock.
	b.ReportMetric(float64(samples.Mean()), "ns/op")
	for _, m := range samples.Metrics(c.Facts(ctx), ops(b, c)-before) {
		b.ReportMetric(m.Value, m.Unit)
	}
	if s.Baseline.Name == baselines.NoSemantics().Name {
		reportLink(b, samples)
	}
}

func ops(b *testing.B, c baselines.Case) int64 {
	b.Helper()
	n, err := c.Ops(context.Background())
	if err != nil {
		b.Fatal(err)
	}
	return n
}
