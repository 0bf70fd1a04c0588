// Package pools prefills on other workers than those that decode.
//
// A [Pool] is of workers that prefill. [Pool.Session] makes a session of one that
// decodes: it runs a long prefill on a worker of the pool, in parts, and that
// worker sends the rows of the cache that a part has added while it computes the
// next one. The rows do not pass through the client. Everything else runs where
// the session is. The tokens are those of one worker, since parts of a prefill
// have the bits of the whole (package internal/program, Division).
//
// A prefill that the pool cannot do, because no worker of it can be reached, or
// the two workers cannot reach each other, runs on the worker that decodes; the
// log says so, and [Pool.Count] counts it.
//
//	pool := pools.New(pools.Options{Members: []pools.Dial{dial}})
//	session := pool.Session(decoding)
package pools
