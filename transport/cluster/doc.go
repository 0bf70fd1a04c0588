// Package cluster is an executor made of executors: a plan whose steps are placed
// on several devices ([plan.Step.Device]) is divided into parts, and each part
// runs on one member.
//
//	ex, err := cluster.New([]cluster.Member{{Name: "a", Executor: a}, {Name: "b", Executor: b}})
//
// A session of a cluster has a session on each member that it needs. Carried
// state is stored where its readers run; a value that another member reads moves
// to it; handles name the member that has the value. A plan that one member runs
// passes through to that member's session.
//
// Results have the bits that one executor gives: what is divided is the steps,
// never the reduction of one element.
package cluster
