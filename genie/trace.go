package genie

import (
	"context"
	"log/slog"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// WithTracer creates spans of Generate, Prepare, Run and Loop, and sends their
// context to the worker, whose spans become their children. Package
// genie/otelgenie provides a tracer for OpenTelemetry. The default creates
// none.
func WithTracer(t transport.Tracer) Option { return optionFunc(func(o *options) { o.tracer = t }) }

// span begins a span of the client; p is the plan that it is about, or nil.
func (c *Client) span(ctx context.Context, name string, p *plan.Plan) (context.Context, transport.Span) {
	t := c.opts.tracer
	if t == nil {
		return ctx, noSpan{}
	}
	if p == nil {
		return t.Start(ctx, name, transport.SpanInternal)
	}
	return t.Start(ctx, name, transport.SpanClient, slog.String("genie.plan", p.Name))
}

type noSpan struct{}

func (noSpan) Set(...slog.Attr) {}
func (noSpan) End(error)        {}
