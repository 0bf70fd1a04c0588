// Package grpcwire carries the frames of package wire over gRPC: one
// bidirectional stream of service genie.v1.Genie, one frame a message. The
// codec hands buffers through as they are, so that tensor bytes are neither
// put into protobuf fields nor copied for the sake of the encoding.
package grpcwire
