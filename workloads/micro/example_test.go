package micro_test

import (
	"context"
	"fmt"
	"time"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/workloads"
	"github.com/genie-sdk/go/workloads/micro"
)

// Calibrate a device and judge it. The tiny scale is quick but its times mean
// little.
func Example() {
	ctx := context.Background()
	client := must(genie.Open(ctx, "local:")) // or "tcp://host:7070", "grpc://host:7071"
	defer client.Close()
	suite := micro.SuiteAt(workloads.Tiny)
	device := must(micro.Calibrate(ctx, client, suite, micro.Sampling{Rounds: 1, Time: time.Microsecond}))
	judged := must(micro.Judge(ctx, client, device, suite, micro.Sampling{Rounds: 1, Time: time.Microsecond}))
	fmt.Println(len(judged.Rows), "cases, the first is", judged.Rows[0].Op, judged.Rows[0].Size)
	// Output: 11 cases, the first is matmul 48x40x56
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
