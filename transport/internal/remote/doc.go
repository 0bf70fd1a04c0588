// Package remote is the client of the genie protocol over any [wire.Pipe]: an
// executor whose worker is at the other end. transport/tcp and transport/rpc
// dial and pass their connection to it.
//
// One goroutine per connection receives; callers send by themselves. Requests
// are distinguished by stream number, so any number of calls share a
// connection.
package remote
