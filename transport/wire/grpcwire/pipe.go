package grpcwire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	grpcproto "google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/wire"
)

// The names of the service on the wire.
const (
	Service = "genie.v1.Genie"
	Method  = "/" + Service + "/Connect"
)

// MaxMessage bounds a gRPC message: the largest frame.
const MaxMessage = wire.HeaderLen + wire.MaxControl + wire.MaxFramePayload

// Window is the HTTP/2 flow control window of both ends. A static window also
// keeps gRPC from measuring the link with pings, which cost more bytes than a
// decode step.
const Window = 16 << 20

// StreamDesc describes the method to a client.
func StreamDesc() *grpc.StreamDesc {
	return &grpc.StreamDesc{StreamName: "Connect", ServerStreams: true, ClientStreams: true}
}

// Codec passes frames through and encodes protobuf messages as gRPC does: a
// server has one codec for all its services, including the standard health
// service.
func Codec() encoding.CodecV2 { return codec{encoding.GetCodecV2(grpcproto.Name)} }

type codec struct{ proto encoding.CodecV2 }

func (codec) Name() string { return "genie" }

func (c codec) Marshal(v any) (mem.BufferSlice, error) {
	switch v := v.(type) {
	case mem.BufferSlice:
		return v, nil
	case proto.Message:
		return c.proto.Marshal(v)
	}
	return nil, fmt.Errorf("%w: %T is no frame", transport.ErrInternal, v)
}

func (c codec) Unmarshal(data mem.BufferSlice, v any) error {
	if m, ok := v.(proto.Message); ok {
		return c.proto.Unmarshal(data, m)
	}
	p, ok := v.(*mem.BufferSlice)
	if !ok {
		return fmt.Errorf("%w: %T is no frame", transport.ErrInternal, v)
	}
	data.Ref()
	*p = slices.Clone(data)
	return nil
}

// Stream is what client and server streams have in common.
type Stream interface {
	Context() context.Context
	SendMsg(m any) error
	RecvMsg(m any) error
}

// New makes a pipe over a stream. closeStream ends it.
func New(s Stream, closeStream func() error) wire.Pipe {
	return &pipe{stream: s, close: closeStream}
}

type pipe struct {
	stream Stream
	close  func() error
	r      *mem.Reader
}

// Read continues in the current message or waits for the next one.
func (p *pipe) Read(b []byte) (int, error) {
	for p.r == nil || p.r.Remaining() == 0 {
		if p.r != nil {
			_ = p.r.Close()
			p.r = nil
		}
		var data mem.BufferSlice
		if err := p.stream.RecvMsg(&data); err != nil {
			return 0, err
		}
		p.r = data.Reader()
		data.Free()
	}
	n, err := p.r.Read(b)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return n, err
}

// WriteBuffers hands the frame to gRPC, which writes it later: the head is
// copied, a payload is referenced until gRPC frees it.
func (p *pipe) WriteBuffers(bufs [][]byte, hold *wire.Hold) (int, error) {
	msg := make(mem.BufferSlice, 0, len(bufs))
	n := 0
	for i, b := range bufs {
		n += len(b)
		if i == 0 || mem.IsBelowBufferPoolingThreshold(len(b)) {
			msg = append(msg, mem.SliceBuffer(slices.Clone(b)))
			continue
		}
		hold.Add()
		msg = append(msg, mem.NewBuffer(&b, held{hold}))
	}
	if err := p.stream.SendMsg(msg); err != nil {
		if errors.Is(err, io.EOF) {
			err = p.reason()
		}
		return 0, err
	}
	return n, nil
}

// reason is the status of a stream on which sending returns only EOF.
func (p *pipe) reason() error {
	if err := p.stream.Context().Err(); err != nil {
		return err
	}
	return fmt.Errorf("%w: stream ended by the peer", transport.ErrUnreachable)
}

func (p *pipe) Close() error { return p.close() }

// held is a pool with one borrowed buffer, which it returns to the owner.
type held struct{ hold *wire.Hold }

func (held) Get(n int) *[]byte {
	b := make([]byte, n)
	return &b
}

func (h held) Put(*[]byte) { h.hold.Done() }
