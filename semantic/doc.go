// Package semantic derives the meaning of the tensors of a captured program and
// plans its execution accordingly. It is pure: graphs in, annotations and plans
// out, no I/O.
//
// [Analyze] runs the recognisers over a graph and returns an [SRG], the
// semantically rich graph: residency, modality, branch and cost of every
// tensor, the KV caches among the carried pairs, and bytes, rate and
// criticality of every edge. What depends on sizes, phase above all, depends
// on a [Profile], a predicate on the bindings of a run. A [Policy] turns an SRG
// and a profile into a plan: [Features] is one of switches, [Rules] one of functions
// that rewrite the graph and place its values.
//
// Recognition uses structure alone; names mean nothing. A [Hint] overrides what
// is recognised.
package semantic
