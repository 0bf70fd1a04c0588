package cuda_test

import (
	"testing"

	"github.com/genie-sdk/go/internal/device"
	"github.com/genie-sdk/go/internal/device/cuda"
	"github.com/genie-sdk/go/internal/device/cuda/emulator"
)

// emulated opens the device on an emulated driver. What the emulator finds is an
// error of the run.
func emulated(testing.TB) device.Open {
	return cuda.Open(emulator.New(emulator.Options{Memory: 1 << 30}), 0, cuda.Options{})
}
