package host

import (
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"github.com/genie-sdk/go/internal/device"
	"github.com/genie-sdk/go/internal/device/cpu"
	"github.com/genie-sdk/go/internal/device/mixed"
)

// Missing is the treatment of a plan with operators that the device lacks.
type Missing string

const (
	// MissingOnCPU runs them on the CPU of the same process, and logs which.
	MissingOnCPU Missing = "cpu"
	// MissingRefused refuses the plan, and names the first of them.
	MissingRefused Missing = "refuse"
)

// devices are those that a host can open, by name.
func devices() map[string]device.Open {
	return map[string]device.Open{"cpu": cpu.Open}
}

// Devices lists the names that [Device] knows.
func Devices() []string { return slices.Sorted(maps.Keys(devices())) }

// Device is the device of a name, for [engine.Options]. log, which may be nil,
// gets a record of operators that run on the CPU instead.
func Device(name string, missing Missing, log *slog.Logger) (device.Open, error) {
	open, ok := devices()[name]
	if !ok {
		return nil, fmt.Errorf("genie: there is no device %q, only %s", name, strings.Join(Devices(), ", "))
	}
	return withCPU(open, missing, log)
}

// withCPU combines a device with the CPU, unless missing operators are to be
// refused.
func withCPU(open device.Open, missing Missing, log *slog.Logger) (device.Open, error) {
	switch missing {
	case MissingOnCPU:
		return mixed.Open(mixed.Options{Primary: open, CPU: cpu.Open, Log: log}), nil
	case MissingRefused:
		return open, nil
	}
	return nil, fmt.Errorf("genie: what a device lacks can be for %q or %q, not %q", MissingOnCPU, MissingRefused, missing)
}
