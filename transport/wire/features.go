package wire

// Features are what a peer can beyond the messages that every peer of this
// version has. Each says in its Hello what it can, and uses what both can: a peer
// that says nothing has none. Bits are never reused, and unknown ones ignored.
type Features uint64

// The features.
const (
	// FeatureReceive is [TypeTicket] and [TypeDeliver]: sessions receive values
	// of other workers.
	FeatureReceive Features = 1 << iota
	// FeatureSend is [TypeSend]: sessions send values to other workers.
	FeatureSend
)

// Has reports whether f has all of what.
func (f Features) Has(what Features) bool { return f&what == what }

// NonceLen is the length of the nonce in a worker's Hello.
const NonceLen = 32
