package devicetest

import (
	"slices"

	"github.com/genie-sdk/go/internal/device"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// Lacking is a device that claims to lack operators, by their names.
func Lacking(open device.Open, operators ...string) device.Open {
	return func(o device.Options) (device.Device, error) {
		d, err := open(o)
		if err != nil {
			return nil, err
		}
		return lacking{d, operators}, nil
	}
}

type lacking struct {
	device.Device
	operators []string
}

// Capabilities implements [device.Device].
func (l lacking) Capabilities() device.Capabilities {
	can := l.Device.Capabilities()
	can.Lacks = func(o op.Op, _ []plan.Spec) bool { return slices.Contains(l.operators, o.Name()) }
	return can
}
