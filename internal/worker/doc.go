// Package worker is the server half of the genie protocol: it takes
// connections over TCP and gRPC and lets an [Engine] do the work.
//
// A connection has one goroutine that receives and one for each of its
// sessions, which does the session's requests in the order in which they came.
// Whatever a peer sends that is wrong is an error on that request's stream or,
// when framing is lost, the end of that connection; nobody else notices.
package worker
