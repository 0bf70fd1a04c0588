// Package grpcwire carries the frames of package wire over gRPC: one
// bidirectional stream of service genie.v1.Genie, one frame per message. The
// codec passes buffers through, so tensor bytes are neither put into protobuf
// fields nor copied for encoding.
package grpcwire
