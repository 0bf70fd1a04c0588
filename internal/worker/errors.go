package worker

import (
	"errors"
	"math"
	"strings"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/wire"
	"github.com/genie-sdk/go/transport/wire/wirepb"
)

// errorMessage is what a peer is told of err. An error without a public cause
// is the worker's own affair: its words stay here.
func errorMessage(err error) *wirepb.Error {
	code, text := transport.Code(err), err.Error()
	if code == transport.Code(transport.ErrInternal) {
		text = transport.ErrInternal.Error()
	}
	if len(text) > wire.MaxErrorText {
		text = text[:wire.MaxErrorText]
	}
	m := &wirepb.Error{Code: code, Message: strings.ToValidUTF8(text, "?")}
	if e, ok := errors.AsType[*transport.MemoryError](err); ok && code == transport.Code(transport.ErrMemory) {
		m.NeedBytes, m.FreeBytes, m.LimitBytes, m.Purpose = uint64(e.Need), uint64(e.Free), uint64(e.Limit), e.For
	}
	if over, ok := errors.AsType[*transport.OverloadError](err); ok {
		m.RetryAfterMs = uint32(min(max(over.RetryAfter.Milliseconds(), 1), math.MaxUint32))
		m.Message = strings.ToValidUTF8(over.Err.Error(), "?") // the other side adds the hint
	}
	return m
}
