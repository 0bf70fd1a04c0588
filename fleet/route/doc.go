// Package route decides which worker of a fleet a request goes to.
//
// A [Table] holds what the fleet's workers say of themselves and what this client
// knows better; a [Policy] reads it and gives a [Decision]. Policies are
// deterministic: they do no I/O, and the time is an argument. The same code routes
// the requests of a client and those of a simulation.
//
//	t := route.NewTable(route.TableOptions{})
//	t.Put(facts, now)                              // for each worker, and again when its facts change
//	d, err := route.NewMeaning(route.MeaningOptions{}).Route(t, request, now)
//	t.Started(d, request)                          // counts it until the worker's next facts do
//	t.Learn(d.Worker, request.Prefix)              // the worker holds this prefix from now on
//
// [Meaning] is the policy of this module: it predicts what a request costs on each
// worker from where the weights are, where the longest prefix of the conversation is,
// the load and the link. [Random], [RoundRobin], [LeastLoaded], [PowerOfTwo],
// [PrefixTree] and [PrefixCost] are what it is compared with.
//
// Facts are what a worker says, so a table believes none of them: counts and sizes
// are bounded ([Worker.Check]), a wrong fact costs time and never a wrong result, and
// a worker that turned out to say wrong things is not believed for a while
// ([Table.Distrust]).
package route
