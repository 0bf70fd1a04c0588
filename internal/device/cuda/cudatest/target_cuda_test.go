//go:build genie_cuda

package cudatest_test

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/genie-sdk/go/internal/device"
	"github.com/genie-sdk/go/internal/device/cuda"
	"github.com/genie-sdk/go/internal/device/cuda/cudriver"
)

const defaultDevice = "cuda:0"

// openNamed opens a GPU of this machine.
func openNamed(name string) (device.Open, error) {
	number, ok := strings.CutPrefix(name, "cuda:")
	n, err := strconv.Atoi(number)
	if !ok || err != nil || n < 0 {
		return nil, fmt.Errorf("there is no device %q in this build, only cpu and cuda:N", name)
	}
	drv, err := cudriver.New()
	if err != nil {
		return nil, err
	}
	return cuda.Open(drv, n, cuda.Options{}), nil
}
