// Package otelgenie traces clients and workers with OpenTelemetry.
//
//	client, err := genie.Open(ctx, url, genie.WithTracer(otelgenie.New()))
//
// A trace of one generation has the client's spans (genie.Generate, and below
// it genie.Prepare, genie.Run and genie.Loop) and, below each of these, the
// worker's spans for it (genie.worker/Run, with the time in the queue, in the
// engine and in sending). The context travels in the control messages, so
// traces are the same over TCP and gRPC; see docs/operations.md.
package otelgenie

import (
	"context"
	"log/slog"

	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc/stats"

	"github.com/genie-sdk/go/transport"
)

const scope = "github.com/genie-sdk/go/genie/otelgenie"

// Option configures [New].
type Option interface{ apply(*Tracer) }

type optionFunc func(*Tracer)

func (f optionFunc) apply(t *Tracer) { f(t) }

// WithTracerProvider creates the spans with p. Without it, or with nil,
// OpenTelemetry's global provider creates them; it creates none until one is
// set.
func WithTracerProvider(p trace.TracerProvider) Option {
	return optionFunc(func(t *Tracer) {
		if p != nil {
			t.provider = p
		}
	})
}

// Tracer implements [transport.Tracer].
type Tracer struct {
	provider trace.TracerProvider
	tracer   trace.Tracer
	context  propagation.TraceContext
}

// New makes a tracer. It may be shared by any number of clients and workers.
func New(opts ...Option) *Tracer {
	t := &Tracer{provider: otel.GetTracerProvider()}
	for _, o := range opts {
		o.apply(t)
	}
	t.tracer = t.provider.Tracer(scope)
	return t
}

// Start implements [transport.Tracer].
func (t *Tracer) Start(ctx context.Context, name string, kind transport.SpanKind, attrs ...slog.Attr) (context.Context, transport.Span) {
	//nolint:spancheck // its caller ends it
	ctx, s := t.tracer.Start(ctx, name, trace.WithSpanKind(kinds(kind)), trace.WithAttributes(attributes(attrs)...))
	return ctx, span{s} //nolint:spancheck // as above
}

func kinds(k transport.SpanKind) trace.SpanKind {
	switch k {
	case transport.SpanClient:
		return trace.SpanKindClient
	case transport.SpanServer:
		return trace.SpanKindServer
	case transport.SpanInternal:
	}
	return trace.SpanKindInternal
}

const traceparent = "traceparent"

// Traceparent implements [transport.Tracer].
func (t *Tracer) Traceparent(ctx context.Context) string {
	carrier := propagation.MapCarrier{}
	t.context.Inject(ctx, carrier)
	return carrier[traceparent]
}

// Continue implements [transport.Tracer].
func (t *Tracer) Continue(ctx context.Context, text string) context.Context {
	return t.context.Extract(ctx, propagation.MapCarrier{traceparent: text})
}

// ClientHandler traces gRPC connections with otelgrpc: one span for each
// connection's stream, and its messages.
func (t *Tracer) ClientHandler() stats.Handler { return otelgrpc.NewClientHandler(t.grpcOptions()...) }

// ServerHandler is [Tracer.ClientHandler] for a worker.
func (t *Tracer) ServerHandler() stats.Handler { return otelgrpc.NewServerHandler(t.grpcOptions()...) }

func (t *Tracer) grpcOptions() []otelgrpc.Option {
	return []otelgrpc.Option{otelgrpc.WithTracerProvider(t.provider), otelgrpc.WithPropagators(t.context)}
}

// span implements [transport.Span].
type span struct{ trace.Span }

// Set implements [transport.Span].
func (s span) Set(attrs ...slog.Attr) { s.SetAttributes(attributes(attrs)...) }

// End implements [transport.Span].
func (s span) End(err error) {
	if err != nil {
		s.RecordError(err)
		s.SetStatus(codes.Error, err.Error())
	}
	s.Span.End()
}

func attributes(attrs []slog.Attr) []attribute.KeyValue {
	out := make([]attribute.KeyValue, len(attrs))
	for i, a := range attrs {
		switch a.Value.Kind() {
		case slog.KindInt64:
			out[i] = attribute.Int64(a.Key, a.Value.Int64())
		case slog.KindUint64:
			out[i] = attribute.Int64(a.Key, int64(a.Value.Uint64()))
		case slog.KindFloat64:
			out[i] = attribute.Float64(a.Key, a.Value.Float64())
		case slog.KindBool:
			out[i] = attribute.Bool(a.Key, a.Value.Bool())
		case slog.KindAny, slog.KindDuration, slog.KindGroup, slog.KindLogValuer, slog.KindString, slog.KindTime:
			out[i] = attribute.String(a.Key, a.Value.String())
		}
	}
	return out
}
