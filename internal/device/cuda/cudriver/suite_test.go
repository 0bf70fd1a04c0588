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
		t.Skipf("needs a GPU: %v", err)
	}
	drivertest.Run(t, d)
}
