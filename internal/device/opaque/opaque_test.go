package opaque_test

import (
	"testing"

	"github.com/genie-sdk/go/internal/device/devicetest"
	"github.com/genie-sdk/go/internal/device/opaque"
)

func TestDevice(t *testing.T) { devicetest.Run(t, opaque.Open, devicetest.Options{}) }
