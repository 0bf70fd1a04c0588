package null_test

import (
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/genie-sdk/go/internal/device/devicetest"
	"github.com/genie-sdk/go/internal/device/null"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestDevice runs the suite except for the numbers, on a device of 100 GFLOP/s.
func TestDevice(t *testing.T) {
	open := null.Open(null.Options{Time: func(w null.Work) time.Duration { return time.Duration(w.FLOPs / 100) }})
	devicetest.Run(t, open, devicetest.Options{Zeros: true, Plans: 20})
}
