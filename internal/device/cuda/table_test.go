package cuda

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/kernelchoice"
	"github.com/genie-sdk/go/internal/op"
)

// TestChosenAreLaunched: package kernelchoice, which tells what the device lacks,
// and the tables of launches have the same operators.
func TestChosenAreLaunched(t *testing.T) {
	for _, name := range op.Names() {
		o := only{name: name}
		_, launched := operators[name]
		require.Equal(t, launched || hasPointwise(o), !kernelchoice.CUDALacks(o, nil), name)
	}
}

// only is an operator that is a name.
type only struct {
	op.Op
	name string
}

func (o only) Name() string { return o.name }
