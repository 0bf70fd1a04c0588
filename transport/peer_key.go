package transport

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/binary"
)

// PeerID names a process that sends values: the public part of its [PeerKey]. A
// ticket for it can be used by nobody else.
type PeerID [32]byte

// IsZero reports whether the id names nobody.
func (p PeerID) IsZero() bool { return p == PeerID{} }

// PeerKey is the secret of a process that sends values, an Ed25519 key that it
// makes when it starts. The zero key is of nobody.
type PeerKey struct{ key ed25519.PrivateKey }

// NewPeerKey makes a key.
func NewPeerKey() PeerKey {
	_, key, _ := ed25519.GenerateKey(rand.Reader) // never fails
	return PeerKey{key}
}

// ID is the public part.
func (k PeerKey) ID() (id PeerID) {
	if k.key != nil {
		copy(id[:], k.key.Public().(ed25519.PublicKey))
	}
	return id
}

// Present signs that the holder of the key uses a ticket on the connection of
// that nonce, which the receiver chose. The signature covers the ticket's secret,
// which is not sent, so what was seen on one connection is of no use on another.
func (k PeerKey) Present(nonce []byte, ticket uint64, secret [32]byte) []byte {
	if k.key == nil {
		return nil
	}
	return ed25519.Sign(k.key, presented(nonce, ticket, secret))
}

// Presents reports whether a signature is that of [PeerKey.Present].
func (p PeerID) Presents(nonce []byte, ticket uint64, secret [32]byte, signature []byte) bool {
	return !p.IsZero() && ed25519.Verify(p[:], presented(nonce, ticket, secret), signature)
}

// presented is what is signed.
func presented(nonce []byte, ticket uint64, secret [32]byte) []byte {
	b := append([]byte("genie ticket 1"), byte(len(nonce)))
	b = append(b, nonce...)
	b = binary.LittleEndian.AppendUint64(b, ticket)
	return append(b, secret[:]...)
}
