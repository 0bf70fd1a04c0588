package transport

import (
	"crypto/subtle"

	"github.com/zeebo/blake3"

	"github.com/genie-sdk/go/transport/plan"
)

// A worker that serves several identities lets one of them use content that
// another one uploaded only after it has proved that it has the bytes too: the
// hash of a weight names it and is no secret. For each weight, the worker
// stores a tag: BLAKE3, keyed with the worker's nonce, over the same bytes as
// [HashWeight]. A client that has the content computes the tag from the nonce
// and proves this without sending it: the proof is BLAKE3, keyed with the tag,
// over a challenge that is new for each plan of a session.

// PossessionKey is a worker's nonce or challenge, of 32 bytes.
type PossessionKey [32]byte

// PossessionTag is derived from a worker's nonce and the content of a weight.
// Only the worker and holders of the content know it.
type PossessionTag [32]byte

// PossessionProof answers a challenge.
type PossessionProof [32]byte

// PossessionHasher computes a [PossessionTag] over bytes that arrive in pieces.
type PossessionHasher struct{ h *blake3.Hasher }

// NewPossessionHasher starts the tag of a weight.
func NewPossessionHasher(key PossessionKey, storage plan.DType, shape []int) PossessionHasher {
	h := keyed(key)
	_, _ = h.Write(weightHead(storage, shape))
	return PossessionHasher{h}
}

// keyed starts a hash with a key.
func keyed(key [32]byte) *blake3.Hasher {
	h, _ := blake3.NewKeyed(key[:]) // fails only for keys of other lengths
	return h
}

// Write adds bytes; it never fails.
func (p PossessionHasher) Write(b []byte) (int, error) { return p.h.Write(b) }

// Sum is the tag of what was written.
func (p PossessionHasher) Sum() (t PossessionTag) {
	copy(t[:], p.h.Sum(nil))
	return t
}

// Prove answers a challenge.
func (t PossessionTag) Prove(challenge PossessionKey) (p PossessionProof) {
	h := keyed(t)
	_, _ = h.Write(challenge[:])
	copy(p[:], h.Sum(nil))
	return p
}

// Proves reports whether p answers the challenge with the tag t. It takes
// constant time.
func (t PossessionTag) Proves(challenge PossessionKey, p []byte) bool {
	want := t.Prove(challenge)
	return subtle.ConstantTimeCompare(want[:], p) == 1
}
