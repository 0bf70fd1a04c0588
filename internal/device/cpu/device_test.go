package cpu_test

import (
	"testing"

	"github.com/genie-sdk/go/internal/device/cpu"
	"github.com/genie-sdk/go/internal/device/devicetest"
	"github.com/genie-sdk/go/internal/kernelchoice"
)

func TestDevice(t *testing.T) {
	devicetest.Run(t, cpu.Open, devicetest.Options{Tolerance: 2e-5, Int8: true, Kernels: kernelchoice.Kernels})
}
