package worker

import (
	"errors"
	"io/fs"
	"math"
	"net"
	"os"
	"strings"

	"github.com/genie-sdk/go/internal/checkpoint"
	"github.com/genie-sdk/go/internal/safetensors"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/wire"
	"github.com/genie-sdk/go/transport/wire/wirepb"
)

// errorMessage is what a peer gets of err. The text of an error without a
// public cause stays on the worker.
func errorMessage(err error) *wirepb.Error {
	code, text := transport.Code(err), err.Error()
	if code == transport.Code(transport.ErrInternal) {
		text = transport.ErrInternal.Error()
	}
	if private(err) {
		text = (&transport.RemoteError{Code: code}).Unwrap().Error()
	}
	if len(text) > wire.MaxErrorText {
		text = text[:wire.MaxErrorText]
	}
	m := &wirepb.Error{Code: code, Message: strings.ToValidUTF8(text, "?")}
	if e, ok := errors.AsType[*transport.MemoryError](err); ok && code == transport.Code(transport.ErrMemory) {
		m.NeedBytes, m.FreeBytes, m.LimitBytes, m.Purpose = uint64(e.Need), uint64(e.Free), uint64(e.Limit), e.For
	}
	if q, ok := errors.AsType[*transport.QuotaError](err); ok {
		m.Quota = &wirepb.Quota{What: q.What, Limit: uint64(q.Limit), Used: uint64(q.Used), Want: uint64(q.Want)}
	}
	if over, ok := errors.AsType[*transport.OverloadError](err); ok {
		m.RetryAfterMs = uint32(min(max(over.RetryAfter.Milliseconds(), 1), math.MaxUint32))
		m.Message = strings.ToValidUTF8(over.Err.Error(), "?") // the client adds the hint
	}
	return m
}

// private reports whether something in err's tree is about this machine: a
// file, a socket, a system call, a checkpoint. Its text then contains paths or
// addresses, and the peer gets only the text of the cause.
func private(err error) bool {
	return is[*fs.PathError](err) || is[*os.LinkError](err) || is[*os.SyscallError](err) ||
		is[*net.OpError](err) || is[*net.DNSError](err) || is[*net.AddrError](err) ||
		is[*checkpoint.Error](err) || is[*safetensors.Error](err)
}

func is[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}
