package cuda_test

import (
	"testing"

	"github.com/genie-sdk/go/internal/device"
	"github.com/genie-sdk/go/internal/device/cpu"
)

func emulated(t testing.TB) device.Open { return cpu.Open }
