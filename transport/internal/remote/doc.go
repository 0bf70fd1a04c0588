// Package remote is the client side of the genie protocol over any
// [wire.Pipe]: an executor whose worker is at the other end. transport/tcp and
// transport/rpc dial and hand their connection over.
//
// One goroutine a connection receives; callers send for themselves. Requests
// are told apart by stream number, so any number of calls share a connection.
package remote
