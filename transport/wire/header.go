package wire

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/genie-sdk/go/transport"
)

// HeaderLen is the length of a frame's header.
const HeaderLen = 40

// magic begins every frame.
const magic = "GNIE"

// Type is the type of a frame.
type Type uint8

// The types. An answer has the type of its request and [FlagAnswer], or is an
// Error. Numbers are never reused.
const (
	TypeHello Type = iota + 1
	TypeError
	TypeData // more payload of the stream's message
	TypeCancel
	TypeOpenSession
	TypeCloseSession
	TypePrepare
	TypePutWeight
	TypeRun
	TypeRead
	TypeRelease
	TypeReset
	TypeStats
	TypeLoop   // answered by an open message: one frame per run
	TypeCredit // for the loop of its stream
	TypePing   // heartbeat; on stream 0, in either direction, without an answer
	TypeProve  // proof that the client has the content of weights
	TypeTicket // right to put a value into a session
	TypeSend   // makes a worker deliver a value to another one
	TypeDeliver
	endOfTypes
)

var typeNames = [...]string{
	"", "Hello", "Error", "Data", "Cancel", "OpenSession", "CloseSession", "Prepare", "PutWeight",
	"Run", "Read", "Release", "Reset", "Stats", "Loop", "Credit", "Ping", "Prove",
	"Ticket", "Send", "Deliver",
}

// String is the name of the type.
func (t Type) String() string {
	if t.Known() {
		return typeNames[t]
	}
	return fmt.Sprintf("type(%d)", uint8(t))
}

// Known reports whether t is a type of this version.
func (t Type) Known() bool { return t >= TypeHello && t < endOfTypes }

// Flags qualify a frame.
type Flags uint16

// The flags; the others are zero.
const (
	FlagMore   Flags = 1 << iota // a Data frame continues the message
	FlagAnswer                   // from the worker, to the request of the stream
	allFlags   = FlagMore | FlagAnswer
)

// Header is what precedes the control message of a frame.
type Header struct {
	Type       Type
	Flags      Flags
	Stream     uint64 // request that the frame belongs to; the client assigns it and never reuses it
	Control    uint64 // bytes of control message
	Payload    uint64 // bytes of payload
	payloadCRC uint32
	number     uint32 // of the frame on its connection and in its direction; not sent, but covered by the checksum
}

// More reports whether another frame continues the message.
func (h Header) More() bool { return h.Flags&FlagMore != 0 }

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// append writes the header and the control message that it covers.
func (h Header) append(dst, control []byte) []byte {
	at := len(dst)
	dst = append(dst, magic...)
	dst = append(dst, Version, byte(h.Type))
	dst = binary.LittleEndian.AppendUint16(dst, uint16(h.Flags))
	dst = binary.LittleEndian.AppendUint64(dst, h.Stream)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(len(control)))
	dst = binary.LittleEndian.AppendUint64(dst, h.Payload)
	dst = binary.LittleEndian.AppendUint32(dst, h.payloadCRC)
	crc := headerCRC(h.number, dst[at:], control)
	dst = binary.LittleEndian.AppendUint32(dst, crc)
	return append(dst, control...)
}

// parseHeader reads a header. [headerCRC] verifies its checksum once the
// control message has arrived; the limits are checked before that.
func parseHeader(b []byte) (Header, error) {
	if string(b[:4]) != magic {
		return Header{}, &NotGenieError{Start: string(b[:4])}
	}
	if b[4] != Version {
		return Header{}, fmt.Errorf("%w: the peer speaks version %d, this process version %d", transport.ErrVersion, b[4], Version)
	}
	h := Header{
		Type:       Type(b[5]),
		Flags:      Flags(binary.LittleEndian.Uint16(b[6:])),
		Stream:     binary.LittleEndian.Uint64(b[8:]),
		Control:    binary.LittleEndian.Uint64(b[16:]),
		Payload:    binary.LittleEndian.Uint64(b[24:]),
		payloadCRC: binary.LittleEndian.Uint32(b[32:]),
	}
	if h.Control > MaxControl {
		return Header{}, fmt.Errorf("%w: control message of %d bytes, the limit is %d", transport.ErrLimit, h.Control, MaxControl)
	}
	if h.Payload > MaxFramePayload {
		return Header{}, fmt.Errorf("%w: frame payload of %d bytes, the limit is %d", transport.ErrLimit, h.Payload, MaxFramePayload)
	}
	if h.Flags&^allFlags != 0 {
		return Header{}, fmt.Errorf("%w: unknown flags %#x", transport.ErrProtocol, h.Flags)
	}
	return h, nil
}

// headerCRC is the checksum over a header, without the checksum itself, and its
// control message. It starts from the number of the frame, so a missing,
// duplicated or reordered frame is detected at the next one.
func headerCRC(number uint32, head, control []byte) uint32 {
	return crc32.Update(crc32.Update(number, castagnoli, head), castagnoli, control)
}

// checkHeader verifies the checksum of frame number of a connection.
func checkHeader(number uint32, head, control []byte) error {
	crc := headerCRC(number, head[:HeaderLen-4], control)
	if crc != binary.LittleEndian.Uint32(head[HeaderLen-4:]) {
		return fmt.Errorf("%w: checksum of a frame header", transport.ErrCorrupt)
	}
	return nil
}

// NotGenieError says that a peer speaks some other protocol. It is a
// [transport.ErrProtocol].
type NotGenieError struct {
	Start string // the first bytes received
}

// Error quotes the first bytes and names the protocol if they identify it.
func (e *NotGenieError) Error() string {
	if e.HTTP() {
		return fmt.Sprintf("%v: the peer speaks HTTP (%q...)", transport.ErrProtocol, e.Start)
	}
	if e.TLS() {
		return fmt.Sprintf("%v: the peer speaks TLS, which this process was not told to use", transport.ErrProtocol)
	}
	return fmt.Sprintf("%v: the peer does not speak the genie protocol (%q...)", transport.ErrProtocol, e.Start)
}

// Unwrap is [transport.ErrProtocol].
func (e *NotGenieError) Unwrap() error { return transport.ErrProtocol }

// HTTP reports whether the first bytes begin an HTTP/1 request or response, or
// an HTTP/2 connection.
func (e *NotGenieError) HTTP() bool {
	switch e.Start {
	case "GET ", "POST", "HEAD", "PUT ", "OPTI", "PATC", "DELE", "CONN", "TRAC", "HTTP", "PRI ":
		return true
	}
	return false
}

// TLS reports whether the first bytes begin a TLS handshake or alert (RFC 8446,
// 5.1).
func (e *NotGenieError) TLS() bool {
	return len(e.Start) >= 2 && (e.Start[0] == 0x16 || e.Start[0] == 0x15) && e.Start[1] == 0x03
}
