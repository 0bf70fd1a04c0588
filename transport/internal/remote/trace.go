package remote

import (
	"context"
	"log/slog"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/genie-sdk/go/transport"
)

// fieldTraceparent is the same in every control message that has it.
const fieldTraceparent = 13

// carry puts the span in ctx into a control message, so that the worker's spans
// for it become children of that span.
func (c *Client) carry(ctx context.Context, control proto.Message) {
	if c.cfg.Tracer == nil || control == nil {
		return
	}
	text := c.cfg.Tracer.Traceparent(ctx)
	m := control.ProtoReflect()
	if f := m.Descriptor().Fields().ByNumber(fieldTraceparent); f != nil && text != "" {
		m.Set(f, protoreflect.ValueOfString(text))
	}
}

// reconnecting begins the span of a caller that waits for session num to be on
// another connection, after its own was lost to cause; done ends it. Requests
// to the worker meanwhile are below that span. There is none when cause is nil.
func (x *Executor) reconnecting(ctx context.Context, num uint32, cause error) (waiting context.Context, done func(error)) {
	if x.cfg.Tracer == nil || cause == nil {
		return ctx, func(error) {}
	}
	waiting, span := x.cfg.Tracer.Start(ctx, "genie.Reconnect", transport.SpanClient,
		slog.String("genie.worker", x.cfg.Addr), slog.Uint64("genie.session", uint64(num)), slog.String("genie.cause", cause.Error()))
	return waiting, span.End
}

// lostTo is the cause of the loss of a connection that is to be restored; nil
// for a live one.
func (x *Executor) lostTo(c *Client) error {
	if c == nil || c.lives() || !x.retry.on() {
		return nil
	}
	return c.failure()
}
