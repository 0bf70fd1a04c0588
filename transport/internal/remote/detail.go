package remote

import (
	"math"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/wire"
	"github.com/genie-sdk/go/transport/wire/wirepb"
)

// detail is the error with its numbers from a worker; nil if it has none.
func detail(m *wirepb.Error) error {
	switch q := m.GetQuota(); {
	case m.GetCode() == transport.Code(transport.ErrMemory):
		return &transport.MemoryError{
			Need: number(m.GetNeedBytes()), Free: number(m.GetFreeBytes()), Limit: number(m.GetLimitBytes()),
			For: wire.Words(m.GetPurpose()),
		}
	case m.GetCode() == transport.Code(transport.ErrQuota) && q != nil:
		return &transport.QuotaError{
			What: wire.Words(q.GetWhat()), Limit: number(q.GetLimit()), Used: number(q.GetUsed()), Want: number(q.GetWant()),
		}
	}
	return nil
}

func number(n uint64) int64 { return int64(min(n, math.MaxInt64)) }
