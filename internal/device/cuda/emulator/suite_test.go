package emulator_test

import (
	"testing"

	"github.com/genie-sdk/go/internal/device/cuda/drivertest"
	"github.com/genie-sdk/go/internal/device/cuda/emulator"
)

// TestSuite runs what each driver passes, as that on a GPU does.
func TestSuite(t *testing.T) { drivertest.Run(t, emulator.New(emulator.Options{})) }
