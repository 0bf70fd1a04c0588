// Package worker is the server of the genie protocol: it accepts connections
// over TCP and gRPC and lets an [Engine] do the work.
//
// A connection has one goroutine that receives and one for each of its
// sessions, which handles the session's requests in order of arrival. A faulty
// message of a peer is an error on that request's stream or, when framing is
// lost, the end of that connection. It does not affect others.
package worker
