// Package transport is the contract between a program and what executes it.
//
// An [Executor] opens sessions. A [Session] prepares plans (package
// transport/plan) together with the weights they name, runs them, and owns the
// carried state and the values that runs left behind. Whether the executor is
// this process (transport/local), a worker over TCP (transport/tcp) or over
// gRPC (transport/rpc) makes no difference to results: the conformance suite in
// transport/conformance holds for each of them, and an executor of a third
// party can be written against this package and transport/plan alone.
//
// Every byte that an executor sends or receives is in its [Ledger], by cause.
package transport
