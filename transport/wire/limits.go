package wire

import "time"

// The limits of the protocol. Client and worker enforce them whatever a peer
// says.
const (
	// Version is the protocol version of this module, in every header.
	Version = 1
	// MaxControl bounds the control message of a frame.
	MaxControl = 256 << 10
	// MaxFramePayload bounds the payload of a frame; a larger payload takes
	// several frames.
	MaxFramePayload = 4 << 20
	// ChunkSize is the payload that this process puts into one frame: small
	// enough to stay in the processor's cache between checksum and socket.
	ChunkSize = 512 << 10
	// MaxMessagePayload is the default limit of the payload of a message,
	// summed over its frames.
	MaxMessagePayload = 16 << 30
	// MaxHello bounds the control message of a peer's first frame, before the
	// peer is identified.
	MaxHello = 8 << 10
	// MaxErrorText bounds the message of an error.
	MaxErrorText = 2 << 10
	// MaxStreams bounds the requests of one connection that wait for an answer.
	MaxStreams = 1024
	// MaxSessions bounds the open sessions of one connection.
	MaxSessions = 1024
	// MaxPlans bounds the prepared plans of one session.
	MaxPlans = 4096
	// MaxRetained bounds the values that one session retains on a worker.
	MaxRetained = 65536
	// LoopCredit is how many runs of a loop the worker may be ahead of its
	// client, which gives more credit when half of it is used.
	LoopCredit = 64
	// HandshakeTimeout bounds the time until a peer has sent its Hello.
	HandshakeTimeout = 10 * time.Second
	// StallTimeout is how long a frame may stay partly written after its sender
	// has given up, before the connection is given up too.
	StallTimeout = 2 * time.Second
)

// ALPN is the protocol that client and worker negotiate in TLS before the
// frames. Over gRPC it is that of gRPC.
const ALPN = "genie/1"

const (
	copyLimit = 2 << 10   // payloads up to this size are copied after the header: one write
	readStep  = 256 << 10 // payload read between two checksum steps
	// keepControl is the memory for control messages that a connection retains
	// between messages.
	keepControl = 16 << 10
	readBuffer  = 8 << 10  // of a socket; larger reads bypass it
	dropBuffer  = 64 << 10 // payload that is discarded
	sumsAhead   = 4        // frames whose checksums are computed ahead of the writer
)
