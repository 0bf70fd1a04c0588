// Package transport is the contract between a program and its executor.
//
// An [Executor] opens sessions. A [Session] prepares plans (package
// transport/plan) and the weights that they name, runs them, and owns the
// carried state and the values that runs retain. The executor may be this
// process (transport/local), a worker over TCP (transport/tcp) or a worker over
// gRPC (transport/rpc); the results are the same. Each of them passes the
// conformance suite in transport/conformance. A third party can write an
// executor against this package and transport/plan alone.
//
// Every byte that an executor sends or receives is in its [Ledger], by cause.
package transport
