package remote

import (
	"context"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// fieldTraceparent is the same in every control message that has it.
const fieldTraceparent = 13

// carry puts the span in ctx into a control message, so that what the worker
// does for it is a child of that span.
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
