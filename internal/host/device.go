package host

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
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

// CPU is the name of the device that each program has.
const CPU = "cpu"

// Kind is a kind of devices, such as cuda, whose devices are cuda:0, cuda:1 and so
// on. The program that links a driver of it fills it in.
type Kind struct {
	Name string
	// Build says which program has the kind, in one that does not: the functions are
	// nil then.
	Build string
	// List describes its devices, by their number. The error is that of a machine
	// without any.
	List func() ([]DeviceInfo, error)
	Open func(ordinal int) device.Open
	// Probe measures a device.
	Probe func(ctx context.Context, ordinal int) (Rates, error)
}

// DeviceInfo describes a device.
type DeviceInfo struct {
	Model      string // such as NVIDIA H100 80GB HBM3
	Capability string // what code it runs: the compute capability of CUDA, such as 9.0
	Driver     string // such as CUDA 12.9
	Memory     int64  // bytes
}

// Rates are the highest rates that a device reached.
type Rates struct {
	Copies   float64 // bytes per second that its memory reads and writes
	Products []ProductRate
}

// ProductRate is the rate of matrix products with weights of one type.
type ProductRate struct {
	DType string // f32, bf16
	FLOPs float64
}

// Devices are the devices that a host can open: the CPU and some kinds.
type Devices []Kind

// nameError means that there is no device of a name.
type nameError struct{ text string }

func (e *nameError) Error() string { return e.text }

// IsNameError reports whether err is of [Devices.Find] and says that there is no
// device of that name, and which there are.
func IsNameError(err error) bool {
	var wrong *nameError
	return errors.As(err, &wrong)
}

// Names says which names there are, without asking a driver.
func (d Devices) Names() string {
	names := []string{CPU}
	for _, k := range d {
		name := k.Name + ":N"
		if k.Build != "" {
			name += " in another build"
		}
		names = append(names, name)
	}
	return strings.Join(names, ", ")
}

// Find checks a name. Other errors than that of [IsNameError] are of a driver.
func (d Devices) Find(name string) error {
	_, err := d.find(name)
	return err
}

func (d Devices) find(name string) (device.Open, error) {
	if name == CPU {
		return cpu.Open, nil
	}
	prefix, number, _ := strings.Cut(name, ":")
	i := slices.IndexFunc(d, func(k Kind) bool { return k.Name == prefix })
	if i < 0 {
		return nil, &nameError{fmt.Sprintf("%q is no device; there is %s", name, d.Names())}
	}
	k := &d[i]
	if k.Build != "" {
		return nil, &nameError{fmt.Sprintf("%q needs %s", name, k.Build)}
	}
	there, err := k.List()
	if err != nil {
		return nil, fmt.Errorf("genie: device %q: %w", name, err)
	}
	ordinal, err := strconv.Atoi(number)
	if err != nil || strconv.Itoa(ordinal) != number || ordinal < 0 || ordinal >= len(there) {
		names := []string{CPU}
		for i := range there {
			names = append(names, k.Device(i))
		}
		return nil, &nameError{fmt.Sprintf("%q is no device; there is %s", name, strings.Join(names, ", "))}
	}
	return k.Open(ordinal), nil
}

// Device is the name of a device of a kind.
func (k *Kind) Device(ordinal int) string { return k.Name + ":" + strconv.Itoa(ordinal) }

// Open is the device of a name, for [engine.Options]. log, which may be nil, gets a
// record of operators that run on the CPU instead.
func (d Devices) Open(name string, missing Missing, log *slog.Logger) (device.Open, error) {
	open, err := d.find(name)
	if err != nil {
		return nil, err
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
