// Package genie runs tensor programs, captured with package lazy, where the
// accelerator is: in this process, on a worker over TCP, or over gRPC. It finds
// out what each tensor means and moves only what has to move; the same program
// gives the same numbers anywhere.
//
//	client, err := genie.Open(ctx, "tcp://127.0.0.1:7070")
//	...
//	session, err := client.NewSession(ctx)
//	...
//	out, err := session.Run(ctx, genie.Feed{"x": genie.Float32s(data, 1, 784)}, y)
//	...
//	probabilities, err := out[0].Float32s(ctx)
//
// A [Session] carries state from run to run: declare the pair with
// lazy.Graph.Carry, and a KV cache is found and kept where it is used. For a
// causal language model [Generate] runs the whole loop.
//
// A remote executor never falls back to a local one: an unreachable worker is
// [ErrUnreachable].
package genie
