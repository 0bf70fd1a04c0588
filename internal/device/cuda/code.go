package cuda

import (
	"github.com/genie-sdk/go/internal/device"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/internal/program"
	"github.com/genie-sdk/go/transport"
)

// Compile implements [device.Device].
func (*Device) Compile(*program.Program, *op.Work) (device.Code, error) {
	return nil, transport.ErrInternal
}
