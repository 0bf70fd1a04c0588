// Package wire is the protocol between client and worker: frames with protobuf
// control messages ([github.com/genie-sdk/go/transport/wire/wirepb]), and raw
// tensor bytes beside them. docs/wire.md gives the format byte by byte.
//
// A [Conn] sends and receives frames over any [Pipe]: a TCP connection
// ([NewTCP]) or a gRPC stream (package grpcwire). One goroutine receives; any
// number send. Payloads are written from and read into memory that the caller
// provides.
package wire
