package engine

// DefaultMaxBatch is [Options.MaxBatch] where that is 0.
const DefaultMaxBatch = 16

// The bounds of unused objects, see [Options].
const (
	MaxIdlePlans     = 1024
	MaxIdlePlanBytes = 256 << 20
)

// MaxBindingBytes bounds the bindings that a session retains for its next
// calls, except for that of the running call: the least recently used others
// are dropped.
const MaxBindingBytes = 64 << 20

const maxFreeArenas = DefaultMaxBatch + 2 // a batch has one for each call and one of its own
