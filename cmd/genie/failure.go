package main

import (
	"context"
	"errors"
	"io/fs"
	"strings"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/lazy/onnx"
	"github.com/genie-sdk/go/transport"
)

// failureReport is what a command with --json prints when it fails.
type failureReport struct {
	Interrupted bool         `json:"interrupted,omitempty"` // a signal ended it
	Error       *errorReport `json:"error"`
}

// errorReport is an error as JSON.
type errorReport struct {
	// Code is one word: usage, interrupted, not_found, or that of the first
	// matching cause below; failed for any other.
	Code    string `json:"code"`
	Message string `json:"message"`
	Exit    int    `json:"exit_code"`
	// Worker is the address of the worker that reported it.
	Worker string         `json:"worker,omitempty"`
	Memory *memoryFailure `json:"memory,omitempty"`
	Quota  *quotaFailure  `json:"quota,omitempty"`
	// RetryAfter is when an overloaded worker expects to have capacity.
	RetryAfter float64 `json:"retry_after_ms,omitempty"`
}

// memoryFailure is a [transport.MemoryError], in bytes.
type memoryFailure struct {
	Need  int64  `json:"need_bytes"`
	Free  int64  `json:"free_bytes"`
	Limit int64  `json:"limit_bytes"`
	For   string `json:"for"`
}

// quotaFailure is a [transport.QuotaError].
type quotaFailure struct {
	What  string `json:"what"`
	Limit int64  `json:"limit"`
	Used  int64  `json:"used"`
	Want  int64  `json:"want"`
}

// failureCodes are the words for causes. Specific ones come first: an error may
// have several.
var failureCodes = []struct {
	cause error
	code  string
}{
	{genie.ErrURL, "usage"},
	{transport.ErrQuota, "quota"},
	{transport.ErrMemory, "memory"},
	{transport.ErrOverloaded, "overloaded"},
	{transport.ErrUnauthenticated, "unauthenticated"},
	{transport.ErrPermission, "not_permitted"},
	{transport.ErrSessionLost, "session_lost"},
	{transport.ErrDevice, "device"},
	{transport.ErrVersion, "version"},
	{transport.ErrUnreachable, "unreachable"},
	{transport.ErrCorrupt, "corrupt"},
	{transport.ErrMissingWeight, "missing_weight"},
	{genie.ErrContextLength, "context_length"},
	{onnx.ErrUnsupported, "not_importable"},
	{onnx.ErrMalformed, "malformed_model"},
	{transport.ErrInvalidPlan, "invalid_plan"},
	{transport.ErrShape, "shape"},
	{transport.ErrDType, "dtype"},
	{transport.ErrIndexRange, "index_range"},
	{transport.ErrState, "state"},
	{transport.ErrStaleHandle, "stale_handle"},
	{transport.ErrUnknownPlan, "unknown_plan"},
	{transport.ErrUnknownInput, "unknown_input"},
	{transport.ErrLimit, "limit"},
	{transport.ErrProtocol, "protocol"},
	{transport.ErrClosed, "closed"},
	{transport.ErrInternal, "internal"},
	{fs.ErrNotExist, "not_found"},
	{fs.ErrPermission, "no_access"},
	{context.DeadlineExceeded, "deadline"},
	{context.Canceled, "cancelled"},
}

// newErrorReport describes an error as JSON.
func newErrorReport(err error, exit int) *errorReport {
	f := &errorReport{Code: "failed", Message: line(err), Exit: exit}
	switch {
	case isA[*signalError](err):
		f.Code = "interrupted"
	case isA[*usageError](err):
		f.Code = "usage"
	default:
		for _, c := range failureCodes {
			if errors.Is(err, c.cause) {
				f.Code = c.code
				break
			}
		}
	}
	if remote, ok := errors.AsType[*transport.RemoteError](err); ok {
		f.Worker = remote.Addr
	}
	if m, ok := errors.AsType[*transport.MemoryError](err); ok {
		f.Memory = &memoryFailure{m.Need, m.Free, m.Limit, m.For}
	}
	if q, ok := errors.AsType[*transport.QuotaError](err); ok {
		f.Quota = &quotaFailure{q.What, q.Limit, q.Used, q.Want}
	}
	if o, ok := errors.AsType[*transport.OverloadError](err); ok {
		f.RetryAfter = float64(o.RetryAfter.Microseconds()) / 1e3
	}
	return f
}

func isA[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

// reportedError has already been printed as JSON.
type reportedError struct{ err error }

func (e *reportedError) Error() string { return e.err.Error() }

func (e *reportedError) Unwrap() error { return e.err }

// wantsJSON reports whether a command line asks for JSON, even if it is
// otherwise wrong.
func wantsJSON(args []string) bool {
	for i, arg := range args {
		switch {
		case arg == "--":
			return false
		case arg == "--json", arg == "--json=true", arg == "--format=json":
			return true
		case arg == "--format" && i+1 < len(args):
			if strings.EqualFold(args[i+1], "json") {
				return true
			}
		}
	}
	return false
}
