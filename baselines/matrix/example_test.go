package matrix_test

import (
	"bytes"
	"context"
	"fmt"

	"github.com/genie-sdk/go/baselines/matrix"
	"github.com/genie-sdk/go/baselines/results"
)

// sleeper is a case whose operation takes some time.
type sleeper struct {
	baseline string
	ns       float64
}

func (s sleeper) Name() string {
	return "BenchmarkNap/workload=nap/baseline=" + s.baseline + "/net=loopback"
}
func (s sleeper) Open(context.Context) error { return nil }
func (s sleeper) Close() error               { return nil }

func (s sleeper) Run(context.Context) (map[string]float64, int, error) {
	return map[string]float64{"ns/op": s.ns}, 1, nil
}

func Example() {
	group := []matrix.Case{sleeper{"full", 2e6}, sleeper{"capture-only", 1e6}}
	var file bytes.Buffer
	o, err := matrix.Run(context.Background(), &file, [][]matrix.Case{group}, matrix.Options{Count: 6})
	if err != nil {
		panic(err)
	}
	f, err := results.Read(&file, "file")
	if err != nil {
		panic(err)
	}
	fmt.Println(o.Samples, "samples")
	for _, c := range f.Cases {
		s, _ := c.Summary("sec/op")
		fmt.Println(c.Label(), s.N, s.Median)
	}
	// Output:
	// 12 samples
	// capture-only 6 0.001
	// full 6 0.002
}
