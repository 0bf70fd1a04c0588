package wire

import "time"

// The limits of the protocol. Both sides hold to them whatever a peer says.
const (
	// Version is the protocol version of this module, in every header.
	Version = 1
	// MaxControl bounds the control message of a frame.
	MaxControl = 256 << 10
	// MaxFramePayload bounds the payload of a frame; more travels in several.
	MaxFramePayload = 4 << 20
	// ChunkSize is the payload that this side puts into one frame: small
	// enough to stay in the processor's cache between checksum and socket.
	ChunkSize = 512 << 10
	// MaxMessagePayload is the default bound of the payload of a message, all
	// its frames together.
	MaxMessagePayload = 16 << 30
	// MaxHello bounds the control message of a peer's first frame, until which
	// nobody knows who it is.
	MaxHello = 8 << 10
	// MaxErrorText bounds the words of an error.
	MaxErrorText = 2 << 10
	// MaxStreams bounds the requests of one connection that wait for their
	// answer.
	MaxStreams = 1024
	// MaxSessions bounds the open sessions of one connection.
	MaxSessions = 1024
	// MaxPlans bounds the prepared plans of one session.
	MaxPlans = 4096
	// MaxRetained bounds the values that one session keeps on a worker.
	MaxRetained = 65536
	// LoopCredit is how many runs of a loop a client lets the worker be ahead of
	// it; it gives more when half of them are used.
	LoopCredit = 64
	// HandshakeTimeout is how long a peer has to say hello.
	HandshakeTimeout = 10 * time.Second
	// StallTimeout is how long a frame may stay half written after its sender
	// has given up, before the connection is given up too.
	StallTimeout = 2 * time.Second
)

// ALPN is the protocol that the two sides of a TLS connection agree on before
// frames follow each other on it. Over gRPC it is gRPC's own.
const ALPN = "genie/1"

const (
	copyLimit = 2 << 10   // payloads up to here are copied beside the header: one write
	readStep  = 256 << 10 // payload read between two checksum steps
	// keepControl is the memory for control messages that a connection keeps from
	// one to the next.
	keepControl = 16 << 10
	readBuffer  = 8 << 10  // of a socket; what is larger is read past it
	dropBuffer  = 64 << 10 // payload that is discarded
	sumsAhead   = 4        // frames whose checksum is computed ahead of the writer
)
