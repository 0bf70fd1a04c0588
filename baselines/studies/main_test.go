package studies_test

import (
	"fmt"
	"os"
	"testing"

	"github.com/genie-sdk/go/baselines"
	"github.com/genie-sdk/go/baselines/results"
	"github.com/genie-sdk/go/internal/benchname"
	"github.com/genie-sdk/go/workloads"
	"github.com/genie-sdk/go/workloads/llm"
)

const testdata = "../../testdata"

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
	benchname.Declare(os.Stdout, append(results.DefaultUnits(),
		"overhead-ns/tok better=lower", "kernels-ns/tok better=lower", "kernels-ns/op better=lower",
		"gap-p50-ns better=lower", "gap-p99-ns better=lower", "ttft-p50-ns better=lower",
		"min-ns better=lower", "round-trips/op better=lower", "batch better=higher")...)
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
