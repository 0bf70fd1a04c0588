// Package simulation runs a fleet in virtual time: workers, sessions, links,
// failures and the routing between them.
//
//	s, err := simulation.Parse(file)
//	r, err := s.Run(ctx, simulation.Options{Routers: []string{"meaning", "least-loaded"}})
//
// Requests are routed by package fleet/route, the code that routes those of
// clients. A worker's steps take what the cost model predicts for its device
// (package steptime), or times that were measured. All else is a model:
//
//   - A worker batches continuously. It computes one prompt at a time, in chunks,
//     and a token of every running sequence after each chunk.
//   - Its memory has weights, the state of running sequences, which is reserved
//     when they start, and the state of prefixes and of conversations that may
//     continue, which is dropped when room is needed, the least recently used
//     first.
//   - Waiting requests start by class; every eighth is of the least urgent class.
//   - A worker says what it knows of itself at intervals; between them the client
//     counts what it sent.
//
// Nothing depends on the order of maps, on real time or on goroutines: one
// scenario and one seed give one result. Sessions are drawn one by one when they
// begin, and all routers get the same ones.
package simulation
