package micro_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/genie-sdk/go/baselines"
	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/internal/benchname"
	"github.com/genie-sdk/go/semantic"
	"github.com/genie-sdk/go/workloads"
	"github.com/genie-sdk/go/workloads/micro"
)

func TestMain(m *testing.M) {
	if baselines.Child() {
		if err := baselines.RunChild(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	benchname.Declare(os.Stdout, "predicted-ns better=lower", "measured-ns better=lower", "err-frac better=lower",
		"operator-err-frac better=lower", "transfer-err-frac better=lower", "run-err-frac better=lower", "rank better=higher")
	goleak.VerifyTestMain(m)
}

// envFastest selects the fastest runs instead of the medians.
const envFastest = "GENIE_MICRO_FASTEST"

// calibrationRounds are fewer than the default of [micro.Calibrate], so that
// the package ends in a few minutes.
const calibrationRounds = 3

// BenchmarkCostModel runs each judged case, in-process and on a worker in
// another process, and reports the measured time and the prediction of the cost
// model, calibrated immediately before. An operation is a run of the case.
func BenchmarkCostModel(b *testing.B) {
	for _, on := range [][2]string{{"local", "capture-only"}, {"tcp", "full"}, {"grpc", "full-rpc"}} {
		costModel(b, on[0], on[1])
	}
}

func costModel(b *testing.B, scheme, baseline string) {
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
	suite, sampling := micro.SuiteAt(scale), micro.Sampling{Rounds: calibrationRounds, Fastest: os.Getenv(envFastest) != ""}
	if scale == workloads.Tiny { // where times mean nothing
		sampling.Rounds = 1
	}
	device, err := micro.Calibrate(ctx, client, suite, sampling)
	if err != nil {
		b.Fatal(err)
	}
	var measured []micro.Measurement
	for _, c := range suite.Judged {
		parts := []string{"op=" + c.Op, "size=" + c.Size()}
		if c.Transfer() {
			parts = []string{"op=" + c.Op, fmt.Sprintf("bytes=%d", c.Dims[0])}
		}
		b.Run(benchname.Of("cost-model", baseline, append(parts, "net=loopback")...), func(b *testing.B) {
			m, err := measure(ctx, b, client, c, sampling)
			if err != nil {
				b.Fatal(err)
			}
			measured = append(measured, m)
			j, err := micro.Compare(device, []micro.Measurement{m})
			if err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(j.Rows[0].Predicted*1e9, "predicted-ns")
			b.ReportMetric(j.Rows[0].Measured*1e9, "measured-ns")
			b.ReportMetric(j.Rows[0].Error, "err-frac")
		})
	}
	if len(measured) < len(suite.Judged) {
		return // -bench selected some of them
	}
	predictAll(b, baseline, device, measured)
}

// measure verifies a case and then runs it repeatedly.
func measure(ctx context.Context, b *testing.B, client *genie.Client, c micro.Case, s micro.Sampling) (m micro.Measurement, err error) {
	b.Helper()
	r, err := micro.OpenCase(ctx, client, c)
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	var wall, executor []float64
	for b.Loop() {
		run, err := r.Run(ctx, workloads.RunOptions{})
		if err != nil {
			return m, err
		}
		wall, executor = append(wall, run.First.Seconds()), append(executor, run.Executor[0].Seconds())
	}
	return micro.Measurement{Case: c, Wall: s.One(wall), Executor: s.One(executor), Runs: len(wall)}, nil
}

// predictAll measures the cost of the predictions of all judged cases, and
// their quality.
func predictAll(b *testing.B, baseline string, device semantic.Device, measured []micro.Measurement) {
	b.Helper()
	b.Run(benchname.Of("cost-model", baseline, "op=predict-all", "net=loopback"), func(b *testing.B) {
		var j *micro.Judgement
		for b.Loop() {
			var err error
			if j, err = micro.Compare(device, measured); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(j.OperatorError, "operator-err-frac")
		b.ReportMetric(j.TransferError, "transfer-err-frac")
		b.ReportMetric(j.RunError, "run-err-frac")
		b.ReportMetric(j.Rank, "rank")
	})
}
