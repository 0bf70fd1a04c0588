//go:build !genie_cuda

package cudatest_test

import (
	"fmt"

	"github.com/genie-sdk/go/internal/device"
)

const defaultDevice = "cpu"

// openNamed opens the CUDA device on the emulator.
func openNamed(name string) (device.Open, error) {
	return nil, fmt.Errorf("there is no device %q in this build, only emulator and cpu", name)
}
