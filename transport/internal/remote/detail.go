package remote

import (
	"math"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/wire"
	"github.com/genie-sdk/go/transport/wire/wirepb"
)

// detail is the error with its numbers that a worker sent; nil if it has none.
func detail(m *wirepb.Error) error {
	if m.GetCode() != transport.Code(transport.ErrMemory) {
		return nil
	}
	return &transport.MemoryError{
		Need: number(m.GetNeedBytes()), Free: number(m.GetFreeBytes()), Limit: number(m.GetLimitBytes()),
		For: m.GetPurpose()[:min(len(m.GetPurpose()), wire.MaxErrorText)],
	}
}

func number(n uint64) int64 { return int64(min(n, math.MaxInt64)) }
