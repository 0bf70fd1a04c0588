package route

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/genie-sdk/go/transport/plan"
)

// BlockTokens is the number of tokens in a block of a prefix.
const BlockTokens = 32

// MaxBlocks is the most blocks of a prefix that are looked at, 32k tokens.
const MaxBlocks = 1024

// Blocks are the keys of the prefixes of tokens: the i-th is that of the first
// (i+1)*[BlockTokens] tokens under the model, so one key stands for all that comes
// before it. Tokens that do not fill a block have none.
//
// secret is a key of the fleet's own, which may be empty. With one, somebody who
// reads filters in the directory and does not have it cannot test whether a prompt
// is among them.
func Blocks(model plan.Hash, secret []byte, tokens []int) []Key {
	n := min(len(tokens)/BlockTokens, MaxBlocks)
	if n == 0 {
		return nil
	}
	keys := make([]Key, n)
	first := sha256.New()
	first.Write(model[:])
	first.Write(secret)
	var state [sha256.Size]byte
	first.Sum(state[:0])
	text := make([]byte, 0, sha256.Size+8*BlockTokens)
	for i := range keys {
		text = append(text[:0], state[:]...)
		for _, t := range tokens[i*BlockTokens : (i+1)*BlockTokens] {
			text = binary.LittleEndian.AppendUint64(text, uint64(t))
		}
		state = sha256.Sum256(text)
		keys[i] = Key(binary.LittleEndian.Uint64(state[:8]))
	}
	return keys
}

// held is the number of blocks from the first that the filter has.
func (f *Filter) held(prefix []Key) int {
	for i, k := range prefix {
		if !f.Has(k) {
			return i
		}
	}
	return len(prefix)
}
