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
//
// # Concurrency
//
// A [Client], a [Session] and a [Value] are safe for concurrent use, and so is a
// graph that is no longer added to. Calls of one session run one after the other
// in the order in which they were made; a [Generate] is one call. A call whose
// context ends while another call has the session returns at once. Close cancels
// the call that is under way; it and all later calls return [ErrClosed]. Sessions
// are independent of each other: use one for each conversation.
//
// # Sizes
//
// A symbolic dimension gets its size from what is fed: each [Value] of a [Feed]
// gives the symbols that stand alone in its input's shape the sizes that it has in
// the same places, whether or not the outputs need that input. Two values that give
// one symbol different sizes are [ErrShape]. A dimension that is computed, such as
// past+seq, is checked and gives no symbol a size. An input that is carried and not
// fed has the shape that the last run left; before the first run, a symbol that
// only carried inputs have is 0. A symbol that an output needs and nothing gives a
// size is [ErrShape]. New sizes need no new plan.
//
// A plan is made for a [semantic.Profile], which is a predicate on the sizes of a
// run and not a size: "one row of queries per sequence against a longer cache" is
// the profile of a decode step, and every step of every sequence has it. A program
// without a KV cache has one profile. [Session.Prepare] takes the profile of the
// runs to come.
//
// # Copies
//
// The memory of a value that is fed belongs to the caller, who must not change it
// until the run has returned. [FromTensor] copies nothing; [Float32s], [Int32s] and
// [Int64s] copy the elements. In this process a run reads fed memory where it is; a
// remote executor sends it from there. Weights are not copied by [lazy.Graph.AddWeight]
// and must stay as they are while the graph is in use.
//
// Each result has memory of its own, which the caller may change. [Value.Tensor]
// gives that memory itself, so that two readers of one value see each other's
// changes; [Value.Float32s] and [Value.Int32s] copy. A result of [Session.RunRetain]
// stays on the executor, where the policy keeps values, until it is first read:
// reading fetches it once, and the copy stays with the value.
//
// A value may be fed to any session of any client. One on an executor costs
// nothing to feed to its own session, and is fetched to be fed to another. When it
// is released, or its session is closed or rebuilt, before it was fetched, reading
// and feeding it are [ErrStaleHandle].
//
// # State
//
// What a program carries belongs to its graph and to the session: two graphs carry
// values of their own even if they are captured by the same code.
// [lazy.Graph.ShareState] gives the values a name, by which the graphs of a session
// share them. Prefill and decode are runs of one graph and share its state. A
// session carries the values of at most 1024 programs between two Resets.
//
// What a client and its sessions know of a graph lives with the graph: a service may
// capture one for each request, and nothing has to be closed but the session.
//
// # Callbacks
//
// OnToken and OnLogits of a [GenerateRequest] and [CausalLM].Check are called by the
// goroutine that called [Generate], one at a time. They may close the session; any
// other call of it waits for the generation, and so for itself. The function of
// [WithProgress] is called by goroutines of the client's that send, one at a time
// for each session, and must not block. Diallers, tracers and
// loggers are called by any goroutine.
package genie
