package local

import (
	"github.com/genie-sdk/go/internal/device"
	"github.com/genie-sdk/go/internal/engine"
)

// WithDevice runs on a device that is opened so.
func WithDevice(open device.Open) Option {
	return optionFunc(func(o *engine.Options) { o.Device = open })
}
