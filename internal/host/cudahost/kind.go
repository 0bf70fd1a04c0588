// Package cudahost gives a host the CUDA devices of a driver. Only a program that
// links a driver imports it.
package cudahost

import (
	"context"
	"fmt"
	"sync"

	"github.com/genie-sdk/go/internal/device"
	"github.com/genie-sdk/go/internal/device/cuda"
	"github.com/genie-sdk/go/internal/device/cuda/driver"
	"github.com/genie-sdk/go/internal/host"
)

// Kind is the devices cuda:N of the driver that start returns. It is started when a
// device is first asked for, since that takes a while and fails without a GPU.
func Kind(start func() (driver.Driver, error)) host.Kind {
	start = sync.OnceValues(start)
	return host.Kind{
		Name: "cuda",
		List: func() ([]host.DeviceInfo, error) {
			d, err := start()
			if err != nil {
				return nil, err
			}
			return list(d)
		},
		Open: func(ordinal int) device.Open {
			return func(o device.Options) (device.Device, error) {
				d, err := start()
				if err != nil {
					return nil, err
				}
				return cuda.Open(d, ordinal, cuda.Options{})(o)
			}
		},
		Probe: func(ctx context.Context, ordinal int) (host.Rates, error) {
			d, err := start()
			if err != nil {
				return host.Rates{}, err
			}
			return probe(ctx, d, ordinal, large)
		},
	}
}

func list(d driver.Driver) ([]host.DeviceInfo, error) {
	n, err := d.Devices()
	if err != nil {
		return nil, err
	}
	all := make([]host.DeviceInfo, n)
	for i := range all {
		p, err := d.Describe(i)
		if err != nil {
			return nil, fmt.Errorf("device %d: %w", i, err)
		}
		all[i] = host.DeviceInfo{
			Model:      p.Name,
			Capability: fmt.Sprintf("%d.%d", p.Major, p.Minor),
			Driver:     fmt.Sprintf("CUDA %d.%d", d.Version()/1000, d.Version()%1000/10),
			Memory:     p.Memory,
		}
	}
	return all, nil
}
