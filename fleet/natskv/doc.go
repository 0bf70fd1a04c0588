// Package natskv is a fleet's directory in NATS: a key-value bucket of JetStream, of
// the server that "genie fleet" runs or of a cluster of one's own (2.11 or later,
// whose entries end by themselves).
//
//	dir, err := natskv.Open("nats://directory.example:4222", natskv.WithCredentials(c))
//
// A service gives it to the client, so that programs without a fleet link no NATS:
//
//	client, err := genie.Open(ctx, "nats://directory.example:4222", genie.WithDirectory(natskv.Opener()))
//
// The server is not trusted with the memory of this process: what it sends passes a
// guard that bounds lines and messages before the NATS library sees them, servers that
// it recommends are not connected to, and entries are checked by package fleet.
package natskv
