package transport

import (
	"context"
	"log/slog"
)

// Tracer creates the spans of a distributed trace. Executors and workers use
// only this interface; package genie/otelgenie implements it with
// OpenTelemetry. Implementations are safe for concurrent use.
type Tracer interface {
	// Start begins a span as a child of the one in ctx and returns a context
	// that holds it.
	Start(ctx context.Context, name string, kind SpanKind, attrs ...slog.Attr) (context.Context, Span)
	// Traceparent is the span in ctx as a W3C traceparent header
	// (https://www.w3.org/TR/trace-context/#traceparent-header), empty when
	// ctx has none. It travels in the control messages.
	Traceparent(ctx context.Context) string
	// Continue returns a context whose span is that of a peer. An invalid
	// traceparent leaves ctx unchanged.
	Continue(ctx context.Context, traceparent string) context.Context
}

// Span is one operation in a trace.
type Span interface {
	// Set adds attributes.
	Set(attrs ...slog.Attr)
	// End ends the span, with an error unless err is nil. Later calls do nothing.
	End(err error)
}

// SpanKind reports whether a span is of a client or of a server.
type SpanKind uint8

// The kinds.
const (
	SpanInternal SpanKind = iota
	SpanClient            // sends a request and waits
	SpanServer            // answers one
)

// TraceparentLen is the length of a traceparent in version 00 of its format;
// longer ones are ignored.
const TraceparentLen = 55
