//go:build !genie_cuda

package cudatest_test

import (
	"fmt"

	"github.com/genie-sdk/go/internal/device"
	"github.com/genie-sdk/go/internal/device/cuda"
	"github.com/genie-sdk/go/internal/device/cuda/emulator"
)

const defaultDevice = "emulator"

// openNamed opens the CUDA device on the emulator.
func openNamed(name string) (device.Open, error) {
	if name != defaultDevice {
		return nil, fmt.Errorf("there is no device %q in this build, only emulator and cpu", name)
	}
	o := emulator.Options{Memory: 1 << 30}
	if raceEnabled {
		o.Check = emulator.Bounds // the race detector makes it ten times slower
	}
	return cuda.Open(emulator.New(o), 0, cuda.Options{}), nil
}
