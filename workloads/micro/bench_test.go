package micro_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/genie-sdk/go/baselines"
	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/workloads"
	"github.com/genie-sdk/go/workloads/micro"
)

// units declares the figures to benchstat.
const units = `Unit predicted-ns better=lower
Unit measured-ns better=lower
Unit err-frac better=lower
Unit operator-err-frac better=lower
Unit transfer-err-frac better=lower
Unit run-err-frac better=lower
Unit rank better=higher
`

func TestMain(m *testing.M) {
	if baselines.Child() {
		if err := baselines.RunChild(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	flag.Parse()
	if f := flag.Lookup("test.bench"); f != nil && f.Value.String() != "" {
		fmt.Print(units)
	}
	goleak.VerifyTestMain(m)
}

// envFastest makes the fastest runs count and not the medians.
const envFastest = "GENIE_MICRO_FASTEST"

// BenchmarkCostModel calibrates the cost model, in-process and on a worker in
// another process, and reports what it predicts of each judged case beside what
// was measured.
func BenchmarkCostModel(b *testing.B) {
	for _, on := range [][2]string{{"local", "capture-only"}, {"tcp", "full"}, {"grpc", "full-rpc"}} {
		b.Run("workload=cost-model/baseline="+on[1]+"/net=loopback", func(b *testing.B) { costModel(b, on[0]) })
	}
}

func costModel(b *testing.B, scheme string) {
	scale, err := workloads.ScaleFromEnv()
	if err != nil {
		b.Fatal(err)
	}
	ctx := context.Background()
	url := "local:"
	if scheme != "local" {
		w, err := baselines.StartWorker(ctx, "")
		if err != nil {
			b.Fatal(err)
		}
		defer w.Close()
		if url = w.TCP; scheme == "grpc" {
			url = w.GRPC
		}
	}
	client, err := genie.Open(ctx, url)
	if err != nil {
		b.Fatal(err)
	}
	defer client.Close()
	sampling := micro.Sampling{Fastest: os.Getenv(envFastest) != ""}
	if scale == workloads.Tiny { // where times say nothing
		sampling.Rounds = 1
	}
	// It has benchmarks below it, so it runs once.
	_, j, err := micro.Evaluate(ctx, client, micro.SuiteAt(scale), sampling)
	if err != nil {
		b.Fatal(err)
	}
	for _, r := range j.Rows {
		name := fmt.Sprintf("op=%s/size=%s", r.Op, r.Size)
		if r.Transfer {
			name = fmt.Sprintf("op=%s/bytes=%d", r.Op, r.Bytes)
		}
		report(b, name, map[string]float64{
			"predicted-ns": r.Predicted * 1e9, "measured-ns": r.Measured * 1e9, "err-frac": r.Error,
		})
	}
	report(b, "op=all/size=all", map[string]float64{
		"operator-err-frac": j.OperatorError, "transfer-err-frac": j.TransferError, "run-err-frac": j.RunError, "rank": j.Rank,
	})
}

// report is a line of results without a loop of its own.
func report(b *testing.B, name string, metrics map[string]float64) {
	b.Helper()
	b.Run(name, func(b *testing.B) {
		for b.Loop() {
		}
		b.ReportMetric(0, "ns/op")
		for unit, v := range metrics {
			b.ReportMetric(v, unit)
		}
	})
}
