// Package wire is the protocol between an executor's two halves: frames with
// protobuf control messages ([github.com/genie-sdk/go/transport/wire/wirepb])
// and raw tensor bytes beside them. docs/wire.md gives the format byte by byte.
//
// A [Conn] sends and receives frames over anything that is a [Pipe]: a TCP
// connection ([NewTCP]) or a gRPC stream (package grpcwire). One goroutine
// receives; any number send. Payloads are written from and read into the memory
// that the caller names.
package wire
