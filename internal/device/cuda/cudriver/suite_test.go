//go:build genie_cuda

package cudriver_test

import (
	"testing"

	"github.com/genie-sdk/go/internal/device/cuda/cudriver"
	"github.com/genie-sdk/go/internal/device/cuda/drivertest"
)

func TestSuite(t *testing.T) {
	d, err := cudriver.New()
	if err != nil {
		t.Skipf("needs a GPU: internal/device/cuda/toolchain.sh go test -tags genie_cuda -run TestSuite ./internal/device/cuda/cudriver: %v", err)
	}
	drivertest.Run(t, d)
}
