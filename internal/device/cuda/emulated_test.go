package cuda_test

import (
	"testing"

	"github.com/genie-sdk/go/internal/device"
	"github.com/genie-sdk/go/internal/device/cuda"
	"github.com/genie-sdk/go/internal/device/cuda/emulator"
)

// emulated opens the device on an emulated driver. What the emulator finds is an
// error of the run. With the race detector, which makes it ten times slower, it
// checks less.
func emulated(testing.TB) device.Open {
	o := emulator.Options{Memory: 1 << 30}
	if raceDetector {
		o.Check = emulator.Bounds
	}
	return cuda.Open(emulator.New(o), 0, cuda.Options{})
}
