package transport

import (
	"context"
	"log/slog"
)

// Tracer makes the spans of a distributed trace. The executors and the worker
// know this interface only; package genie/otelgenie implements it with
// OpenTelemetry. Implementations are safe for concurrent use.
type Tracer interface {
	// Start begins a span as a child of the one in ctx and returns a context
	// that holds it.
	Start(ctx context.Context, name string, kind SpanKind, attrs ...slog.Attr) (context.Context, Span)
	// Traceparent is the span in ctx as a W3C traceparent header
	// (https://www.w3.org/TR/trace-context/#traceparent-header), empty when
	// ctx has none. It travels in the control messages.
	Traceparent(ctx context.Context) string
	// Continue returns a context whose span is that of a peer. Text that is no
	// traceparent leaves ctx as it is.
	Continue(ctx context.Context, traceparent string) context.Context
}

// Span is one piece of work in a trace.
type Span interface {
	// Set adds attributes.
	Set(attrs ...slog.Attr)
	// End ends the span, with an error unless err is nil. Later calls do nothing.
	End(err error)
}

// SpanKind is the side of a call that a span is about.
type SpanKind uint8

// The kinds.
const (
	SpanInternal SpanKind = iota
	SpanClient            // asks and waits
	SpanServer            // answers
)

// TraceparentLen is the length of a traceparent in version 00 of its format;
// longer ones are not taken.
const TraceparentLen = 55
